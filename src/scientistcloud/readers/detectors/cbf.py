"""CBF images of Pilatus and Eiger detectors (``.cbf``), packed by byte offsets: decoded by fabio.

Source: the CBFlib manual, chapter on ``x-CBF_BYTE_OFFSET``. A file holds one image, which is
decoded as a whole; its checksum is compared.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import CorruptSource, UnsupportedLayout
from scientistcloud.grid import Box, Shape
from scientistcloud.readers.arrays.attributes import text
from scientistcloud.readers.arrays.raw_grid import Volume
from scientistcloud.readers.arrays.volume_set import open_volumes
from scientistcloud.readers.base import Axis, FieldSpec, Match, Selection, Source
from scientistcloud.readers.files.libraries import load_library
from scientistcloud.readers.files.open_files import FilePool, handed_over

_START = b"\x0c\x1a\x04\xd5"
_MOST_HEADER_BYTES = 1 << 20
_ENTRY = re.compile(rb"^[ \t]*([A-Za-z0-9-]{1,60}):[ \t]*([^\r\n]{0,200})", re.M)
_PACKING = re.compile(rb"conversions=\"?x-CBF_([A-Z_]{1,40})", re.I)
_PIXEL = re.compile(
    r"Pixel_size\s{1,9}([0-9.eE+-]{1,30})\s{0,9}m\s{0,9}x\s{0,9}([0-9.eE+-]{1,30})\s{0,9}m"
)
_TYPES = {"signed 32-bit integer": "i4", "unsigned 32-bit integer": "u4",
          "signed 16-bit integer": "i2", "unsigned 16-bit integer": "u2"}  # fmt: skip


class CbfReader:
    """Recognises and opens CBF images."""

    name = "cbf"

    def match(self, path: Path, head: bytes) -> Match:
        if head.startswith(b"###CBF"):
            return Match.CERTAIN
        return Match.POSSIBLE if path.suffix.lower() == ".cbf" else Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        load_library("fabio.compression", "synchrotron", "CBF")
        with handed_over(FilePool(selection.root)) as pool:
            volumes = [_volume(path, pool) for path in files]
            return open_volumes(volumes, "CBF", selection.parameters, pool)


READER = CbfReader()


@dataclass(frozen=True, slots=True)
class PackedImage:
    """The image of one file: a `StackPart`."""

    path: Path
    offset: int
    packed_bytes: int
    digest: str
    dtype: np.dtype[Any]
    shape: Shape
    timesteps: int = 1

    def as_slice(self) -> PackedImage:
        return replace(self, shape=(1, *self.shape))

    def check(self, pool: FilePool) -> None:
        """Raise CorruptSource where the file is shorter than its header says."""
        if pool.size(self.path) < self.offset + self.packed_bytes:
            raise CorruptSource(f"{pool.name(self.path)} is cut short.")

    def read(self, pool: FilePool, timestep: int, box: Box, out: NDArray[Any]) -> None:
        data = pool.read(self.path, self.offset, self.packed_bytes)
        md5 = hashlib.md5(data, usedforsecurity=False).digest()
        if self.digest and base64.b64encode(md5).decode() != self.digest:
            raise CorruptSource(f"{pool.name(self.path)} is damaged: its checksum does not fit.")
        out[...] = self._decode(data, pool).reshape(self.shape)[box.slices]

    def _decode(self, data: bytes, pool: FilePool) -> NDArray[Any]:
        fabio = load_library("fabio.compression", "synchrotron", "CBF")
        count = math.prod(self.shape)
        try:
            values = fabio.decByteOffset(
                data, size=count, dtype=np.dtype(f"i{self.dtype.itemsize}")
            )
        except MemoryError:
            raise
        except Exception as error:  # whatever fabio stumbles over
            raise CorruptSource(f"{pool.name(self.path)} cannot be decoded.") from error
        if values.size != count:
            raise CorruptSource(f"{pool.name(self.path)} holds fewer samples than it says.")
        return np.asarray(values).view(self.dtype)


def _volume(path: Path, pool: FilePool) -> Volume:
    name = pool.name(path)
    head = pool.read(path, 0, min(pool.size(path), _MOST_HEADER_BYTES))
    start = head.find(_START)
    if start < 0:
        raise CorruptSource(f"{name} has no binary section of CBF.")
    entries = {
        k.decode().lower(): v.decode("latin-1").strip() for k, v in _ENTRY.findall(head[:start])
    }
    packing = _PACKING.search(head[:start])
    if packing is None or packing[1].upper() != b"BYTE_OFFSET":
        way = packing[1].decode() if packing else "none"
        raise UnsupportedLayout(
            f"{name} is packed otherwise than by byte offsets ({way}).",
            remedy="Convert it with cbflib (cbf2cbf -c byte_offset), or to HDF5.",
        )
    kind = entries.get("x-binary-element-type", "").strip('"').lower()
    if (
        kind not in _TYPES
        or entries.get("x-binary-element-byte-order", "LITTLE_ENDIAN") != "LITTLE_ENDIAN"
    ):
        raise UnsupportedLayout(f"{name} holds samples of the type '{kind}'.")
    if head.count(_START) > 1 and head.count(b"X-Binary-Size:") > 1:
        raise UnsupportedLayout(f"{name} holds several images.", remedy="Upload a file for each.")
    width, height, packed = (
        _whole(entries, key, name)
        for key in (
            "x-binary-size-fastest-dimension",
            "x-binary-size-second-dimension",
            "x-binary-size",
        )
    )
    if not 0 < width * height <= packed:
        raise CorruptSource(f"{name} describes {width} x {height} samples in {packed:,} bytes.")
    dtype, shape = np.dtype(_TYPES[kind]), (height, width)
    image = PackedImage(path, start + 4, packed, entries.get("content-md5", ""), dtype, shape)
    return Volume(
        PurePosixPath(name).with_suffix("").as_posix(), shape, _axes(head[:start]),
        (FieldSpec("data", "data", dtype, shape, working_bytes=packed + 3 * width * height * 4),),
        {"data": image}, (path,), metadata=_metadata(head[:start], entries),
    )  # fmt: skip


def _whole(entries: dict[str, str], key: str, name: str) -> int:
    value = entries.get(key, "")
    if not value.isdecimal() or len(value) > 12:
        raise CorruptSource(f"{name} has a CBF header without a valid {key}.")
    return int(value)


def _axes(head: bytes) -> tuple[Axis, Axis]:
    found = _PIXEL.search(head.decode("latin-1"))
    try:
        x, y = (float(v) for v in found.groups()) if found else (0.0, 0.0)
    except ValueError:
        x = y = 0.0
    good = all(math.isfinite(v) and v > 0 for v in (x, y))
    return (Axis("y", y, None, "m"), Axis("x", x, None, "m")) if good else (Axis("y"), Axis("x"))


def _metadata(head: bytes, entries: dict[str, str]) -> dict[str, Any]:
    told = [
        line.lstrip("# ").rstrip()
        for line in head.decode("latin-1").splitlines()
        if line.startswith("# ")
    ]
    return {"format": "CBF", "header": [text(line) for line in told[:256]], "binary": dict(entries)}
