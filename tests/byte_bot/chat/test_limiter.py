"""Twitch's limits, as counting."""

from __future__ import annotations

import bisect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.chat.limiter import RATES, MessageLimiter, Rates, SlidingWindow, Tier, rates_for
from byte_bot.chat.utterance import CHARS_MAX

EXACT = Rates(margin_s=0.0)


def most_in_any_window(times: list[float], window_s: float) -> int:
    """The largest number of ``times`` (sorted) within any half-open interval of ``window_s`` seconds."""
    return max((bisect.bisect_left(times, at + window_s) - n for n, at in enumerate(times)), default=0)


@given(
    st.integers(1, 8),
    st.floats(0.5, 40),
    st.lists(st.floats(0, 20), max_size=60),
)
def test_a_sliding_window_is_never_exceeded(count_max: int, window_s: float, gaps: list[float]) -> None:
    """Whenever things are wanted, no window ever holds more than its limit, and none waits without need."""
    window = SlidingWindow(count_max, window_s)
    now = 0.0
    taken: list[float] = []
    for gap in gaps:
        now += gap
        ready = window.ready_at(now)
        if ready > now:
            # It had a reason: the window is full until then.
            assert taken[-count_max] + window_s == ready
            now = ready
        window.take(now)
        taken.append(now)
    # A hair less than the window: (a + window) - a may round to less than window.
    assert most_in_any_window(taken, window_s * (1 - 1e-9)) <= count_max


def test_a_window_opens_one_place_at_a_time() -> None:
    """Twenty at once, then the 21st when the first is out of the window, not before."""
    window = SlidingWindow(20, 10.0)
    for n in range(20):
        window.take(n / 10)
    assert window.ready_at(5.0) == 10.0
    assert window.ready_at(10.0) == 10.0
    window.take(10.0)
    assert window.ready_at(10.0) == 10.1


def test_verified_bots_get_their_numbers() -> None:
    """7,500 messages, 2,000 JOINs and 200 logins, as documented by Twitch."""
    rates = RATES[Tier.VERIFIED]
    assert (rates.messages_unprivileged, rates.joins, rates.logins) == (7_500, 2_000, 200)
    # "The channel limits also apply."
    assert (rates.channel_unprivileged, rates.channel_privileged) == (20, 100)
    assert MessageLimiter("verified").rates is rates


def test_what_twitch_granted_replaces_only_the_numbers_it_is_about() -> None:
    """More messages for the account or for one channel leave every other limit of the tier as it was."""
    rates = rates_for("verified", messages=90_000, channel_messages=5_000)
    assert (rates.messages_privileged, rates.messages_unprivileged) == (90_000, 90_000)
    assert rates.channel_privileged == 5_000
    assert (rates.channel_unprivileged, rates.joins, rates.channel_spacing_s) == (20, 2_000, 1.0)
    assert rates_for("normal") is RATES[Tier.NORMAL]


def test_privileged_messages_count_among_the_twenty() -> None:
    """After 20 messages as moderator an ordinary channel must wait; a moderated one need not."""
    limiter = MessageLimiter(rates=EXACT)
    for n in range(20):
        assert limiter.account_ready_at(True, n / 10) == n / 10
        limiter.take_account(n / 10)
    assert limiter.account_ready_at(True, 2.0) == 2.0
    assert limiter.account_ready_at(False, 2.0) == 30.0


def test_a_privileged_account_stops_at_a_hundred() -> None:
    """The 101st message within 30 s waits even where the bot is moderator."""
    limiter = MessageLimiter(rates=EXACT)
    for _ in range(100):
        limiter.take_account(0.0)
    assert limiter.account_ready_at(True, 0.0) == 30.0


def test_an_unprivileged_channel_takes_one_message_a_second() -> None:
    """Until Twitch says that the bot is moderator, VIP or broadcaster there."""
    limiter = MessageLimiter(rates=EXACT)
    limiter.take_channel("chan", "a", 0.0)
    assert limiter.channel_ready_at("chan", "b", 0.0) == 1.0
    assert limiter.channel_ready_at("other", "b", 0.0) == 0.0
    limiter.set_privileged("chan", True)
    assert limiter.channel_ready_at("chan", "b", 0.0) == 0.0


def test_the_margin_widens_every_wait() -> None:
    """What leaves a second apart may arrive closer together, so ours is a little longer."""
    limiter = MessageLimiter(rates=Rates(margin_s=0.25))
    limiter.take_channel("chan", "a", 0.0)
    assert limiter.channel_ready_at("chan", "b", 0.0) == 1.25


def test_the_same_text_leaves_in_another_form() -> None:
    """Within 30 s every repetition differs from all before; afterwards the plain text is free again."""
    limiter = MessageLimiter(rates=EXACT)
    forms = []
    for at in (0.0, 1.0, 2.0):
        forms.append(limiter.form("chan", "pong", at))
        limiter.take_channel("chan", forms[-1], at)
    assert forms[0] == "pong"
    assert len(set(forms)) == 3
    assert limiter.form("other", "pong", 2.0) == "pong"
    assert limiter.form("chan", "pong", 30.0) == "pong"


def test_moderators_may_repeat_themselves() -> None:
    """Where the bot is privileged Twitch takes the same text again, so it is said as it is."""
    limiter = MessageLimiter(rates=EXACT)
    limiter.set_privileged("chan", True)
    for at in (0.0, 1.0, 2.0):
        assert limiter.channel_ready_at("chan", "x" * CHARS_MAX, at) == at
        assert limiter.form("chan", "x" * CHARS_MAX, at) == "x" * CHARS_MAX
        limiter.take_channel("chan", "x" * CHARS_MAX, at)


