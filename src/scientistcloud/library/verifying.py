"""`verify`: whether every byte of a result is as it was written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scientistcloud.errors import SourceNotFound

if TYPE_CHECKING:
    from scientistcloud.idx.files.damage import Damage


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What came of a check.

    Attributes
    ----------
    damages : tuple of Damage
        What is wrong, and which part of the data is lost by it.
    """

    damages: tuple[Damage, ...]
    bytes_checked: int

    @property
    def ok(self) -> bool:
        """Whether all is as it was written."""
        return not self.damages


def verify(
    path: str | Path,
    *,
    progress: Callable[[int], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> VerifyReport:
    """Read every byte of a result back and compare it with its checksums.

    Parameters
    ----------
    path : str or Path
        The folder of a conversion, or its ``visus.idx``.
    progress : callable
        Told how many bytes more were checked.

    Raises
    ------
    SourceNotFound, StorageUnavailable
    """
    root = Path(path)
    if not root.exists():
        raise SourceNotFound(f"There is nothing at {path}.", remedy="Check the path.")
    from scientistcloud.idx.check import verify_path

    checked_bytes = 0

    def count(more: int) -> None:
        nonlocal checked_bytes
        checked_bytes += more
        progress(more)

    damages = tuple(verify_path(root, progress=count, stop=stop))
    return VerifyReport(damages, checked_bytes)
