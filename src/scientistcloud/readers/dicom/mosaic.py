"""Siemens mosaics: the slices of a volume side by side in one image.

Source: the private elements (0019,xx0A) and the "CSA" header (0029,xx10) as NiBabel documents them
(https://nipy.org/nibabel/dicom/siemens_csa.html). The ImagePositionPatient of a mosaic is that of a
single image as large as the mosaic, about the same centre.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

from pydicom import Dataset

from scientistcloud.readers.dicom.elements import number, numbers, pixel_spacing
from scientistcloud.readers.dicom.placement import Vector, moved, normal_of

_COUNT, _CSA = (0x0019, 0x100A), (0x0029, 0x1010)
_MAX_TAGS = 1000


@dataclass(frozen=True, slots=True)
class Mosaic:
    """Tiles in rows, from left to right, then downwards.

    Attributes
    ----------
    normal : Vector or None
        From the first slice to the next; None where the file does not tell.
    """

    count: int
    across: int
    rows: int
    columns: int
    normal: Vector | None

    def corner(self, tile: int) -> tuple[int, int]:
        """Row and column of the first sample of a tile."""
        return tile // self.across * self.rows, tile % self.across * self.columns


def is_mosaic(dataset: Dataset) -> bool:
    """Whether a file says that it is one."""
    return "MOSAIC" in [str(v).upper() for v in dataset.get("ImageType") or ()]


def mosaic_of(dataset: Dataset) -> Mosaic | None:
    """How the slices lie in a mosaic; None where that is not told."""
    if not is_mosaic(dataset):
        return None
    csa = _csa(_plain(dataset, _CSA))
    told = _plain(dataset, _COUNT)
    if isinstance(told, bytes):
        told = int.from_bytes(told[:2], "little")
    count = int(number(told) or number(next(iter(csa.get("NumberOfImagesInMosaic", ())), 0)) or 0)
    across = math.isqrt(max(0, count - 1)) + 1
    if not 1 < count <= 4096 or dataset.Rows % across or dataset.Columns % across:
        return None
    found = numbers(csa.get("SliceNormalVector"))
    normal = (found[0], found[1], found[2]) if len(found) == 3 else None
    return Mosaic(count, across, dataset.Rows // across, dataset.Columns // across, normal)


def tile_position(
    dataset: Dataset,
    mosaic: Mosaic,
    tile: int,
    place: Vector | None,
    turn: tuple[float, ...] | None,
) -> Vector | None:
    """Where the first sample of a tile lies; `place` is that of the mosaic."""
    spacing = pixel_spacing(dataset)
    step = number(dataset.get("SpacingBetweenSlices")) or number(dataset.get("SliceThickness"))
    if place is None or turn is None or spacing is None or step is None:
        return None
    place = moved(place, turn[:3], spacing[1] * (dataset.Columns - mosaic.columns) / 2)
    place = moved(place, turn[3:], spacing[0] * (dataset.Rows - mosaic.rows) / 2)
    return moved(place, mosaic.normal or normal_of(turn), step * tile)


def _plain(dataset: Dataset, tag: tuple[int, int]) -> Any:
    return dataset[tag].value if tag in dataset else None


def _csa(data: Any) -> dict[str, list[str]]:
    """The elements of a header of the kind "SV10"; empty where it is none, or damaged."""
    if not isinstance(data, bytes) or data[:4] != b"SV10":
        return {}
    found: dict[str, list[str]] = {}
    try:
        (count,) = struct.unpack_from("<I", data, 8)
        at = 16
        for _ in range(min(count, _MAX_TAGS)):
            name, _, _, _, items = struct.unpack_from("<64si4sii", data, at)
            at += 84
            values = []
            for _ in range(items):
                _, length, _, _ = struct.unpack_from("<4i", data, at)
                if not 0 <= length <= len(data):
                    return found
                text = data[at + 16 : at + 16 + length]
                at += 16 + (length + 3) // 4 * 4
                if text.strip(b"\0 "):
                    values.append(text.split(b"\0")[0].decode("latin-1").strip())
            found[name.split(b"\0")[0].decode("latin-1")] = values
    except struct.error:
        pass
    return found
