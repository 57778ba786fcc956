"""Packed and missing values, by the CF conventions (chapters 2.5.1 and 8.1) and the NetCDF guide.

- ``_Unsigned`` (signed storage of unsigned integers) is undone.
- Packed integers (``scale_factor``, ``add_offset``) become floating point: of the type of these
  attributes, but double where a 32-bit integer would not fit into a float.
- Floating-point results have NaN where a value is missing: ``_FillValue``, ``missing_value``,
  outside ``valid_range``/``valid_min``/``valid_max``, or never written.
- Integers that are not packed stay what they are, with their ``_FillValue`` as fill value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.readers.arrays.attributes import text

# NC_FILL_FLOAT, NC_FILL_DOUBLE and the integers of netcdf.h: what is there and was never written.
# Bytes have none: every byte is a value.
DEFAULT_FILLS: dict[str, float | int] = {
    "f4": 9.969209968386869e36, "f8": 9.969209968386869e36,
    "i2": -32767, "u2": 65535, "i4": -2147483647, "u4": 4294967295,
    "i8": -9223372036854775806, "u8": 18446744073709551614,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Packing:
    """How stored samples become those of the output.

    Attributes
    ----------
    stored : numpy.dtype
        As they are taken (`_Unsigned` undone).
    result : numpy.dtype
        As they leave.
    scale, offset : numpy scalar or None
    fills : tuple
        Stored values that stand for nothing.
    valid : tuple of (lowest, highest)
        Either may be None; of stored samples, or of unpacked ones where `valid_is_unpacked`.
    fill_value : int, float or None
        The value of the output that stands for nothing; None for NaN and where there is none.
    """

    stored: np.dtype[Any]
    result: np.dtype[Any]
    scale: Any = None
    offset: Any = None
    fills: tuple[Any, ...] = ()
    valid: tuple[Any, Any] = (None, None)
    valid_is_unpacked: bool = False
    fill_value: float | int | None = None

    @property
    def is_packed(self) -> bool:
        return self.scale is not None or self.offset is not None

    @property
    def is_plain(self) -> bool:
        """Whether stored samples are those of the output, bit for bit."""
        masks = self.fills or self.valid != (None, None)
        return not self.is_packed and not (self.result.kind == "f" and masks)

    def unpack(self, raw: NDArray[Any], out: NDArray[Any]) -> None:
        """Fill `out` (of dtype `result`) from stored samples of the same shape."""
        if raw.dtype != self.stored:
            raw = raw.view(self.stored) if raw.dtype.kind in "iu" else raw.astype(self.stored)
        if self.is_plain:
            out[...] = raw
            return
        missing = self._missing(raw)
        values: Any = raw
        # The order and the types of these operations are those of netCDF4-python.
        with np.errstate(all="ignore"):
            if self.scale is not None:
                values = values * self.scale
            if self.offset is not None:
                values = values + self.offset
            if self.valid_is_unpacked:
                missing |= self._outside(values)
            out[...] = values
        out[missing] = np.nan

    def _missing(self, raw: NDArray[Any]) -> NDArray[np.bool_]:
        missing = np.zeros(raw.shape, np.bool_)
        for fill in self.fills:
            missing |= raw == fill
        if not self.valid_is_unpacked:
            missing |= self._outside(raw)
        return missing

    def _outside(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        lowest, highest = self.valid
        outside = np.zeros(values.shape, np.bool_)
        with np.errstate(invalid="ignore"):
            if lowest is not None:
                outside |= values < lowest
            if highest is not None:
                outside |= values > highest
        return outside


def packing_of(dtype: np.dtype[Any], attributes: Mapping[str, Any]) -> Packing:
    """How a variable of the stored `dtype` is unpacked, by its attributes."""
    stored = dtype.newbyteorder("=")
    unsigned = text(attributes.get("_Unsigned", "")).lower()
    if unsigned == "true" and stored.kind == "i":
        stored = np.dtype(f"u{stored.itemsize}")
    elif unsigned == "false" and stored.kind == "u":
        stored = np.dtype(f"i{stored.itemsize}")
    scale, offset = _scalar(attributes, "scale_factor"), _scalar(attributes, "add_offset")
    result = _result(stored, scale, offset)
    if result == stored:
        scale = offset = None
    fills = _fills(stored, attributes)
    valid, is_unpacked = _valid(stored, attributes, scale, offset)
    if result.kind == "f":
        return Packing(stored, result, scale, offset, fills, valid, is_unpacked)
    fill = _cast(attributes.get("_FillValue", attributes.get("missing_value")), stored)
    return Packing(stored, result, fills=fills, fill_value=None if not fill else int(fill[0]))


def _result(stored: np.dtype[Any], scale: Any, offset: Any) -> np.dtype[Any]:
    given = [v for v in (scale, offset) if v is not None]
    if not given:
        return stored
    is_identity = (scale is None or scale == 1) and (offset is None or offset == 0)
    if is_identity and (stored.kind == "f" or all(v.dtype.kind in "iu" for v in given)):
        return stored
    wide = any(v.dtype.kind != "f" or v.dtype.itemsize > 4 for v in given)
    if wide or (stored.kind in "iu" and stored.itemsize > 2) or stored.itemsize > 4:
        return np.dtype("f8")
    return np.dtype("f4")


def _scalar(attributes: Mapping[str, Any], name: str) -> Any:
    """A numeric attribute as a NumPy scalar of its own type; None where it is no finite number."""
    if name not in attributes:
        return None
    array = np.asarray(attributes[name]).reshape(-1)
    if array.dtype.kind in "USO" and array.size == 1:
        try:
            array = np.array([float(text(array[0]))])
        except ValueError:
            return None
    if array.size != 1 or array.dtype.kind not in "iuf" or not np.isfinite(array[0]):
        return None
    return array[0]


def _fills(stored: np.dtype[Any], attributes: Mapping[str, Any]) -> tuple[Any, ...]:
    values = [
        value
        for name in ("_FillValue", "missing_value")
        for value in _cast(attributes.get(name), stored)
    ]
    if "_FillValue" not in attributes:
        default = DEFAULT_FILLS.get(f"{stored.kind}{stored.itemsize}")
        if default is not None:
            values.append(stored.type(default))
    # NaN never equals anything, and is NaN already.
    return tuple(dict.fromkeys(v for v in values if v == v))


def _cast(value: Any, stored: np.dtype[Any]) -> list[Any]:
    """The numbers of an attribute as stored samples; those that are none are left out.

    A negative number of the signed type means, for unsigned samples, the same bits.
    """
    if value is None:
        return []
    array = np.asarray(value).reshape(-1)
    if array.dtype.kind not in "iuf" or array.size > 64:
        return []
    same_bits = array.dtype.kind in "iu" and stored.kind in "iu"
    if same_bits and array.dtype.itemsize == stored.itemsize:
        return list(array.astype(array.dtype.newbyteorder("=")).view(stored))
    with np.errstate(all="ignore"):
        cast = array.astype(stored)
    if stored.kind == "f":
        return list(cast)
    return [c for c, a in zip(cast, array, strict=True) if c == a]


def _valid(
    stored: np.dtype[Any], attributes: Mapping[str, Any], scale: Any, offset: Any
) -> tuple[tuple[Any, Any], bool]:
    """The valid range, and whether it is meant for unpacked values (if of a wider type)."""
    whole = np.asarray(attributes.get("valid_range", ())).reshape(-1)
    if whole.size == 2 and whole.dtype.kind in "iuf":
        ends: list[Any] = [whole[:1], whole[1:]]
    else:
        ends = [attributes.get("valid_min"), attributes.get("valid_max")]
    kinds = [np.asarray(e).dtype.kind for e in ends if e is not None]
    is_packed = scale is not None or offset is not None
    if is_packed and stored.kind in "iu" and "f" in kinds:
        return (_number(ends[0]), _number(ends[1])), True
    lowest, highest = (_cast(e, stored) for e in ends)
    return (lowest[0] if lowest else None, highest[0] if highest else None), False


def _number(value: Any) -> Any:
    array = np.asarray(value if value is not None else ()).reshape(-1)
    return array[0] if array.size == 1 and array.dtype.kind in "iuf" else None
