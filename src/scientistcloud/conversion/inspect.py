"""What is in an upload, and what would be made of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import psutil
from numpy.typing import NDArray

from scientistcloud.conversion.options import ConversionOptions
from scientistcloud.conversion.planning.plan import plan_conversion
from scientistcloud.conversion.timestep_reads import read_timesteps
from scientistcloud.errors import ConversionError
from scientistcloud.grid import Box
from scientistcloud.readers.base import (
    Axis,
    Concurrency,
    DatasetSpec,
    FieldSpec,
    Selection,
    Sensor,
    Source,
    SourceSpec,
    parse_sensor,
)
from scientistcloud.readers.files.listing import Listing, scan
from scientistcloud.readers.parameters import without_effect
from scientistcloud.readers.registry import detect
from scientistcloud.readers.unpacked import unpack_listing

WRITE_BYTES_PER_SECOND = 250e6
"""Gathering, compressing and writing samples, by one core: a guess for the estimate of time."""

_PROBE_BYTES = 8 << 20
_MAX_FILES = 1000


class _OpenedSource:
    """A reader's source, with what was found out before it; takes unpacked files away with it."""

    def __init__(self, source: Source, notes: tuple[str, ...], unpacked: Path | None) -> None:
        self._source = source
        self._unpacked = unpacked
        spec = source.spec
        self._spec = replace(spec, notes=tuple(dict.fromkeys((*notes, *spec.notes))))

    @property
    def spec(self) -> SourceSpec:
        return self._spec

    @property
    def concurrency(self) -> Concurrency:
        return self._source.concurrency

    def read(self, field: FieldSpec, timestep: int, box: Box, out: NDArray[Any]) -> None:
        self._source.read(field, timestep, box, out)

    def read_timesteps(self, field: FieldSpec, first: int, out: NDArray[Any]) -> None:
        """See `timestep_reads`."""
        read_timesteps(self._source, field, first, out)

    def __enter__(self) -> Self:
        self._source.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._source.__exit__(kind, error, trace)
        finally:
            _remove(self._unpacked)


