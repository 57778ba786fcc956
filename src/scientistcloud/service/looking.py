"""Looks at uploads before they are converted, each in a confined child process."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import (
    AttemptTimedOut,
    ConversionError,
    SourceNotFound,
    StorageUnavailable,
    error_from_dict,
)
from scientistcloud.service.confinement.limits import Limits, LimitsWatch
from scientistcloud.service.processes.children import Child, WarmProcess, WarmProcessFailed
from scientistcloud.service.processes.look import ANSWER, GLIMPSE, INSPECT
from scientistcloud.settings import Settings

_SECONDS = 30.0
_GLIMPSE_SECONDS = 0.6
_LOOK_AGAIN_SECONDS = 0.05
_AT_ONCE = 2
_MOST_BYTES = 64 << 20
_KILL = 9
_LIBRARIES = ("h5py", "hdf5plugin", "netCDF4")
"""What takes half a second to import, which a first picture has not."""

Planes = tuple[NDArray[Any], ...]


class Looking:
    """Starts a process that forks the looks when the first one is asked for, and keeps it.

    Every method may block for as long as a look takes, `_SECONDS` at most, and raises
    `ConversionError` where the upload cannot be converted, or looked at.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._warm = WarmProcess(self._stopping, _LIBRARIES)
        self._places = threading.BoundedSemaphore(_AT_ONCE)

    def prepare(self) -> None:
        """Let the first look find its process running; returns at once."""
        if not self._warm.is_running:
            threading.Thread(target=self._start, name="looking", daemon=True).start()

    def inspect(self, uuid: str, sensor: str | None, parameters: Mapping[str, Any]) -> Any:
        """What would be made of the upload: as `conversion.inspect.inspect_source` describes it."""
        return self._look(uuid, INSPECT, sensor, parameters)[0]

    def glimpse(
        self, uuid: str, sensor: str | None, parameters: Mapping[str, Any], pixels: int
    ) -> tuple[Any, Planes]:
        """Facts, and the samples of the middle planes, as `conversion.glimpse` reads them."""
        return self._look(uuid, GLIMPSE, sensor, parameters, pixels)

    def close(self) -> None:
        self._stopping.set()
        self._warm.stop()

    def _start(self) -> None:
        try:
            self._warm.start()
        except WarmProcessFailed:
            return  # the look itself tries again, and tells

    def _look(
        self, uuid: str, what: str, sensor: str | None, parameters: Mapping[str, Any],
        pixels: int = 0,
    ) -> tuple[Any, Planes]:  # fmt: skip
        source = self._settings.in_data_dir / uuid
        if not source.is_dir():
            raise SourceNotFound("No file of this dataset has come yet.")
        if not self._places.acquire(timeout=_SECONDS):
            raise StorageUnavailable("Too many uploads are being looked at.", remedy="Try again.")
        try:
            with tempfile.TemporaryDirectory(prefix="scientistcloud-look-") as name:
                order = self._order(source, Path(name), what, sensor, parameters, pixels)
                self._carry_out(order)
                return _answer(Path(name))
        finally:
            self._places.release()

    def _order(
        self, source: Path, folder: Path, what: str, sensor: str | None,
        parameters: Mapping[str, Any], pixels: int,
    ) -> dict[str, Any]:  # fmt: skip
        memory_bytes = self._settings.memory_limit_bytes
        return {
            "look": what,
            "source": str(source.resolve()),
            "folder": str(folder.resolve()),
            "options": {
                "sensor": sensor, "parameters": dict(parameters),
                "memory_limit_bytes": memory_bytes, "threads": 1,
            },
            "limits": asdict(Limits(memory_bytes, _SECONDS)),
            "pixels": pixels,
            "seconds": _GLIMPSE_SECONDS,
        }  # fmt: skip

    def _carry_out(self, order: dict[str, Any]) -> None:
        try:
            child = self._warm.launch(order)
        except WarmProcessFailed as error:
            raise StorageUnavailable("Uploads cannot be looked at now.") from error
        try:
            self._wait(child, LimitsWatch(Limits(**order["limits"])))
        finally:
            child.signal(_KILL)
            child.channel.close()

    def _wait(self, child: Child, watch: LimitsWatch) -> None:
        ends = time.monotonic() + _SECONDS
        while (status := child.wait(_LOOK_AGAIN_SECONDS)) is None:
            now = time.monotonic()
            outgrown = watch.look(child.pid, now)
            if outgrown is not None:
                raise outgrown
            if now > ends or self._stopping.is_set():
                raise AttemptTimedOut("Looking at the upload took too long.")
        if status != 0:
            raise watch.cause_of_end(status)


def _answer(folder: Path) -> tuple[Any, Planes]:
    """What the child wrote; it read a file of somebody, so nothing of it is trusted to be small."""
    files = [folder / ANSWER, *sorted(folder.glob("plane-?.npy"))]
    if sum(each.stat().st_size for each in files) > _MOST_BYTES:
        raise _unusable()
    try:
        told = json.loads(files[0].read_text())
        planes = tuple(np.load(each, allow_pickle=False) for each in files[1:])
    except ValueError as error:
        raise _unusable() from error
    if "failed" in told:
        raise error_from_dict(told["failed"])
    return told["found"], planes


def _unusable() -> ConversionError:
    return StorageUnavailable("What was found out about the upload cannot be read.")
