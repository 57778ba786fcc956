"""What every source format offers: a `Reader` that recognises files and opens a `Source`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from scientistcloud.grid import Box, Shape

Matrix = tuple[tuple[float, ...], ...]
"""Rows of a matrix."""


class Match(IntEnum):
    """How sure a reader is that a file is of its format."""

    NO = 0
    POSSIBLE = 1
    """The name or a weak sign says so."""
    CERTAIN = 2
    """The content says so."""


class Concurrency(Enum):
    """Whether `Source.read` may run in several threads at once."""

    SERIAL = "serial"
    THREADS = "threads"


class Sensor(Enum):
    """What the portal calls the kind of instrument; `parse_sensor` reads its spellings."""

    IDX = "IDX"
    TIFF = "TIFF"
    TIFF_RGB = "TIFF RGB"
    NETCDF = "NETCDF"
    HDF5 = "HDF5"
    NEXUS_4D = "4D_NEXUS"
    RGB = "RGB"
    MAPIR = "MAPIR"
    OTHER = "OTHER"


_SPELLINGS = {
    "TIFFRGB": Sensor.TIFF_RGB,
    "4DNEXUS": Sensor.NEXUS_4D,
    "NEXUS": Sensor.NEXUS_4D,
    "RGBDRONE": Sensor.RGB,
    "MAPIRDRONE": Sensor.MAPIR,
    "": Sensor.OTHER,
} | {sensor.name.replace("_", ""): sensor for sensor in Sensor if sensor is not Sensor.NEXUS_4D}


def parse_sensor(text: object) -> Sensor | None:
    """The sensor that `text` spells, whatever its case and separators; None where it spells none.

    A missing value (None or an empty string) is `Sensor.OTHER`: whatever the files turn out to be.
    """
    if text is None:
        return Sensor.OTHER
    if not isinstance(text, str):
        return None
    return _SPELLINGS.get(text.upper().replace(" ", "").replace("_", "").replace("-", ""))


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a grid. Sample i lies at ``origin + i * spacing`` (in `units`)."""

    name: str
    spacing: float | None = None
    origin: float | None = None
    units: str | None = None


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field: values on the grid of its dataset.

    Attributes
    ----------
    key : str
        The reader's own name for it, unique within the source.
    name : str
        Its original name; the IDX name is made from it where it has other characters.
    dtype : numpy.dtype
        Of one component, in the machine's byte order: i1-i8, u1-u8, f2, f4 or f8.
    components : int
        1 for scalars; 3 for RGB. Arrays of more than one have a trailing axis of that length.
    chunks : Shape
        Array order. Reading a box that is aligned to it decodes nothing that is not asked for;
        ``(1, 1, 1)`` where any box can be read by itself (raw files), ``(1, Y, X)`` where a page
        is decoded as a whole.
    working_bytes : int
        What one call of `read` may hold beside `out` (a decoded chunk, say).
    """

    key: str
    name: str
    dtype: np.dtype[Any]
    chunks: Shape
    components: int = 1
    working_bytes: int = 0
    units: str | None = None
    fill_value: float | int | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample, all components."""
        return self.dtype.itemsize * self.components


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """Fields on one grid, over the same timesteps: what becomes one IDX dataset.

    Attributes
    ----------
    name : str
        Empty for the main dataset, which becomes ``visus.idx``; else ``<name>/visus.idx``.
    shape : Shape
        Array order, 1 to 3 axes; an axis of length 1 is allowed only where there is another.
    axes : tuple of Axis
        One for each axis of `shape`, in the same order.
    times : tuple
        What each timestep stands for (numbers or ISO dates); empty where the source has none.
    time_units : str, optional
        Of numbers in `times`: ``s`` for seconds. None for dates, and where the source has none.
    matrix : Matrix
        Where the grid lies in space: from sample indices (x first, and a 1 behind) to positions,
        square, its last row 0 ... 0 1. Empty where the axes say all that is known.
    """

    name: str
    shape: Shape
    axes: tuple[Axis, ...]
    fields: tuple[FieldSpec, ...]
    timesteps: int = 1
    times: tuple[float | str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    time_units: str | None = None
    matrix: Matrix = ()

    @property
    def samples_bytes(self) -> int:
        """Bytes of all samples of all fields and timesteps, uncompressed."""
        return (
            int(np.prod(self.shape, dtype=object))
            * self.timesteps
            * sum(f.sample_bytes for f in self.fields)
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """Where the data left something open: what was chosen, by which rule, and what else there is.

    ``--param <parameter>=<alternative>`` (or `conversion_parameters`) picks another one.
    """

    parameter: str
    chosen: str
    rule: str
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """What a source holds, and how it was understood.

    Attributes
    ----------
    format : str
        For people: "TIFF stack", "NetCDF".
    datasets : tuple of DatasetSpec
        The main one first.
    inputs : tuple of Path
        The files that are read, in the order of slices or timesteps.
    notes : tuple of str
        Sentences for the record and the log: gaps, strays, what was ignored.
    metadata : Mapping
        All attributes of the source, JSON-able.
    carried : Mapping
        Of a source that is IDX already: by name of the output, the header that is carried over as
        it is, blocks and all. Other datasets of such a source are not made.
    """

    format: str
    datasets: tuple[DatasetSpec, ...]
    inputs: tuple[Path, ...] = ()
    choices: tuple[Choice, ...] = ()
    notes: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    carried: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked for.

    Attributes
    ----------
    root : Path
        The folder that the files may not lead out of.
    parameters : Mapping
        The dataset's `conversion_parameters`; a reader looks only at those it knows.
    scratch : Path, optional
        A folder where a reader may unpack what cannot be entered in the middle; the system's
        temporary folder where none is given.
    """

    root: Path
    sensor: Sensor = Sensor.OTHER
    parameters: Mapping[str, Any] = field(default_factory=dict)
    scratch: Path | None = None


class Source(Protocol):
    """An open source. A context manager; leaving it closes all files."""

    @property
    def spec(self) -> SourceSpec: ...

    @property
    def concurrency(self) -> Concurrency: ...

    def read(self, field: FieldSpec, timestep: int, box: Box, out: NDArray[Any]) -> None:
        """Fill `out` with exactly the samples of `box` and nothing more.

        Parameters
        ----------
        field : FieldSpec
            One of ``spec.datasets[i].fields``.
        timestep : int
            From 0.
        box : Box
            In array order, inside the dataset's shape, not empty.
        out : ndarray
            C-contiguous, of shape ``box.shape`` (plus ``(components,)`` where there are several)
            and dtype ``field.dtype``; the caller's own.

        Raises
        ------
        CorruptSource
            A part of the file cannot be decoded.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Reader(Protocol):
    """One source format; a module of `readers` offers one as ``READER``."""

    name: str

    def match(self, path: Path, head: bytes) -> Match:
        """Whether the file `path`, which begins with `head` (up to 4 KiB), is of this format.

        Cheap: no library is imported for it, and the file is not opened again where `head` tells.
        """
        ...

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        """Open the `files` that matched (in natural order) as one source.

        Raises
        ------
        ConversionError
            Whatever keeps them from being converted, with a sentence for the scientist.
        """
        ...
