"""``python -m scientistcloud.api``: serve the API; what containers run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scientistcloud.api.serve import DEFAULT_HOST, DEFAULT_PORT, serve
from scientistcloud.errors import BadSettings
from scientistcloud.settings import load_settings


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal ends it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="scientistcloud.api", description="Serve the HTTP API.")
    parser.add_argument("settings", nargs="?", type=Path, help="settings file (JSON)")
    parser.add_argument("--host", default=DEFAULT_HOST, help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port (%(default)s)")
    given = parser.parse_args(arguments)
    try:
        return serve(load_settings(given.settings), given.host, given.port)
    except BadSettings as error:
        print(f"{error.message}\n{error.remedy}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
