"""The output read back: `verify_dataset` compares it with its manifest and with its source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.conversion.options import VerifyMode
from scientistcloud.conversion.probes import Probe, all_probes, sample_probes
from scientistcloud.conversion.timestep_check import suits, timesteps_match
from scientistcloud.errors import CorruptSource, Stopped, UnsupportedLayout, VerificationFailed
from scientistcloud.grid import Box
from scientistcloud.idx.audit import BlockAudit
from scientistcloud.idx.check import manifest_name
from scientistcloud.idx.files.damage import describe_region
from scientistcloud.idx.files.manifest import Manifest
from scientistcloud.idx.reader import IdxReader
from scientistcloud.readers.base import DatasetSpec, Source


def verify_dataset(
    source: Source,
    spec: DatasetSpec,
    reader: IdxReader,
    mode: VerifyMode,
    *,
    progress: Callable[[int], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Read a written dataset back.

    Parameters
    ----------
    source : Source
        Open; what the dataset was made from.
    spec : DatasetSpec
        One of the source's; its fields are those of the written header, in the same order.
    reader : IdxReader
        On the written dataset, staged or published.
    mode : str
        ``sample``: every stored byte against its checksum, and boxes chosen by `sample_probes`
        against the source. ``full``: every stored byte and every sample. ``off``: nothing.
    progress : callable
        Told bytes newly done; ``spec.samples_bytes`` in all.
    stop : callable
        Asked before each comparison and each 1 MiB.

    Raises
    ------
    VerificationFailed
        Names field, timestep and box.
    Stopped
        `stop` said so.
    """
    if mode == "off":
        return
    report = _Progress(progress, spec.samples_bytes)
    if suits(reader.header):
        with _manifest(reader) as manifest:
            if timesteps_match(source, spec, reader, manifest, progress=report.add, stop=stop):
                report.finish()
                return
        report = _Progress(lambda _: None, spec.samples_bytes)
    if mode == "full":
        _audit(reader, lambda _: None, stop)
        for probe in all_probes(spec):
            _compare(source, spec, reader, probe, stop)
            report.add(probe.box.size * spec.fields[probe.field].sample_bytes)
    else:
        _audit(reader, report.scaled(_stored_bytes(reader)), stop)
        for probe in sample_probes(spec, reader.layout):
            _compare(source, spec, reader, probe, stop)
    report.finish()


def _manifest(reader: IdxReader) -> Manifest:
    name = manifest_name(reader.header, reader.stored.base, reader.stored.name)
    try:
        return Manifest.open(reader.stored.base / name)
    except (OSError, CorruptSource) as error:
        raise VerificationFailed(
            f"The manifest of the converted data is unusable: {error}."
        ) from error


def _stored_bytes(reader: IdxReader) -> int:
    with _manifest(reader) as manifest:
        return sum(int(slots["size"].sum(dtype=np.int64)) for slots in _slots(manifest))


def _slots(manifest: Manifest) -> Iterator[NDArray[Any]]:
    for timestep in range(manifest.timesteps):
        for field in range(manifest.fields):
            yield from (slots for _, slots in manifest.pages(timestep, field))


def _audit(reader: IdxReader, progress: Callable[[int], None], stop: Callable[[], bool]) -> None:
    """Every stored byte against its checksum."""
    with _manifest(reader) as manifest:
        for damage in BlockAudit(reader, manifest, progress=progress, stop=stop).run():
            raise VerificationFailed(
                f"What was written is not what lies on the disk: {damage.message}"
            )


def _compare(
    source: Source, spec: DatasetSpec, reader: IdxReader, probe: Probe, stop: Callable[[], bool]
) -> None:
    """One box, bit for bit."""
    if stop():
        raise Stopped
    field = spec.fields[probe.field]
    components = () if field.components == 1 else (field.components,)
    expected = np.empty(probe.box.shape + components, field.dtype)
    source.read(field, probe.timestep, probe.box, expected)
    name = reader.header.fields[probe.field].name
    try:
        found = reader.read(probe.field, probe.timestep, probe.box.shift(reader.header.box.lo))
    except (CorruptSource, UnsupportedLayout) as error:
        raise VerificationFailed(
            f"The converted data cannot be read back: {error.message}"
        ) from error
    differing = _differing(expected, found, probe.box)
    if differing is not None:
        region = describe_region(name, probe.timestep, differing)
        raise VerificationFailed(f"The converted data differ from the source: {region}.")


def _differing(expected: NDArray[Any], found: NDArray[Any], box: Box) -> Box | None:
    """Where two arrays differ in any bit (NaN payloads count), as a box of the full grid."""
    if found.dtype != expected.dtype or found.shape != expected.shape:
        return box
    word = np.dtype(f"u{expected.dtype.itemsize}")
    if np.array_equal(expected.view(word), found.view(word)):
        return None
    unlike = expected.view(word) != found.view(word)
    places = np.argwhere(unlike)[:, : len(box.lo)]
    lo, hi = places.min(axis=0).tolist(), (places.max(axis=0) + 1).tolist()
    return Box(tuple(lo), tuple(hi)).shift(box.lo)


class _Progress:
    """Hands on bytes so that they add up to the total, whatever the work is counted in."""

    def __init__(self, progress: Callable[[int], None], total: int) -> None:
        self._progress = progress
        self._total = total
        self._told = 0

    def add(self, size_bytes: int) -> None:
        size_bytes = min(size_bytes, self._total - self._told)
        if size_bytes > 0:
            self._told += size_bytes
            self._progress(size_bytes)

    def scaled(self, amount: int) -> Callable[[int], None]:
        """A callback for work of `amount` that stands for nearly all of the total."""
        done = 0

        def add(size: int) -> None:
            nonlocal done
            done += size
            self.add(int(0.9 * self._total * min(1.0, done / max(1, amount))) - self._told)

        return add

    def finish(self) -> None:
        self.add(self._total)
