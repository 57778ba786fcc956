"""How the samples of a DICOM file are stored.

Source: DICOM PS3.3 (C.7.6.3 image pixel) and PS3.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom import Dataset, uid

from scientistcloud.errors import CorruptSource, UnsupportedLayout
from scientistcloud.readers.dicom.mosaic import Mosaic

_UNDEFINED_LENGTH = 0xFFFFFFFF
_PIXELS = {0x7FE00010: "", 0x7FE00008: "f4", 0x7FE00009: "f8"}
_RAW_SYNTAXES = {
    uid.ImplicitVRLittleEndian: "<",
    uid.ExplicitVRLittleEndian: "<",
    uid.ExplicitVRBigEndian: ">",
}
_RAW_PHOTOMETRIC = frozenset({"MONOCHROME1", "MONOCHROME2", "RGB"})


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How samples are stored; frames of one series share it.

    Attributes
    ----------
    height, width : int
        Of an image as it is stored, of which a slice may be a part (a mosaic).
    is_raw : bool
        Whether they are read by position; else pydicom decodes frame by frame.
    is_bits : bool
        Whether a raw sample is one bit.
    stored : numpy.dtype
        Of one sample, byte order included; of decoded samples, the machine's.
    unused_bits : int
        High bits of a raw sample that mean nothing (PS3.5, 8.1.1).
    """

    rows: int
    columns: int
    height: int
    width: int
    samples: int
    stored: np.dtype[Any]
    unused_bits: int
    is_raw: bool
    is_bits: bool
    is_planar: bool
    is_palette: bool
    photometric: str
    syntax: str

    @property
    def components(self) -> int:
        return 3 if self.is_palette else self.samples

    @property
    def frame_bytes(self) -> int:
        return self.height * self.width * self.samples * self.stored.itemsize

    def stored_bytes(self, frames: int) -> int:
        """What so many raw frames take in the file."""
        bits = frames * self.height * self.width
        return -(-bits // 8) if self.is_bits else frames * self.frame_bytes


def pixel_element(syntax: uid.UID, at: int, head: bytes) -> tuple[int, int, int]:
    """Tag, position and length in bytes of the pixel data; 0s where they are not at hand."""
    if syntax == uid.DeflatedExplicitVRLittleEndian or len(head) < 8:
        return 0, 0, 0
    order = "big" if syntax == uid.ExplicitVRBigEndian else "little"
    group, element = (int.from_bytes(head[i : i + 2], order) for i in (0, 2))  # type: ignore[arg-type]
    tag = group << 16 | element
    if tag not in _PIXELS:
        return 0, 0, 0
    if syntax == uid.ImplicitVRLittleEndian:
        return tag, at + 8, int.from_bytes(head[4:8], "little")
    return tag, at + 12, int.from_bytes(head[8:12], order)  # type: ignore[arg-type]


def pixel_format(
    dataset: Dataset, syntax: uid.UID, tag: int, length: int, name: str, mosaic: Mosaic | None
) -> PixelFormat:
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    samples = int(dataset.get("SamplesPerPixel") or 1)
    allocated = int(dataset.get("BitsAllocated") or 0)
    stored = int(dataset.get("BitsStored") or allocated)
    signed = int(dataset.get("PixelRepresentation") or 0) == 1
    photometric = str(dataset.get("PhotometricInterpretation") or "MONOCHROME2").strip()
    if not tag and syntax != uid.DeflatedExplicitVRLittleEndian:
        raise CorruptSource(f"{name} has no pixel data.")
    if rows < 1 or columns < 1 or samples not in (1, 3, 4) or not 1 <= stored <= max(1, allocated):
        raise CorruptSource(f"{name} describes an image of {columns} x {rows} that cannot be.")
    if allocated not in (1, 8, 16, 32, 64):
        raise UnsupportedLayout(f"{name} stores samples in {allocated} bits.")
    raw = (
        syntax in _RAW_SYNTAXES
        and length != _UNDEFINED_LENGTH
        and photometric in _RAW_PHOTOMETRIC
        # Bytes in big-endian words change places (PS3.5, A.3).
        and not (allocated <= 8 and _RAW_SYNTAXES[syntax] == ">")
        and (allocated > 1 or samples == 1)
    )
    code = _PIXELS.get(tag) or f"{'i' if signed else 'u'}{max(1, allocated // 8)}"
    return PixelFormat(
        rows=mosaic.rows if mosaic else rows,
        columns=mosaic.columns if mosaic else columns,
        height=rows,
        width=columns,
        samples=samples,
        stored=np.dtype(_RAW_SYNTAXES[syntax] + code if raw else code),
        unused_bits=allocated - stored if code[0] != "f" else 0,
        is_raw=raw,
        is_bits=raw and allocated == 1,
        is_planar=samples > 1 and int(dataset.get("PlanarConfiguration") or 0) == 1,
        is_palette=photometric == "PALETTE COLOR",
        photometric=photometric,
        syntax=str(syntax),
    )
