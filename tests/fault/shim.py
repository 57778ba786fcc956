"""Sets one host's clock, and makes its way to the shared storage slow: see ``shim.c``."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
_LAYOUT = struct.Struct("=qqq")


def can_build() -> str | None:
    """Why clocks and storage cannot be changed here; None if they can."""
    return None if shutil.which("cc") else "a C compiler (cc) is needed"


@cache
def build(folder: Path) -> Path:
    """The library, compiled into `folder`."""
    library = folder / "shim.so"
    command = ["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return library


class Shim:
    """What the processes of one host are told about clock and storage; changes count at once.

    Parameters
    ----------
    folder : Path
        For the library and the file that all processes of the host map.
    storage : Path
        The folder that may be slow.
    """

    def __init__(self, folder: Path, name: str, storage: Path) -> None:
        self._library = build(folder)
        self._path = folder / name
        self._storage = storage
        self._path.write_bytes(_LAYOUT.pack(0, 0, 0))
        with self._path.open("r+b") as file:
            self._mapped = mmap.mmap(file.fileno(), _LAYOUT.size)

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process, and those that it starts, obey."""
        return {
            "LD_PRELOAD": str(self._library),
            "SC_SHIM": str(self._path),
            "SC_SHIM_FOLDER": str(self._storage),
        }

    def set_clock(self, ahead_seconds: float) -> None:
        self._write(0, round(ahead_seconds * 1e6))

    def delay(self, seconds: float) -> None:
        """Let every call to the storage take so much longer."""
        self._write(1, round(seconds * 1e6))

    def hang(self, hangs: bool) -> None:
        """Let every call to the storage wait, or go on."""
        self._write(2, int(hangs))

    def _write(self, number: int, value: int) -> None:
        self._mapped[8 * number : 8 * number + 8] = value.to_bytes(8, "little", signed=True)
