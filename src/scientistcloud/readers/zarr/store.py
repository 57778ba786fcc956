"""What a Zarr store holds, read from its metadata before the library opens any of its arrays.

Metadata can name codecs that run code of the file's author (pickle). So the codecs are looked at
first, and only those that merely transform bytes are allowed.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr
import zarr.storage
from numpy.typing import NDArray

from scientistcloud.errors import (
    ConversionError,
    CorruptSource,
    UnsafeLink,
    UnsupportedLayout,
)
from scientistcloud.grid import Shape
from scientistcloud.readers.arrays.absence import Absence
from scientistcloud.readers.arrays.attributes import text
from scientistcloud.readers.arrays.numeric_types import numeric_dtype
from scientistcloud.readers.cf.variables import Variable
from scientistcloud.readers.files.listing import open_regular
from scientistcloud.readers.zarr.chunks import SeparatedStore, look_up

MAX_CHUNK_BYTES = 2 << 30
_MAX_METADATA_BYTES = 16 << 20
_CODECS = frozenset({
    "zlib", "gzip", "bz2", "lzma", "blosc", "zstd", "lz4", "shuffle", "delta",
    "fixedscaleoffset", "quantize", "bitround", "astype", "packbits", "crc32", "crc32c",
    "adler32", "fletcher32", "jenkins_lookup3", "zfpy", "pcodec", "bytes", "endian",
    "transpose", "sharding_indexed",
})  # fmt: skip
_FOREIGN_ERRORS = (
    OSError, RuntimeError, ValueError, TypeError, KeyError, IndexError, OverflowError,
    AttributeError, UnicodeError, NotImplementedError, ArithmeticError, AssertionError,
    MemoryError, EOFError,
)  # fmt: skip


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn what zarr and its codecs raise about `name` into errors of ours."""
    try:
        yield
    except ConversionError:
        raise
    except Exception as error:
        # Codecs raise classes of their own (zlib.error, blosc's RuntimeError, struct.error).
        if not isinstance(error, _FOREIGN_ERRORS) and type(error).__module__ == "builtins":
            raise
        what = (str(error).splitlines() or [""])[0][:300] or type(error).__name__
        raise CorruptSource(f"{name} cannot be read: {what}.") from error


@dataclass(frozen=True)
class ZarrArray:
    """An array of a store: as a variable, the array of the library, and which chunks it lacks."""

    variable: Variable
    opened: Any
    absence: Absence
    dtype_name: str

    @property
    def is_written(self) -> bool:
        return not self.absence.is_whole

    @property
    def fill_value(self) -> int | float:
        """What absent chunks read as."""
        value = np.asarray(self.opened.fill_value if self.opened.fill_value is not None else 0)
        return value.item() if value.dtype.kind in "iuf" else int(bool(value))


@dataclass
class Store:
    """All groups and arrays below a folder.

    Attributes
    ----------
    groups : dict
        Attributes of every group by path; the folder itself is the empty one.
    """

    folder: Path
    arrays: dict[str, ZarrArray] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of the folder, for messages."""
        return text(self.folder.name)


def open_store(files: Sequence[Path], root: Path) -> Store:
    """Catalogue the arrays and groups that the metadata `files` describe.

    Raises
    ------
    CorruptSource
        A metadata file is damaged.
    UnsafeLink
        One lies outside `root`.
    """
    folders = sorted({path.resolve().parent for path in files})
    for folder in folders:
        if not folder.is_relative_to(root.resolve()):
            raise UnsafeLink(f"{text(folder.name)} lies outside the dataset's folder.")
    top = Path(os.path.commonpath(folders))
    store = Store(top)
    for folder in folders:
        path = "" if folder == top else text(folder.relative_to(top).as_posix())
        _add(store, path, folder)
    return store


def load(array: ZarrArray) -> NDArray[Any]:
    """All samples of a small array."""
    with translated(array.variable.path):
        return _plain(np.asarray(array.opened[...]))


def read(array: ZarrArray, selection: tuple[slice, ...]) -> NDArray[Any]:
    """The samples of `selection`, in the machine's byte order."""
    with translated(f"The array {array.variable.path!r}"):
        block = np.asarray(array.opened[selection])
        lengths = tuple(s.stop - s.start for s in selection)
        if block.shape != lengths:
            raise CorruptSource(f"The array {array.variable.path!r} has chunks of a wrong size.")
        return _plain(block)


def _plain(block: NDArray[Any]) -> NDArray[Any]:
    if block.dtype.kind == "b":
        return block.view(np.uint8)
    return block.astype(block.dtype.newbyteorder("="), copy=False)


def _add(store: Store, path: str, folder: Path) -> None:
    if (folder / "zarr.json").is_file():
        node = _json(folder / "zarr.json")
        attributes = node.get("attributes") or {}
        is_array = node.get("node_type") == "array"
        codecs = list(_codec_names(node.get("codecs")))
    else:
        is_array = (folder / ".zarray").is_file()
        node = _json(folder / ".zarray") if is_array else {}
        attributes = _json(folder / ".zattrs") if (folder / ".zattrs").is_file() else {}
        codecs = list(_codec_names([*(node.get("filters") or ()), node.get("compressor")]))
    if not isinstance(attributes, dict):
        raise CorruptSource(f"The attributes of {path or text(folder.name)!r} are damaged.")
    if not is_array:
        store.groups[path] = attributes
        return
    _check_codecs(path or text(folder.name), codecs)
    store.arrays[path or text(folder.name)] = _array(store, path, folder, node, attributes)


