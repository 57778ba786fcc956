"""What an HDF5 file holds: its arrays, attributes and links, found without following any link out.

Every object is visited once, whatever the number of names it has; a soft link is only another
name. Arrays behind external links are part of the file if the target was uploaded too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5g, h5l, h5o, h5s

from scientistcloud.errors import ConversionError, CorruptSource
from scientistcloud.grid import Shape
from scientistcloud.readers.arrays.attributes import json_value, text
from scientistcloud.readers.arrays.numeric_types import is_unshowable
from scientistcloud.readers.arrays.text_bytes import could_be_text, is_text, lines_of
from scientistcloud.readers.hdf5.files import Hdf5Files, Place, translated
from scientistcloud.readers.hdf5.storage import Storage, check_storage
from scientistcloud.readers.hdf5.types import Member, members

_DIGITS = re.compile(r"\d+")
_MAX_OBJECTS = 200_000
_MAX_DESCRIBED = 5_000
_MAX_ATTRIBUTE_BYTES = 1 << 20
_UNREADABLE = (
    OSError, RuntimeError, ValueError, TypeError, KeyError, OverflowError, UnicodeError,
    AttributeError, SystemError, NotImplementedError,
)  # fmt: skip
_MOST_LOOKED_AT_BYTES = 64 << 20
# MATLAB stores text as 16-bit integers, and cells as references.
_MATLAB_NO_NUMBERS = frozenset({"char", "cell", "struct", "function_handle", "string", "opaque"})
# Places where MATLAB and others keep what is no data of the user.
_HIDDEN = frozenset({"#refs#", "#subsystem#"})


@dataclass(frozen=True, slots=True)
class StoredArray:
    """One array of an HDF5 file.

    Attributes
    ----------
    path : str
        Its name in the file that was opened, the shortest where it has several.
    place : Place
        Where it really is.
    members : tuple of Member
        The numbers in a sample; empty for text and other things that are no numbers.
    problem : ConversionError or None
        Why it cannot be read.
    is_text : bool
        Whether its bytes are text (JSON, a log), and no data.
    """

    path: str
    place: Place
    shape: Shape
    dtype: np.dtype[Any]
    members: tuple[Member, ...]
    storage: Storage | None
    attributes: dict[str, Any]
    problem: ConversionError | None = None
    is_text: bool = False

    @property
    def parent(self) -> str:
        return self.path.rpartition("/")[0] or "/"

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def size(self) -> int:
        """Number of samples."""
        return math.prod(self.shape)

    @property
    def rank(self) -> int:
        """Number of axes longer than 1."""
        return sum(n > 1 for n in self.shape)

    @property
    def is_candidate(self) -> bool:
        """Whether it could be converted: numbers, more than one, and something was stored."""
        written = self.storage is None or self.storage.is_written
        numbers = bool(self.members) or is_unshowable(self.dtype)
        if text(self.attributes.get("MATLAB_class", "")) in _MATLAB_NO_NUMBERS:
            return False
        return (
            numbers and written and not self.is_text and (self.size > 1 or self.problem is not None)
        )

    @property
    def size_bytes(self) -> int:
        """Bytes of all samples that could be converted."""
        if not self.members:
            return self.size * self.dtype.itemsize
        return self.size * sum(m.dtype.itemsize * m.components for m in self.members)


@dataclass
class Catalogue:
    """All that was found in one file.

    Attributes
    ----------
    arrays : dict
        By path, in the order in which they were met.
    groups : dict
        The attributes of every group, by path.
    links : dict
        Why a link leads nowhere, by the path of the link.
    values : dict
        Single values and short texts, by path.
    setups : dict
        What a file beside this one tells of its parts, by their numbers (`hdf5.bigdataviewer`).
    """

    arrays: dict[str, StoredArray] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: dict[str, ConversionError] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    setups: Mapping[int, object] = field(default_factory=dict)

    @cached_property
    def children(self) -> dict[str, dict[str, str]]:
        """Of each group, the names of what is in it, with the paths; once all is catalogued."""
        result: dict[str, dict[str, str]] = {}
        for path in (*self.arrays, *self.aliases):
            parent, _, name = path.rpartition("/")
            result.setdefault(parent or "/", {})[name] = path
        return result

    def array(self, path: str) -> StoredArray | None:
        """The array known as `path`, by whichever of its names."""
        clean = "/" + path.strip("/")
        return self.arrays.get(self.aliases.get(clean, clean))


def catalogue(files: Hdf5Files, main: Place) -> Catalogue:
    """List what the group `main` (usually the root of a file) holds.

    Raises
    ------
    CorruptSource
        The file cannot be read.
    """
    found = Catalogue()
    walk = _Walk(files, found)
    walk.group("", main)
    while walk.pending:
        path, place = walk.pending.pop()
        walk.group(path, place)
    return found


class _Walk:
    def __init__(self, files: Hdf5Files, found: Catalogue) -> None:
        self._files = files
        self._found = found
        self._seen: dict[tuple[int, int], str] = {}
        self._texts: dict[tuple[str, Shape], bool] = {}
        self.pending: list[tuple[str, Place]] = []

    def group(self, path: str, place: Place) -> None:
        """Visit the objects of one group."""
        file = self._files.open(place.file)
        with translated(f"{place.name!r} of {self._files.name_of(place.file)}"):
            group = h5o.open(file.id, place.name.encode("utf-8", "surrogateescape"))
            if path == "":
                self._is_new(path, group, b".")
            names = sorted(group) if isinstance(group, h5g.GroupID) else []
        self._found.groups[path or "/"] = self._attributes(h5py.Group(group))
        below: list[tuple[str, Place]] = []
        for raw in names:
            name = raw.decode("utf-8", "surrogateescape")
            if name in _HIDDEN:
                continue
            child = Place(place.file, f"{place.name.rstrip('/')}/{name}")
            with translated(f"{child.name!r} of {self._files.name_of(place.file)}"):
                is_hard = group.links.get_info(raw).type == h5l.TYPE_HARD
            below += self._object(f"{path}/{_shown(name)}", child, is_hard)
        self.pending += reversed(below)

    def _object(
        self, path: str, place: Place, is_hard: bool
    ) -> Iterator[tuple[str, Place]] | list[tuple[str, Place]]:
        try:
            real = place if is_hard else self._files.locate(place)
        except ConversionError as error:
            self._found.links[path] = error
            return []
        file = self._files.open(real.file)
        with translated(f"{real.name!r} of {self._files.name_of(real.file)}"):
            name = real.name.encode("utf-8", "surrogateescape")
            kind = h5o.get_info(file.id, name).type
            is_new = self._is_new(path, file.id, name)
        if not is_new:
            return []
        if kind == h5o.TYPE_GROUP:
            return [(path, real)]
        if kind == h5o.TYPE_DATASET:
            self._dataset(path, real)
        return []

    def _is_new(self, path: str, location: Any, name: bytes) -> bool:
        info = h5o.get_info(location, name)
        key = (info.fileno, info.addr)
        if key in self._seen:
            self._found.aliases[path] = self._seen[key]
            return False
        if len(self._seen) >= _MAX_OBJECTS:
            raise CorruptSource(f"The file holds more than {_MAX_OBJECTS} objects.")
        self._seen[key] = path
        return True

    def _dataset(self, path: str, place: Place) -> None:
        dataset = self._files.dataset(place)
        attributes = self._attributes(h5py.Dataset(dataset))
        problem: ConversionError | None = None
        storage: Storage | None = None
        shape: Shape = ()
        try:
            storage = check_storage(self._files, place)
            with translated(f"{path!r} of {self._files.name_of(place.file)}"):
                shape = _shape(dataset)
        except ConversionError as error:
            problem = error
        dtype = _dtype(dataset)
        array = StoredArray(
            path, place, shape, dtype, tuple(members(dtype)), storage, attributes, problem
        )
        self._found.arrays[path] = array
        if problem is None and self._is_text(array):
            self._found.arrays[path] = replace(array, is_text=True)
        if problem is None and array.size == 1 and len(self._found.values) < _MAX_DESCRIBED:
            self._found.values[path] = _single_value(dataset)

    def _is_text(self, array: StoredArray) -> bool:
        """Whether bytes are text, by a look at some; once for arrays that are numbered alike."""
        storage = array.storage
        if storage is None or not storage.is_written or storage.is_virtual:
            return False
        if not could_be_text(array.dtype) or array.size < 2:
            return False
        key = (_DIGITS.sub("#", array.path), array.shape)
        if key not in self._texts:
            self._texts[key] = self._reads_as_text(array)
        return self._texts[key]

    def _reads_as_text(self, array: StoredArray) -> bool:
        dataset = h5py.Dataset(self._files.dataset(array.place))
        if math.prod(dataset.chunks or (1,)) > _MOST_LOOKED_AT_BYTES:
            return False  # one chunk would be decoded as a whole
        try:
            blocks = [np.asarray(dataset[line]) for line in lines_of(array.shape)]
        except _UNREADABLE:
            return False  # said when it is read
        return any(is_text(block, is_whole=block.size == array.size) for block in blocks)

    def _attributes(self, node: Any) -> dict[str, Any]:
        if len(self._found.groups) + len(self._found.arrays) > _MAX_DESCRIBED:
            return {}
        result: dict[str, Any] = {}
        try:
            names = list(node.attrs)
        except _UNREADABLE:
            return result
        for name in names:
            try:
                attribute = node.attrs.get_id(name)
                length = attribute.get_storage_size()
                value = node.attrs[name] if length <= _MAX_ATTRIBUTE_BYTES else f"{length} bytes"
            except _UNREADABLE as error:
                value = f"unreadable ({type(error).__name__})"
            result[text(name)] = value
        return result


def _shown(name: str) -> str:
    """A name of HDF5, which is bytes, as text that can be encoded."""
    return name.encode("utf-8", "backslashreplace").decode()


def described(found: Catalogue) -> dict[str, Any]:
    """All attributes and single values of a file as JSON."""
    objects = {**found.groups, **{path: a.attributes for path, a in found.arrays.items()}}
    return {
        "attributes": {
            text(path): {name: json_value(value) for name, value in attributes.items()}
            for path, attributes in objects.items()
            if attributes
        },
        "values": {text(path): json_value(value) for path, value in found.values.items()},
    }


def _shape(dataset: h5d.DatasetID) -> Shape:
    space = dataset.get_space()
    if space.get_simple_extent_type() == h5s.NULL:
        return (0,)
    return tuple(int(n) for n in space.get_simple_extent_dims())


def _dtype(dataset: h5d.DatasetID) -> np.dtype[Any]:
    """The dtype of an array; object where h5py has none for it."""
    try:
        dtype: np.dtype[Any] = dataset.dtype
        return dtype
    except _UNREADABLE:
        return np.dtype(object)


def _single_value(dataset: h5d.DatasetID) -> Any:
    try:
        if dataset.get_type().get_size() > _MAX_ATTRIBUTE_BYTES:
            return None
        value = h5py.Dataset(dataset)[()]
    except _UNREADABLE:
        return None
    return value.reshape(-1)[0] if isinstance(value, np.ndarray) and value.size else value
