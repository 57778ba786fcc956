"""NetCDF files, opened read-only, with their variables as `cf.variables` has them."""

from __future__ import annotations

import errno
import math
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import (
    ConversionError,
    CorruptSource,
    MissingMember,
    StorageUnavailable,
    UnsafeLink,
    UnsupportedLayout,
)
from scientistcloud.readers.arrays.absence import Absence
from scientistcloud.readers.arrays.attributes import text
from scientistcloud.readers.cf.packing import Packing
from scientistcloud.readers.cf.variables import Variable, Variables
from scientistcloud.readers.files.listing import read_head
from scientistcloud.readers.netcdf.classic import MAGICS, check_length

CHUNK_CACHE_BYTES = 4 << 20
_MAX_OPEN_FILES = 16
_MAX_GROUPS = 10_000
_FOREIGN_ERRORS = (
    OSError, RuntimeError, ValueError, TypeError, KeyError, IndexError, OverflowError,
    AttributeError, UnicodeError, SystemError, NotImplementedError, MemoryError,
)  # fmt: skip
_STORAGE_ERRORS = frozenset({errno.EIO, errno.ESTALE, errno.EACCES, errno.ETIMEDOUT, errno.EMFILE})


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn what netCDF4 raises about the file `name` into errors of ours."""
    try:
        yield
    except ConversionError:
        raise
    except _FOREIGN_ERRORS as error:
        if isinstance(error, OSError) and error.errno in _STORAGE_ERRORS:
            reason = os.strerror(error.errno or 0)
            raise StorageUnavailable(f"{name} cannot be read: {reason}.") from error
        what = str(error).strip("'\"")[:300] or type(error).__name__
        if "ilter" in what:
            raise UnsupportedLayout(
                f"{name} is compressed with a filter that is not available here ({what}).",
                remedy="Repack the file with deflate (nccopy -d 1), and upload it again.",
            ) from error
        raise CorruptSource(f"{name} cannot be read: {what}.") from error


class NetcdfFiles:
    """The NetCDF files of one source; at most 16 stay open.

    Attributes
    ----------
    absences : dict
        For each file that was checked, by the paths of its variables, the chunks that were never
        written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._files: OrderedDict[Path, Any] = OrderedDict()
        self.absences: dict[Path, dict[str, Absence]] = {}

    def name_of(self, file: Path) -> str:
        """The name of a file for messages, relative to the root."""
        inside = file.is_relative_to(self.root)
        return text(file.relative_to(self.root).as_posix() if inside else file.name)

    def check(self, file: Path) -> None:
        """Refuse a file that is cut short, or that leads out of the root."""
        if read_head(file, 4) in MAGICS:
            check_length(file)
        else:
            self.absences[file] = _check_links(self.root, file)

    def open(self, file: Path) -> Any:
        """The open dataset, which hands out stored values as they are."""
        if file in self._files:
            self._files.move_to_end(file)
            return self._files[file]
        with translated(self.name_of(file)):
            opened = netCDF4.Dataset(str(file), "r")
            opened.set_auto_maskandscale(False)
            opened.set_auto_chartostring(False)
        self._files[file] = opened
        if len(self._files) > _MAX_OPEN_FILES:
            self._files.popitem(last=False)[1].close()
        return opened

    def close(self) -> None:
        while self._files:
            self._files.popitem()[1].close()

    def variables(self, file: Path) -> Variables:
        """All variables of a file, of all its groups."""
        name = self.name_of(file)
        found: dict[str, Variable] = {}
        attributes: dict[str, dict[str, Any]] = {}
        unlimited: set[str] = set()
        pending: list[tuple[str, Any]] = [("", self.open(file))]
        with translated(name):
            while pending:
                path, group = pending.pop(0)
                attributes[path] = _attributes(group)
                unlimited |= {
                    _dimension_name(d) for d in group.dimensions.values() if d.isunlimited()
                }
                for key, variable in group.variables.items():
                    full = f"{path}/{key}".strip("/")
                    found[full] = _variable(full, variable)
                pending += [(f"{path}/{k}".strip("/"), g) for k, g in group.groups.items()]
                if len(attributes) > _MAX_GROUPS:
                    raise CorruptSource(f"{name} holds more than {_MAX_GROUPS} groups.")

        def load(path: str) -> NDArray[Any]:
            with translated(name):
                return np.asarray(self.raw(file, path)[...])

        return Variables(self._written(file, found), frozenset(unlimited), load, attributes)

    def _written(self, file: Path, found: dict[str, Variable]) -> dict[str, Variable]:
        """The variables without those of two axes or more to which nothing was ever written.

        Raises
        ------
        UnsupportedLayout
            That leaves none of two axes or more.
        """
        absent = {p for p, a in self.absences.get(file, {}).items() if a.is_whole and p in found}
        broad = [p for p, v in found.items() if sum(n > 1 for n in v.shape) >= 2 and v.dtype]
        if absent and absent >= set(broad):
            raise UnsupportedLayout(
                f"{self.name_of(file)} declares {sorted(absent)[0]!r}, but nothing was ever "
                "written to it.",
                remedy="Check that the run or export was completed, and upload it again.",
            )
        return {path: variable for path, variable in found.items() if path not in absent}

    def absence_notes(self, file: Path, used: Sequence[Variable]) -> list[str]:
        """Sentences about what was never written: of the variables `used`, and of all of others."""
        absences = self.absences.get(file, {})
        notes = [
            f"Left out, as nothing was ever written to it: {path!r} of {self.name_of(file)}."
            for path, absence in absences.items()
            if absence.is_whole
        ]
        for variable in used:
            absence = absences.get(variable.path)
            if absence is not None and absence.is_partial:
                fill = variable.attributes.get("_FillValue", "of NetCDF")
                notes.append(absence.sentence(variable.path, fill))
        return notes

    def raw(self, file: Path, path: str) -> Any:
        """The variable of netCDF4."""
        *groups, name = path.split("/")
        node = self.open(file)
        for group in groups:
            node = node.groups[group]
        return node.variables[name]

    def read(
        self, file: Path, path: str, selection: tuple[slice, ...], packing: Packing
    ) -> NDArray[Any]:
        """The stored samples of `selection`, in the machine's byte order."""
        with translated(f"{path!r} of {self.name_of(file)}"):
            block = np.asarray(self.raw(file, path)[selection])
            lengths = tuple(s.stop - s.start for s in selection)
            if block.shape != lengths:
                raise CorruptSource(f"{path!r} of {self.name_of(file)} is shorter than it says.")
            return block.astype(block.dtype.newbyteorder("="), copy=False)


