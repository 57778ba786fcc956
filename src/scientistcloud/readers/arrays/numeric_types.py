"""Which numbers IDX can hold."""

from __future__ import annotations

from typing import Any

import numpy as np


def numeric_dtype(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """The dtype of the output for stored numbers of `dtype`; None where viewers cannot show it.

    Booleans become uint8; enumerations already have the integer that they are stored as; complex
    numbers and long doubles have no place in IDX.
    """
    if dtype.kind == "b":
        return np.dtype("u1")
    if dtype.kind in "iu" and dtype.itemsize <= 8:
        return dtype.newbyteorder("=")
    if dtype.kind == "f" and dtype.itemsize in (2, 4, 8):
        return dtype.newbyteorder("=")
    return None


def is_unshowable(dtype: np.dtype[Any]) -> bool:
    """Whether samples of `dtype` are numbers that cannot be shown: complex, or over 64 bit."""
    return dtype.base.kind in "biufc" and numeric_dtype(dtype.base) is None
