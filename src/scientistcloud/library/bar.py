"""Progress for notebooks and terminals: a callable, a bar, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scientistcloud.conversion.options import Progress

Report = Callable[[Progress], None]
PHASES = {
    "reading": "Looking at the files",
    "copying": "Converting",
    "verifying": "Verifying",
    "publishing": "Publishing",
}


@contextmanager
def reporting(progress: Report | bool | None) -> Iterator[Report]:
    """What to call with each `Progress`: the caller's own, one that moves a bar, or nothing."""
    if callable(progress):
        yield progress
    elif progress:
        # A bar of rich shows in terminals and notebooks alike.
        from rich.progress import Progress as Bar

        with Bar() as bar:
            task = bar.add_task(PHASES["reading"], total=None)

            def show(now: Progress) -> None:
                label = PHASES.get(now.phase, now.phase)
                total = now.total_bytes or None
                bar.update(task, description=label, completed=now.done_bytes, total=total)

            yield show
    else:
        yield lambda _: None