def _array(
    store: Store, path: str, folder: Path, node: dict[str, Any], attributes: dict[str, Any]
) -> ZarrArray:
    name = path or text(folder.name)
    with translated(f"The array {name!r}"):
        opened = _open(zarr.storage.LocalStore(folder, read_only=True), node)
        shape = tuple(int(n) for n in opened.shape)
        stored = np.dtype(opened.dtype)
        chunks = tuple(int(n) for n in opened.chunks)
        whole = tuple(int(n) for n in (opened.shards or opened.chunks))
        missing, separator = look_up(folder, node, shape, whole)
        if separator:
            opened = _open(SeparatedStore(folder, separator), node)
            store.notes.append(
                f"The chunks of {name!r} lie in folders, which its metadata do not say; "
                "they were read there."
            )
    decoded = whole if not _reads_inner_chunks(node) else chunks
    dtype = numeric_dtype(stored) if stored.names is None and stored.subdtype is None else None
    chunk_bytes = math.prod(decoded) * stored.itemsize
    if chunk_bytes > MAX_CHUNK_BYTES and dtype is not None:
        raise UnsupportedLayout(
            f"The array {name!r} has chunks of {chunk_bytes >> 20} MiB, too large to be read.",
            remedy="Rechunk it into chunks of some MiB, and upload it again.",
        )
    variable = Variable(
        name,
        _dims(node, attributes, shape),
        shape,
        dtype,
        _attributes(attributes, node, stored),
        tuple(min(c, n) for c, n in zip(decoded, shape, strict=True)) if shape else None,
        chunk_bytes,
    )
    return ZarrArray(variable, opened, missing, stored.name)


def _open(inside: zarr.storage.LocalStore, node: Mapping[str, Any]) -> Any:
    return zarr.open_array(inside, mode="r", zarr_format=node.get("zarr_format", 2))


def _reads_inner_chunks(node: Mapping[str, Any]) -> bool:
    """Whether the inner chunks of shards can be read one by one: sharding is the only codec."""
    codecs = node.get("codecs") or ()
    names = [c.get("name") for c in codecs if isinstance(c, dict)]
    return names == ["sharding_indexed"] or "sharding_indexed" not in names


def _attributes(
    attributes: dict[str, Any], node: Mapping[str, Any], stored: np.dtype[Any]
) -> dict[str, Any]:
    """The attributes with the missing value where xarray puts it.

    In format 2 that is the fill value of the array, but the default of other writers is 0, which
    is a value; in format 3 an attribute, with floating-point numbers as base64.
    """
    result = {k: v for k, v in attributes.items() if not k.startswith("_nczarr")}
    fill = node.get("fill_value")
    is_packed = "scale_factor" in attributes or "add_offset" in attributes
    is_number = isinstance(fill, int | float) and not isinstance(fill, bool)
    if node.get("zarr_format") == 2 and "_FillValue" not in result and is_number:
        if fill != 0 or is_packed:
            result["_FillValue"] = fill
    elif isinstance(result.get("_FillValue"), str) and stored.kind == "f":
        result["_FillValue"] = _decoded_fill(result["_FillValue"])
    return result


def _decoded_fill(value: str) -> float:
    try:
        return float(struct.unpack("<d", base64.standard_b64decode(value))[0])
    except (binascii.Error, struct.error, ValueError):
        return math.nan


def _dims(node: Mapping[str, Any], attributes: Mapping[str, Any], shape: Shape) -> tuple[str, ...]:
    """The names of the dimensions; empty where they are not named."""
    nczarr = node.get("_nczarr_array") or attributes.get("_nczarr_array") or {}
    listed = (
        node.get("dimension_names")
        or attributes.get("_ARRAY_DIMENSIONS")
        or (nczarr.get("dimrefs") if isinstance(nczarr, dict) else None)
    )
    if not isinstance(listed, list) or len(listed) != len(shape):
        return ()
    if not all(isinstance(name, str) and name for name in listed):
        return ()
    return tuple(name.strip("/") for name in listed)


def _codec_names(codecs: Any) -> Iterator[str]:
    """The names of all codecs, those within shards too."""
    for codec in codecs if isinstance(codecs, list | tuple) else ():
        if not isinstance(codec, dict):
            continue
        yield str(codec.get("id", codec.get("name", "?")))
        inside = codec.get("configuration")
        if isinstance(inside, dict):
            yield from _codec_names(inside.get("codecs"))
            yield from _codec_names(inside.get("index_codecs"))


def _check_codecs(name: str, codecs: list[str]) -> None:
    for codec in codecs:
        if codec.removeprefix("numcodecs.").lower() not in _CODECS:
            raise UnsupportedLayout(
                f"The array {name!r} is stored with the codec {codec!r}, which is not supported.",
                remedy="Write it again with blosc, zstd or gzip, and upload that.",
            )


def _json(path: Path) -> dict[str, Any]:
    fd = open_regular(path)
    with os.fdopen(fd, "rb") as file:
        raw = file.read(_MAX_METADATA_BYTES + 1)
    try:
        if len(raw) > _MAX_METADATA_BYTES:
            raise ValueError("it is too large")
        value = json.loads(raw)
        if not isinstance(value, dict):
            raise ValueError("it is no JSON object")
    except (ValueError, RecursionError) as error:
        raise CorruptSource(f"{text(path.parent.name)}/{path.name} is damaged: {error}.") from error
    return value