def _check_links(root: Path, file: Path) -> dict[str, Absence]:
    """Look for what would lead a NetCDF-4 file to other files; the library follows it blindly.

    Returns
    -------
    dict
        What was never written of the variables of two axes or more, by their paths.
    """
    from scientistcloud.readers.hdf5.catalogue import catalogue
    from scientistcloud.readers.hdf5.files import Hdf5Files, Place
    from scientistcloud.readers.hdf5.written import absence_of

    files = Hdf5Files(root)
    absences: dict[str, Absence] = {}
    try:
        found = catalogue(files, Place(file, "/"))
        for path, array in found.arrays.items():
            if array.problem is None and array.rank >= 2 and array.members and array.size:
                missing = absence_of(files, [array.place], array.shape)
                is_written = array.storage is None or array.storage.is_written
                if missing is not None or not is_written:
                    absences[path.strip("/")] = missing or Absence(1, 0)
    finally:
        files.close()
    problems = [*found.links.values(), *(a.problem for a in found.arrays.values())]
    for problem in problems:
        if isinstance(problem, MissingMember | UnsafeLink):
            raise problem
    return absences


def _variable(path: str, variable: Any) -> Variable:
    kind = variable.dtype
    dtype: np.dtype[Any] | None = None
    if isinstance(kind, np.dtype) and kind.kind in "iuf" and kind.itemsize <= 8:
        dtype = kind.newbyteorder("=")
    if isinstance(variable.datatype, netCDF4.VLType):
        dtype = None
    chunks = _chunks(variable)
    size = math.prod(chunks) * dtype.itemsize if chunks and dtype is not None else 0
    if chunks:
        # A preemption of 1.0 would keep the library from evicting chunks that were read in part.
        variable.set_var_chunk_cache(CHUNK_CACHE_BYTES, 521, 0.75)
    return Variable(
        path,
        tuple(_dimension_name(d) for d in variable.get_dims()),
        tuple(int(n) for n in variable.shape),
        dtype,
        _attributes(variable),
        chunks,
        size,
    )


def _chunks(variable: Any) -> tuple[int, ...] | None:
    chunking = variable.chunking()
    if not isinstance(chunking, list | tuple) or not chunking:
        return None
    return tuple(int(n) for n in chunking)


def _dimension_name(dimension: Any) -> str:
    group = dimension.group().path.strip("/")
    return f"{group}/{dimension.name}".strip("/")


def _attributes(node: Any) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name in node.ncattrs():
        try:
            result[text(name)] = node.getncattr(name)
        except _FOREIGN_ERRORS as error:
            result[text(name)] = f"unreadable ({type(error).__name__})"
    return result
