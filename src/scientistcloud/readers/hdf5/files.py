"""HDF5 files, opened read-only, and the links in them, followed only inside the dataset's folder.

HDF5 would follow an external link, a virtual dataset or external storage to wherever it leads, and
reads zeros where nothing is there. So every target is looked up here first, and names are resolved
one link at a time; the library itself never follows a soft or an external link.
"""

from __future__ import annotations

import errno
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  (registers the filters)
from h5py import h5d, h5g, h5l, h5o, h5p

from scientistcloud.errors import (
    ConversionError,
    CorruptSource,
    MissingMember,
    StorageUnavailable,
    UnsafeLink,
)
from scientistcloud.readers.arrays.attributes import text
from scientistcloud.readers.files.listing import open_regular

CHUNK_CACHE_BYTES = 4 << 20
CHUNK_CACHE_SLOTS = 521
CHUNK_CACHE_PREEMPTION = 0.75
"""The library's own default. With 1.0 it never evicts a chunk that was read in part: the cache
grows without limit (HDF5 2.0)."""

_MAX_LINKS = 64
_MAX_OPEN_FILES = 32
_MAX_OPEN_DATASETS = 64
_STORAGE_ERRORS = frozenset({errno.EIO, errno.ESTALE, errno.EACCES, errno.ETIMEDOUT, errno.EMFILE})
_FOREIGN_ERRORS = (
    OSError, RuntimeError, ValueError, TypeError, KeyError, IndexError, OverflowError,
    AttributeError, UnicodeError, SystemError, NotImplementedError, MemoryError,
)  # fmt: skip


@contextmanager
def translated(name: str, doing: str = "read") -> Iterator[None]:
    """Turn what h5py raises about the file `name` into errors of ours."""
    try:
        yield
    except ConversionError:
        raise
    except _FOREIGN_ERRORS as error:
        if isinstance(error, OSError) and error.errno in _STORAGE_ERRORS:
            reason = os.strerror(error.errno or 0)
            raise StorageUnavailable(f"{name} cannot be {doing}: {reason}.") from error
        detail = str(error).strip("'\"").splitlines()
        what = detail[0][:300] if detail else type(error).__name__
        raise CorruptSource(f"{name} cannot be {doing}: {what}.") from error


@dataclass(frozen=True, slots=True)
class Place:
    """An object of HDF5: its file and its absolute name in it."""

    file: Path
    name: str


