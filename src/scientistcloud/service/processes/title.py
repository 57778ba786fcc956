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
    command = shlex.join([_program(Path(words[0])), *words[1:]]) if words else ""
    title = f"{name} ({command})" if command else name
    setproctitle.setproctitle(title)
    return title


def _program(path: Path) -> str:
    """The program's name; that of the package where it was started by ``python -m``."""
    return path.parent.name if path.name == "__main__.py" else path.name