def test_a_repeated_text_without_room_for_a_mark_is_spaced() -> None:
    """500 code points leave no room, so the second time has to wait until the first is forgotten."""
    limiter = MessageLimiter(rates=EXACT)
    full = "x" * CHARS_MAX
    limiter.take_channel("chan", full, 3.0)
    assert limiter.channel_ready_at("chan", full, 4.0) == 33.0
    assert limiter.channel_ready_at("chan", full, 33.0) == 33.0
    assert limiter.form("chan", full, 33.0) == full


@given(
    st.lists(
        st.tuples(
            st.floats(0, 3), st.sampled_from(["mod", "plain", "vip"]), st.sampled_from(["a", "b", "x" * 499])
        ),
        max_size=150,
    )
)
def test_no_window_of_twitch_is_ever_exceeded(wishes: list[tuple[float, str, str]]) -> None:
    """For any wishes, waiting when told: account, channel, spacing and duplicates stay within their rules."""
    rates = Rates(
        messages_unprivileged=4,
        messages_privileged=9,
        channel_unprivileged=3,
        channel_privileged=6,
        margin_s=0.0,
    )
    limiter = MessageLimiter(rates=rates)
    limiter.set_privileged("mod", True)
    limiter.set_privileged("vip", True)
    now = 0.0
    sent: list[tuple[float, str, str, bool]] = []
    for gap, channel, text in wishes:
        now += gap
        privileged = limiter.privileged(channel)
        while True:
            ready = max(
                limiter.channel_ready_at(channel, text, now), limiter.account_ready_at(privileged, now)
            )
            if ready <= now:
                break
            now = ready
        form = limiter.form(channel, text, now)
        limiter.take_account(now)
        limiter.take_channel(channel, form, now)
        sent.append((now, channel, form, privileged))

    window = 30.0 * (1 - 1e-9)
    assert most_in_any_window([at for at, *_ in sent], window) <= 9
    for n, (at, channel, form, privileged) in enumerate(sent):
        before = [other for other in sent[:n] if other[0] > at - window]
        same_channel = [other for other in before if other[1] == channel]
        assert len(before) < (9 if privileged else 4)
        assert len(same_channel) < (6 if privileged else 3)
        assert privileged or form not in [other[2] for other in same_channel]
        assert len(form) <= CHARS_MAX
        if not privileged and same_channel:
            assert at - same_channel[-1][0] >= 1.0 - 1e-9


def test_an_unknown_tier_is_refused() -> None:
    """A typing error in the settings must not silently mean the normal tier."""
    with pytest.raises(ValueError, match="gold"):
        MessageLimiter("gold")


@given(
    st.lists(
        st.tuples(st.floats(0, 2), st.sampled_from("ab"), st.sampled_from(["x", "y", "z" * 500])), max_size=60
    ),
    st.booleans(),
)
def test_taking_at_once_is_asking_and_telling_one_by_one(
    wishes: list[tuple[float, str, str]], privileged: bool
) -> None:
    """One call gives the form that the separate questions give, and counts what they count."""
    rates = Rates(messages_unprivileged=4, messages_privileged=6, channel_privileged=5)
    whole, parts = MessageLimiter(rates=rates), MessageLimiter(rates=rates)
    for limiter in (whole, parts):
        limiter.set_privileged("a", privileged)
    now = 0.0
    for gap, channel, text in wishes:
        now += gap
        expected = None
        ready = max(
            parts.channel_ready_at(channel, text, now), parts.account_ready_at(parts.privileged(channel), now)
        )
        if ready <= now:
            expected = parts.form(channel, text, now)
            parts.take_account(now)
            parts.take_channel(channel, expected, now)
        assert whole.take(channel, text, now) == expected


@pytest.mark.parametrize("privileged", [False, True])
def test_nothing_leaves_while_twitchs_own_bucket_is_empty(privileged: bool) -> None:
    """Send Chat Message says so in its answer; a shorter hold does not end a longer one."""
    limiter = MessageLimiter()
    limiter.set_privileged("lobby", privileged)
    limiter.hold(30.0)
    limiter.hold(10.0)
    assert limiter.account_ready_at(privileged, 5.0) == 30.0
    assert limiter.take("lobby", "hello", 29.9) is None
    assert limiter.take("lobby", "hello", 30.0) == "hello"


def test_what_is_recalled_counts_and_is_not_told_again() -> None:
    """The account's window goes on over the end of a process."""
    limiter = MessageLimiter(rates=EXACT)
    limiter.recall([5.0, -15.0, *[0.0] * 18], {False: 0, True: 0}, 5.0)
    assert limiter.account_ready_at(False, 10.0) == 15.0
    assert limiter.account_ready_at(True, 10.0) == 10.0
    assert limiter.take_untold() == []
    assert limiter.take("lobby", "hello", 15.0) == "hello"
    assert (limiter.take_untold(), limiter.take_untold()) == ([15.0], [])


def test_no_more_can_have_left_than_the_window_let_through() -> None:
    """Of sixty that waited, five places were free: those count as taken at the last moment, the rest never left."""
    limiter = MessageLimiter(rates=EXACT)
    limiter.recall([0.0] * 15, {False: 60, True: 0}, 10.0)
    assert limiter.account_ready_at(False, 12.0) == 30.0
    assert limiter.take_untold() == [10.0] * 5
    for _ in range(15):
        limiter.take_account(30.0)
    assert limiter.account_ready_at(False, 31.0) == 40.0


def test_of_privileged_messages_more_can_have_left() -> None:
    """They may use a hundred places: where the bot is nobody it is silent, and where it is moderator it goes on."""
    limiter = MessageLimiter(rates=EXACT)
    limiter.recall([], {False: 0, True: 30}, 10.0)
    assert limiter.account_ready_at(False, 12.0) == 40.0
    assert limiter.account_ready_at(True, 12.0) == 12.0