class Hdf5Files:
    """The HDF5 files of one source.

    Parameters
    ----------
    root : Path
        The folder that no link may lead out of.

    Attributes
    ----------
    referred : set of Path
        The files that others refer to, as far as their links were looked up.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.referred: set[Path] = set()
        self._files: OrderedDict[Path, h5py.File] = OrderedDict()
        self._datasets: OrderedDict[Place, h5d.DatasetID] = OrderedDict()

    def name_of(self, file: Path) -> str:
        """The name of a file for messages, relative to the root."""
        inside = file.is_relative_to(self.root)
        return text(file.relative_to(self.root).as_posix() if inside else file.name)

    def open(self, file: Path) -> h5py.File:
        """The open file; at most 32 stay open."""
        if file in self._files:
            self._files.move_to_end(file)
            return self._files[file]
        os.close(open_regular(file))
        with translated(self.name_of(file), "opened as HDF5"):
            opened = _open(file)
        self._files[file] = opened
        if len(self._files) > _MAX_OPEN_FILES:
            oldest, handle = self._files.popitem(last=False)
            for place in [p for p in self._datasets if p.file == oldest]:
                del self._datasets[place]
            handle.close()
        return opened

    def close(self) -> None:
        self._datasets.clear()
        while self._files:
            _, handle = self._files.popitem()
            handle.close()

    def locate(self, start: Place) -> Place:
        """Where the object `start` really is: all soft and external links followed.

        Raises
        ------
        MissingMember
            A link leads to a file that is not there.
        CorruptSource
            A link leads to nothing, or in circles.
        UnsafeLink
            A link leads out of the root.
        """
        place = start
        for _ in range(_MAX_LINKS):
            with translated(self.name_of(place.file)):
                further = self._step(place)
            if further is None:
                return place
            place = further
        raise CorruptSource(
            f"The links of {start.name!r} in {self.name_of(start.file)} lead in circles."
        )

    def _step(self, place: Place) -> Place | None:
        """Where the first soft or external link on the way to `place` leads; None without one."""
        file = self.open(place.file)
        here = h5o.open(file.id, b"/")
        parts = [part for part in place.name.split("/") if part not in ("", ".")]
        for i, part in enumerate(parts):
            before, after = parts[:i], parts[i + 1 :]
            raw = part.encode("utf-8", "surrogateescape")
            if not isinstance(here, h5g.GroupID) or not here.links.exists(raw):
                raise CorruptSource(
                    f"{self.name_of(place.file)} has no object {place.name!r}, "
                    "to which another part of it refers."
                )
            kind = here.links.get_info(raw).type
            if kind == h5l.TYPE_SOFT:
                target = here.links.get_val(raw).decode("utf-8", "surrogateescape")
                base = "/" if target.startswith("/") else "/" + "/".join([*before, ""])
                return Place(place.file, base + target.strip("/") + "".join(f"/{p}" for p in after))
            if kind == h5l.TYPE_EXTERNAL:
                target_file, target = (os.fsdecode(v) for v in here.links.get_val(raw))
                found = self.member(place.file, target_file)
                return Place(found, "/".join([target.rstrip("/"), *after]) or "/")
            if after:
                here = h5o.open(here, raw)
        return None

    def member(self, file: Path, name: str) -> Path:
        """The file that `file` refers to as `name`: beside it, and inside the root.

        An absolute name (of the machine that wrote it) stands for the file of that name beside.
        """
        beside = (file.parent / name).resolve()
        if not beside.is_relative_to(self.root):
            beside = (file.parent / Path(name).name).resolve()
            outside = Path(name).is_absolute() and Path(name).exists()
            if outside or not beside.is_relative_to(self.root) or not beside.is_file():
                raise UnsafeLink(
                    f"{self.name_of(file)} refers to {name!r}, outside the dataset's folder.",
                    remedy=f"Upload {Path(name).name!r} beside it, or convert another array.",
                )
        if not beside.is_file():
            raise MissingMember(
                f"{self.name_of(file)} refers to {name!r}, which was not uploaded.",
                remedy=f"Upload {name!r} too, at that place beside {self.name_of(file)}.",
            )
        if beside != file:
            self.referred.add(beside)
        return beside

    def dataset(self, place: Place) -> h5d.DatasetID:
        """The dataset at `place`, a place that `locate` returned."""
        if place not in self._datasets or place.file not in self._files:
            file = self.open(place.file)
            with translated(f"{place.name!r} of {self.name_of(place.file)}"):
                self._datasets[place] = _open_dataset(file, place.name)
            if len(self._datasets) > _MAX_OPEN_DATASETS:
                self._datasets.popitem(last=False)
        return self._datasets[place]


def _open_dataset(file: h5py.File, name: str) -> h5d.DatasetID:
    raw = name.encode("utf-8", "surrogateescape")
    access = h5p.create(h5p.DATASET_ACCESS)
    access.set_chunk_cache(CHUNK_CACHE_SLOTS, CHUNK_CACHE_BYTES, CHUNK_CACHE_PREEMPTION)
    dataset = h5d.open(file.id, raw, access)
    if dataset.get_create_plist().get_external_count():
        # Without a prefix the library looks for external storage in the working directory. Only
        # one prefix is allowed while a dataset is open, so it is closed first.
        del dataset
        access.set_efile_prefix(b"${ORIGIN}")
        dataset = h5d.open(file.id, raw, access)
    return dataset


def _open(file: Path) -> h5py.File:
    try:
        return h5py.File(file, "r", locking=False)
    except OSError as error:
        if "consistency flags" not in str(error) and "already open" not in str(error):
            raise
    try:
        # Its writer has not closed it: readable if it was written for that (SWMR).
        return h5py.File(file, "r", locking=False, swmr=True)
    except OSError as error:
        raise CorruptSource(
            f"{text(file.name)} was not closed by the program that wrote it.",
            remedy="Upload it after that program has ended, or repair it with 'h5clear -s'.",
        ) from error
