"""twitchAPI's Helix and OAuth client, as both of its drivers use it. Its own options point it at the fake."""

from __future__ import annotations

from twitchAPI.twitch import Twitch

ATTEMPTS = 10


async def logged_in(scene, scopes):
    """A ``Twitch`` with an app token and the user's token.

    The library reads the answer with the app token after it has closed the connection (``_generate_app_token``), which works only if the
    body came together with the head: on a busy machine it does not always, and whoever uses it tries again.
    """
    for attempt in range(ATTEMPTS):
        try:
            twitch = await Twitch(
                scene["client_id"],
                scene["client_secret"],
                base_url=scene["helix"] + "/",
                auth_base_url=scene["oauth"] + "/",
            )
            break
        except RuntimeError:
            if attempt == ATTEMPTS - 1:
                raise
    await twitch.set_user_authentication(scene["token"], scopes, scene["refresh_token"])
    return twitch