def open_source(
    root: Path,
    sensor: str | None,
    parameters: Mapping[str, Any],
    scratch: Path,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> Source:
    """Find out what the files under `root` are, and open them.

    Parameters
    ----------
    root : Path
        A folder or a single file; nothing outside it is read, and nothing in it is written.
    sensor : str or None
        As the document or the command line spells it.
    parameters : Mapping
        `conversion_parameters`; ``format`` names the reader to use, the others are the reader's.
    scratch : Path
        A folder of the conversion's own; archives are unpacked there, until the source is closed.
    stop : callable
        Asked while archives are unpacked.

    Raises
    ------
    ConversionError
        Whatever keeps the files from being converted.
    Stopped
        `stop` said so.
    """
    listing = scan(root)
    kind = parse_sensor(sensor)
    notes: tuple[str, ...] = ()
    if kind is None:
        notes = (f"The sensor {sensor!r} is not known; the format was found by the content.",)
        kind = Sensor.OTHER
    unpacked = unpack_listing(listing, scratch, stop)
    try:
        if unpacked is not None:
            notes += (f"Unpacked {', '.join(unpacked.archives)}.",)
            listing = unpacked.listing
        found = detect(listing, kind, parameters.get("format"))
        selection = Selection(listing.root, kind, parameters, scratch)
        source = found.reader.open([entry.path for entry in found.files], selection)
    except BaseException:
        _remove(unpacked.folder if unpacked else None)
        raise
    ignored = without_effect(found.name, parameters, {c.parameter for c in source.spec.choices})
    notes += found.notes_beside(source.spec.inputs) + ((ignored,) if ignored else ())
    return _OpenedSource(source, notes, unpacked.folder if unpacked else None)


def inspect_source(
    root: Path,
    sensor: str | None,
    parameters: Mapping[str, Any],
    scratch: Path,
    options: ConversionOptions,
) -> dict[str, Any]:
    """Describe what would be made of the files under `root`; nothing is converted.

    Returns
    -------
    dict
        JSON-able. ``parameters`` holds all choices: edited or not, it can be passed back as the
        `conversion_parameters`. ``dims`` are x first.

    Raises
    ------
    ConversionError
        As `open_source`, and ResourceLimit from the plan.
    """
    listing = scan(root)
    with open_source(root, sensor, parameters, scratch) as source:
        spec = source.spec
        plan = plan_conversion(spec, options, base_bytes=psutil.Process().memory_info().rss)
        described = plan.describe()
        return {
            "format": spec.format,
            "sensor": sensor,
            "inputs": _inputs(listing, spec),
            "input_count": len(spec.inputs),
            "input_bytes": sum(entry.size_bytes for entry in listing.files),
            "choices": [
                {
                    "parameter": c.parameter,
                    "chosen": c.chosen,
                    "rule": c.rule,
                    "alternatives": list(c.alternatives),
                }
                for c in spec.choices
            ],
            "parameters": {**parameters, **{c.parameter: c.chosen for c in spec.choices}},
            "notes": list(spec.notes),
            "datasets": [_describe_dataset(d) for d in spec.datasets],
            "metadata": dict(spec.metadata),
            "plan": described,
            "estimated_seconds": _estimate(source, options),
        }


def _inputs(listing: Listing, spec: SourceSpec) -> list[str]:
    """Names of the files that are read, in the order of slices or timesteps; the first 1000."""
    return [listing.name_of(path) for path in spec.inputs[:_MAX_FILES]]


def _describe_dataset(dataset: DatasetSpec) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "path": f"{dataset.name}/visus.idx" if dataset.name else "visus.idx",
        "dims": list(reversed(dataset.shape)),
        "axes": [_describe_axis(axis) for axis in reversed(dataset.axes)],
        "timesteps": dataset.timesteps,
        "times": list(dataset.times[:_MAX_FILES]),
        "samples_bytes": dataset.samples_bytes,
        "fields": [
            {
                "name": f.name,
                "dtype": f.dtype.name,
                "components": f.components,
                "chunks": list(reversed(f.chunks)),
                "units": f.units,
                "fill_value": _finite(f.fill_value),
            }
            for f in dataset.fields
        ],
    }


def _describe_axis(axis: Axis) -> dict[str, Any]:
    return {
        "name": axis.name,
        "spacing": axis.spacing,
        "origin": axis.origin,
        "units": axis.units,
    }


def _finite(value: float | int | None) -> float | int | str | None:
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def _estimate(source: Source, options: ConversionOptions) -> float | None:
    """Seconds that the conversion will take, from reading a little of the main dataset.

    None where that little cannot be read: the conversion itself will say why.
    """
    dataset = source.spec.datasets[0]
    field = dataset.fields[0]
    box = _probe(dataset, field)
    shape = box.shape + ((field.components,) if field.components > 1 else ())
    out = np.empty(shape, field.dtype)
    started = time.perf_counter()
    try:
        source.read(field, 0, box, out)
    except ConversionError:
        return None
    rate = max(1, out.nbytes) / max(1e-4, time.perf_counter() - started)
    total = sum(d.samples_bytes for d in source.spec.datasets)
    readers = options.threads if source.concurrency is Concurrency.THREADS else 1
    seconds = total / (rate * readers) + total / (WRITE_BYTES_PER_SECOND * options.threads)
    return float(f"{seconds:.3g}")


def _probe(dataset: DatasetSpec, field: FieldSpec) -> Box:
    """A box of whole chunks at the origin, or a part of one chunk, of at most 8 MiB."""
    shape = [min(c, n) for c, n in zip(field.chunks, dataset.shape, strict=True)]
    for axis in reversed(range(len(shape))):
        others = int(np.prod(shape, dtype=object)) // shape[axis] * field.sample_bytes
        most = max(1, _PROBE_BYTES // others)
        shape[axis] = min(dataset.shape[axis], most)
    return Box.of_shape(tuple(shape))


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
