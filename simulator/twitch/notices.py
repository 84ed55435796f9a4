"""What Twitch says when it refuses something: NOTICE ids and their texts, verbatim.

Source of ids and texts: dev.twitch.tv/docs/irc/msg-id; `msg_ratelimit`, `msg_duplicate`, `msg_banned`, `msg_timedout` and
`msg_slowmode` as recorded from the real server by pajbot/tmi-rate-limits; the texts sent before a login come from recorded lines
(tests/data/twitch-wire-lines.txt). `{channel}` is the login without '#', `{seconds}` a whole number.

Left out: the ids that answer slash commands, which the real server no longer takes over IRC.
"""

from __future__ import annotations

from collections.abc import Mapping

LOGIN_FAILED = "Login authentication failed"
LOGIN_UNSUCCESSFUL = (
    "Login unsuccessful"  # a valid token without chat:read (recorded in twitchdev/issues#166)
)
IMPROPER_AUTH = "Improperly formatted auth"

NOTICE_TEXTS: Mapping[str, str] = {
    "msg_bad_characters": (
        "Your message was not sent because it contained too many unprocessable characters. "
        "If you believe this is an error, please rephrase and try again."
    ),
    "msg_banned": "You are permanently banned from talking in {channel}.",
    "msg_channel_blocked": "Your message was not sent because your account is not in good standing in this channel.",
    "msg_channel_suspended": "This channel does not exist or has been suspended.",
    "msg_duplicate": (
        "Your message was not sent because it is identical to the previous one you sent, less than 30 seconds ago."
    ),
    "msg_emoteonly": (
        "This room is in emote-only mode. You can find your currently available emoticons using the smiley in the chat text area."
    ),
    "msg_followersonly": "This room is in {minutes} minutes followers-only mode. Follow {channel} to join the community!",
    "msg_followersonly_zero": "This room is in followers-only mode. Follow {channel} to join the community!",
    "msg_r9k": "This room is in unique-chat mode and the message you attempted to send is not unique.",
    "msg_ratelimit": "Your message was not sent because you are sending messages too quickly.",
    "msg_rejected": "Hey! Your message is being checked by mods and has not been sent.",
    "msg_rejected_mandatory": (
        "Your message wasn't posted due to conflicts with the channel's moderation settings."
    ),
    "msg_requires_verified_phone_number": (
        "A verified phone number is required to chat in this channel. "
        "Please visit https://www.twitch.tv/settings/security to verify your phone number."
    ),
    "msg_room_not_found": "This room does not exist or is not available.",
    "msg_slowmode": (
        "This room is in slow mode and you are sending messages too quickly. "
        "You will be able to talk again in {seconds} seconds."
    ),
    "msg_subsonly": (
        "This room is in subscribers only mode. To talk, purchase a channel subscription at "
        "https://www.twitch.tv/products/{channel}/ticket?ref=subscriber_only_mode_chat."
    ),
    "msg_suspended": "You don't have permission to perform that action.",
    "msg_timedout": "You are banned from talking in {channel} for {seconds} more seconds.",
    "msg_verified_email": (
        "This room requires a verified account to chat. "
        "Please verify your account at https://www.twitch.tv/settings/security."
    ),
    "no_permission": "You don't have permission to perform that action.",
    "unrecognized_cmd": "Unrecognized command: {command}",
}


def notice_text(notice_id: str, **values: str | int) -> str:
    """Return the words of a notice; raises `KeyError` when the id is not one of Twitch's or a value is missing."""
    return NOTICE_TEXTS[notice_id].format(**values)
