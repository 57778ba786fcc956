"""What a conversion came to and what it cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scientistcloud.conversion import record
from scientistcloud.conversion.options import Progress
from scientistcloud.idx.headers.header import IdxHeader
from scientistcloud.readers.base import DatasetSpec


@dataclass(frozen=True, slots=True)
class ConversionResult:
    """A published conversion.

    Attributes
    ----------
    datasets : tuple of Mapping
        Of each output ``path``, ``dims`` (x first), ``timesteps`` and ``fields`` (name, dtype,
        components).
    bytes_in, bytes_out : int
        Size of the files that were read, and of those that were published.
    verification : str
        ``full``, ``sample`` or ``off``.
    adopted : bool
        It had been published before, by an attempt that could not say so any more.
    """

    datasets: tuple[Mapping[str, Any], ...]
    bytes_in: int
    bytes_out: int
    seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    verification: str
    adopted: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            "status": "done",
            "datasets": [dict(each) for each in self.datasets],
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "peak_rss_bytes": self.peak_rss_bytes,
            "verified": self.verification != "off",
            "verification": self.verification,
            "adopted": self.adopted,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], *, adopted: bool) -> ConversionResult:
        """The result that `to_dict` described."""
        return cls(
            datasets=tuple(value["datasets"]),
            bytes_in=value["bytes_in"],
            bytes_out=value["bytes_out"],
            seconds=value["seconds"],
            cpu_seconds=value["cpu_seconds"],
            peak_rss_bytes=value["peak_rss_bytes"],
            verification=value["verification"],
            adopted=adopted,
        )


class Usage:
    """Time, processor time and memory of this process since it was made."""

    def __init__(self) -> None:
        self._clock = time.monotonic()
        self._cpu = time.process_time()

    def resident_bytes(self) -> int:
        """Resident memory now."""
        return _status_bytes("VmRSS:")

    def result(
        self,
        outputs: Sequence[Mapping[str, Any]],
        *,
        bytes_in: int,
        bytes_out: int,
        verification: str,
    ) -> ConversionResult:
        return ConversionResult(
            datasets=tuple(_summary(output) for output in outputs),
            bytes_in=bytes_in,
            bytes_out=bytes_out,
            seconds=time.monotonic() - self._clock,
            cpu_seconds=time.process_time() - self._cpu,
            peak_rss_bytes=_status_bytes("VmHWM:"),
            verification=verification,
        )


class Meter:
    """Turns bytes that were done into progress of one phase."""

    def __init__(
        self, phase: str, total_bytes: int, report: Callable[[Progress], None], done_bytes: int = 0
    ) -> None:
        self._phase = phase
        self._total_bytes = total_bytes
        self._report = report
        self.done_bytes = done_bytes
        report(Progress(phase, done_bytes, total_bytes))

    def add(self, count_bytes: int) -> None:
        self.done_bytes += count_bytes
        self._report(Progress(self._phase, self.done_bytes, self._total_bytes))


def describe_outputs(
    made: Sequence[tuple[DatasetSpec, IdxHeader]],
) -> list[dict[str, Any]]:
    """Each output with its axes and fields, as ``metadata.json`` has them."""
    outputs = []
    for spec, header in made:
        fields = [
            {
                "name": field.name,
                "dtype": str(field.dtype),
                "components": field.components,
                "min": record.to_json(field.minimum),
                "max": record.to_json(field.maximum),
            }
            for field in header.fields
        ]
        outputs.append(record.describe_dataset(spec, fields))
    return outputs


def _status_bytes(key: str) -> int:
    """A size that the kernel tells of this process (getrusage's also counts its parent's)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def _summary(output: Mapping[str, Any]) -> dict[str, Any]:
    fields = [{key: f[key] for key in ("name", "dtype", "components")} for f in output["fields"]]
    return {key: output[key] for key in ("path", "dims", "timesteps")} | {"fields": fields}
