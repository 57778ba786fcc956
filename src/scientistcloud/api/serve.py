"""Serving the API and the page until a signal ends it."""

from __future__ import annotations

import ipaddress

import uvicorn

from scientistcloud.api.app import create_app
from scientistcloud.api.http.protocol import MOST_HEAD_BYTES, Protocol
from scientistcloud.errors import BadSettings
from scientistcloud.logs import set_up_logging
from scientistcloud.settings import Settings

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 5001
_STOP_SECONDS = 5
_BACKLOG = 2048


def serve(settings: Settings, host: str, port: int) -> int:
    """Serve; returns the exit status.

    Raises
    ------
    BadSettings
        Everybody on the network would be taken for this computer's user.
    """
    require_safe(settings, host)
    set_up_logging(settings.log_format, settings.log_level)
    uvicorn.run(
        create_app(settings),
        host=host,
        port=port,
        log_config=None,
        # Health checks would bury the lines that operators look for.
        access_log=settings.log_level == "debug",
        timeout_graceful_shutdown=_STOP_SECONDS,
        backlog=_BACKLOG,
        http=Protocol,
        h11_max_incomplete_event_size=MOST_HEAD_BYTES,
        server_header=False,
    )
    return 0


def require_safe(settings: Settings, host: str) -> None:
    """Raise `BadSettings` where others than those who are meant could call.

    Either callers are not told apart and others than this computer reach it, or tokens would be
    accepted that an issuer made for other programs.
    """
    if settings.oidc_issuer and not settings.oidc_audience:
        raise BadSettings(
            "OIDC_ISSUER is set, but OIDC_AUDIENCE is not, so that tokens for other programs of the"
            " same issuer could not be told from ours.",
            remedy="Set OIDC_AUDIENCE to the audience that the issuer writes into tokens for this "
            "server.",
        )
    if settings.auth != "none" or is_loopback(host):
        return
    raise BadSettings(
        f"AUTH=none takes everybody for you, and {host} can be reached from other computers.",
        remedy="Set AUTH=token and SECRET_KEY (or OIDC_ISSUER), or AUTH=portal; or listen on "
        "127.0.0.1.",
    )


def is_loopback(host: str) -> bool:
    """Whether only this computer reaches the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
