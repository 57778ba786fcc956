"""``python -m scientistcloud.api``: serve the API."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import uvicorn

from scientistcloud.api.app import create_app
from scientistcloud.errors import BadSettings
from scientistcloud.logs import set_up_logging
from scientistcloud.settings import load_settings

_STOP_SECONDS = 5


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal ends it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="scientistcloud.api", description="Serve the HTTP API.")
    parser.add_argument("settings", nargs="?", type=Path, help="settings file (JSON)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=5001, help="port (%(default)s)")
    given = parser.parse_args(arguments)
    try:
        settings = load_settings(given.settings)
    except BadSettings as error:
        print(f"{error.message}\n{error.remedy}", file=sys.stderr)
        return 2
    set_up_logging(settings.log_format, settings.log_level)
    uvicorn.run(
        create_app(settings),
        host=given.host,
        port=given.port,
        log_config=None,
        # Health checks would bury the lines that operators look for.
        access_log=settings.log_level == "debug",
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
