"""Headers of NIfTI-1, NIfTI-2 and ANALYZE 7.5 files, in either byte order.

Source: nifti1.h and nifti2.h of the NIfTI Data Format Working Group; ANALYZE 7.5 has the same
layout as NIfTI-1 without its magic word, scaling and orientation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import CorruptSource, UnsupportedDtype, UnsupportedLayout
from scientistcloud.readers.arrays.attributes import json_value

NIFTI1 = np.dtype(
    [
        ("sizeof_hdr", "i4"), ("data_type", "S10"), ("db_name", "S18"), ("extents", "i4"),
        ("session_error", "i2"), ("regular", "S1"), ("dim_info", "u1"), ("dim", "i2", (8,)),
        ("intent_p1", "f4"), ("intent_p2", "f4"), ("intent_p3", "f4"), ("intent_code", "i2"),
        ("datatype", "i2"), ("bitpix", "i2"), ("slice_start", "i2"), ("pixdim", "f4", (8,)),
        ("vox_offset", "f4"), ("scl_slope", "f4"), ("scl_inter", "f4"), ("slice_end", "i2"),
        ("slice_code", "u1"), ("xyzt_units", "u1"), ("cal_max", "f4"), ("cal_min", "f4"),
        ("slice_duration", "f4"), ("toffset", "f4"), ("glmax", "i4"), ("glmin", "i4"),
        ("descrip", "S80"), ("aux_file", "S24"), ("qform_code", "i2"), ("sform_code", "i2"),
        ("quatern_b", "f4"), ("quatern_c", "f4"), ("quatern_d", "f4"), ("qoffset_x", "f4"),
        ("qoffset_y", "f4"), ("qoffset_z", "f4"), ("srow_x", "f4", (4,)), ("srow_y", "f4", (4,)),
        ("srow_z", "f4", (4,)), ("intent_name", "S16"), ("magic", "S4"),
    ]
)  # fmt: skip
NIFTI2 = np.dtype(
    [
        ("sizeof_hdr", "i4"), ("magic", "S8"), ("datatype", "i2"), ("bitpix", "i2"),
        ("dim", "i8", (8,)), ("intent_p1", "f8"), ("intent_p2", "f8"), ("intent_p3", "f8"),
        ("pixdim", "f8", (8,)), ("vox_offset", "i8"), ("scl_slope", "f8"), ("scl_inter", "f8"),
        ("cal_max", "f8"), ("cal_min", "f8"), ("slice_duration", "f8"), ("toffset", "f8"),
        ("slice_start", "i8"), ("slice_end", "i8"), ("descrip", "S80"), ("aux_file", "S24"),
        ("qform_code", "i4"), ("sform_code", "i4"), ("quatern_b", "f8"), ("quatern_c", "f8"),
        ("quatern_d", "f8"), ("qoffset_x", "f8"), ("qoffset_y", "f8"), ("qoffset_z", "f8"),
        ("srow_x", "f8", (4,)), ("srow_y", "f8", (4,)), ("srow_z", "f8", (4,)),
        ("slice_code", "i4"), ("xyzt_units", "i4"), ("intent_code", "i4"), ("intent_name", "S16"),
        ("dim_info", "u1"), ("unused_str", "S15"),
    ]
)  # fmt: skip

_DTYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 32: "c8", 64: "f8", 256: "i1", 512: "u2", 768: "u4",
    1024: "i8", 1280: "u8", 1792: "c16",
}  # fmt: skip
_COLORS = {128: 3, 2304: 4}
_REFUSED = {0: "unknown", 1: "single bits", 1536: "128-bit floats", 2048: "256-bit complex numbers"}
_LENGTH_UNITS = {1: "m", 2: "mm", 3: "um"}
_TIME_UNITS = {8: "s", 16: "ms", 24: "us", 32: "Hz", 40: "ppm", 48: "rad/s"}
_ANALYZE_MAGIC = "ANALYZE 7.5"


@dataclass(frozen=True)
class NiftiHeader:
    """A header, checked.

    Attributes
    ----------
    dims : tuple of int
        x, y, z, t, u, v, w as far as given.
    dtype : numpy.dtype
        As stored, byte order included; of one colour where `colors` is more than 1.
    affine : ndarray or None
        4 x 4, from sample indices (x, y, z) to positions; None where the header has none.
    """

    kind: str
    dims: tuple[int, ...]
    dtype: np.dtype[Any]
    colors: int
    offset: int
    slope: float
    intercept: float
    pixdim: tuple[float, ...]
    affine: NDArray[np.float64] | None
    length_units: str | None
    time_units: str | None
    time_offset: float
    is_pair: bool
    attributes: dict[str, Any]


def is_nifti(head: bytes, *, analyze: bool = False) -> bool:
    """Whether `head` begins like a NIfTI file (or, if asked for, like an ANALYZE header)."""
    size = {head[:4], head[3::-1]} if len(head) >= 4 else set()
    if b"\x5c\x01\0\0" in size and len(head) >= 348:
        return head[344:348] in (b"n+1\0", b"ni1\0") or analyze
    return b"\x1c\x02\0\0" in size and head[4:8] in (b"n+2\0", b"ni2\0")


def parse_header(head: bytes, name: str) -> NiftiHeader:
    """Read the header of the file `name` (for messages) from its first bytes.

    Raises
    ------
    CorruptSource
        It contradicts itself.
    UnsupportedDtype, UnsupportedLayout
        It describes something that is no grid of numbers.
    """
    layout, order, record = _record(head, name)
    magic = bytes(record["magic"])[:3].decode("latin-1")
    kind = {"n": "NIfTI-2" if layout is NIFTI2 else "NIfTI-1"}.get(magic[:1], _ANALYZE_MAGIC)
    rank = int(record["dim"][0])
    if not 1 <= rank <= 7:
        raise CorruptSource(f"{name} says that it has {rank} axes.")
    dims = tuple(int(n) for n in record["dim"][1 : rank + 1])
    if any(n < 1 for n in dims):
        raise CorruptSource(f"{name} has an axis of length {min(dims)}.")
    dtype, colors = _sample(int(record["datatype"]), order, name)
    analyze = kind == _ANALYZE_MAGIC
    is_pair = analyze or magic.startswith("ni")
    slope, intercept = (1.0, 0.0) if analyze else _scale(record, name)
    units = int(record["xyzt_units"])
    return NiftiHeader(
        kind=kind,
        dims=dims,
        dtype=dtype,
        colors=colors,
        offset=_offset(record, layout, is_pair, name),
        slope=slope,
        intercept=intercept,
        pixdim=tuple(float(v) for v in record["pixdim"]),
        affine=None if analyze else _affine(record),
        length_units=None if analyze else _LENGTH_UNITS.get(units & 7),
        time_units=None if analyze else _TIME_UNITS.get(units & 56),
        time_offset=0.0 if analyze else _finite(record["toffset"]),
        is_pair=is_pair,
        attributes={key: json_value(record[key]) for key in layout.names or ()},
    )


def _record(head: bytes, name: str) -> tuple[np.dtype[Any], str, Any]:
    """Layout and byte order, told by the size of the header at its begin, and its fields."""
    if len(head) < 4:
        raise CorruptSource(f"{name} is too short for a NIfTI header.")
    layout = NIFTI2 if 540 in (int.from_bytes(head[:4], o) for o in ("little", "big")) else NIFTI1
    order: Literal["<", ">"] = "<" if int.from_bytes(head[:4], "little") in (348, 540) else ">"
    if len(head) < layout.itemsize:
        raise CorruptSource(f"{name} is cut short within its header.")
    return layout, order, np.frombuffer(head, layout.newbyteorder(order), 1)[0]


def _sample(code: int, order: str, name: str) -> tuple[np.dtype[Any], int]:
    if code in _COLORS:
        return np.dtype("u1"), _COLORS[code]
    if code not in _DTYPES:
        what = _REFUSED.get(code, f"the unknown number {code}")
        raise UnsupportedDtype(f"{name} holds samples of a type that cannot be shown: {what}.")
    return np.dtype(order + _DTYPES[code]), 1


def _scale(record: Any, name: str) -> tuple[float, float]:
    """A slope of 0 or one that is no number means that nothing is scaled (nifti1.h)."""
    slope, intercept = float(record["scl_slope"]), float(record["scl_inter"])
    if slope == 0 or not math.isfinite(slope):
        return 1.0, 0.0
    if not math.isfinite(intercept):
        raise CorruptSource(f"{name} has an intercept (scl_inter) that is no number.")
    return slope, intercept


def _offset(record: Any, layout: np.dtype[Any], is_pair: bool, name: str) -> int:
    offset = float(record["vox_offset"])
    least = 0 if is_pair else layout.itemsize
    if is_pair and not math.isfinite(offset):
        return 0
    if not math.isfinite(offset) or offset != int(offset) or abs(offset) > 2**62:
        raise CorruptSource(f"{name} has no valid offset of its data (vox_offset).")
    # nifti1.h allows 0 for "right behind the header".
    if offset == 0 and not is_pair:
        return 352 if layout is NIFTI1 else 544
    if offset < least:
        raise CorruptSource(f"{name} says that its data begin inside the header.")
    return int(offset)


def _affine(record: Any) -> NDArray[np.float64] | None:
    """The sform where there is one, else the qform (method 3 before method 2 of nifti1.h)."""
    affine = np.eye(4)
    if int(record["sform_code"]) > 0:
        for row, key in enumerate(("srow_x", "srow_y", "srow_z")):
            affine[row] = record[key]
    elif int(record["qform_code"]) > 0:
        pixdim = record["pixdim"].astype("f8")
        factor = -1.0 if pixdim[0] == -1 else 1.0
        scale = np.array([pixdim[1], pixdim[2], pixdim[3] * factor])
        quaternion = [float(record[f"quatern_{axis}"]) for axis in "bcd"]
        affine[:3, :3] = _rotation(*quaternion) * scale
        affine[:3, 3] = [float(record[f"qoffset_{axis}"]) for axis in "xyz"]
    else:
        return None
    return affine if np.isfinite(affine).all() else None


def _rotation(b: float, c: float, d: float) -> NDArray[np.float64]:
    a = math.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )


def _finite(value: Any) -> float:
    number = float(value)
    return number if math.isfinite(number) else 0.0


def check_rank(dims: tuple[int, ...], name: str) -> None:
    """Refuse what has more axes than space, time and one of components."""
    if any(n > 1 for n in dims[5:]):
        raise UnsupportedLayout(
            f"{name} has more than five axes: {' x '.join(map(str, dims))}.",
            remedy="Split it along its last axes into several files.",
        )
