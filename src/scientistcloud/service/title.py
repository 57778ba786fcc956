"""The name under which operators find a process in ``ps``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import setproctitle

BACKGROUND_SERVICE = "SCLib_BackgroundService"


def show_as(name: str = BACKGROUND_SERVICE, *, arguments: list[str] | None = None) -> str:
    """Make `name` the beginning of this process's title, before how it was started.

    ``ps aux | grep BackgroundService`` and ``pgrep -f SCLib_BackgroundService`` then find the
    service whichever command started it. Processes forked from here inherit the title.

    Returns
    -------
    str
        The title.
    """
    words = sys.argv if arguments is None else arguments
    command = shlex.join([Path(words[0]).name, *words[1:]]) if words else ""
    title = f"{name} ({command})" if command else name
    setproctitle.setproctitle(title)
    return title
