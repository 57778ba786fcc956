"""Progress on standard error: a bar with rate and time left on a terminal, else plain lines."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from scientistcloud.cli.terminal.console import clock_text, size_text, warn

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_PATIENCE_SECONDS = 1.0
_LINE_SECONDS = 5.0
_RATE_SECONDS = 0.3

Unit = Literal["bytes", "percent"]


class ProgressDisplay:
    """Shows one piece of work after another; nothing of what takes less than a second.

    Safe to use from several threads.

    Parameters
    ----------
    unit : str
        What is counted: ``bytes``, shown with a rate, or ``percent``.
    """

    def __init__(self, unit: Unit = "bytes") -> None:
        self._unit = unit
        self._terminal = sys.stderr.isatty()
        self._lock = threading.Lock()
        self._label = ""
        self._started = self._phase_started = self._line_at = time.monotonic()
        self._bar: RichProgress | None = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            if self._bar is not None:
                self._bar.stop()
                self._bar = None

    def show(self, label: str, done: float = 0, total: float = 0) -> None:
        """Where the work called `label` is; a `total` of 0 stands for not known."""
        now = time.monotonic()
        with self._lock:
            if label != self._label:
                self._label, self._phase_started = label, now
                self._task = None
            if now - self._started < _PATIENCE_SECONDS:
                return
            if self._terminal:
                self._draw(label, done, total)
            elif now - self._line_at >= (_LINE_SECONDS if self._task else _PATIENCE_SECONDS):
                self._line_at, self._task = now, True
                warn(self._line(label, done, total, now - self._phase_started))

    def _line(self, label: str, done: float, total: float, seconds: float) -> str:
        share = done / total if total else 0.0
        words = [label]
        if total:
            words.append(f"{100 * share:.0f} %")
        if self._unit == "bytes" and done:
            words.append(f"{size_text(done)} of {size_text(total)}" if total else size_text(done))
            if seconds >= _RATE_SECONDS:
                words.append(f"{size_text(done / seconds)}/s")
        if 0 < share < 1 and seconds >= _RATE_SECONDS:
            words.append(f"{clock_text(seconds / share - seconds)} left")
        return "  ".join(words)

    def _draw(self, label: str, done: float, total: float) -> None:
        if self._bar is None:
            self._bar = _new_bar(self._unit)
            self._bar.start()
        if self._task is None:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._task = self._bar.add_task(label, total=total or None)
        self._bar.update(self._task, completed=done, total=total or None)


def _new_bar(unit: Unit) -> RichProgress:
    # Imported here: only a terminal needs it.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        ProgressColumn,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as RichProgress

    counted: list[ProgressColumn] = (
        [DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else []
    )
    return RichProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        *counted,
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
