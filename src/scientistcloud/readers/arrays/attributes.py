"""Attributes of source files as JSON: whatever a library hands out, made small and printable."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

MAX_VALUES = 256
"""Longer arrays are cut to this many values, and say how many there were."""
MAX_TEXT = 8192


def json_value(value: Any) -> Any:
    """`value` as something that JSON can hold.

    NumPy scalars become numbers, NaN and infinities None, bytes text, complex numbers and objects
    their text; arrays become lists, and long ones ``{"first": [...], "length": n}``.
    """
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | bytes):
        return text(value)
    if isinstance(value, Mapping):
        return {text(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return _sequence(list(value))
    return text(str(value))


def json_attributes(attributes: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """Named values as JSON."""
    return {text(name): json_value(value) for name, value in attributes}


def text(value: Any) -> str:
    """`value` (text, bytes, or an array that holds one of them) as text that can be encoded.

    Bytes that are no UTF-8 are taken for Latin-1, which old files of instruments hold.
    """
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)[0] if value.size else ""
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            value = value.decode("latin-1")
    plain = str(value).split("\0", 1)[0].encode("utf-8", "backslashreplace").decode()
    return plain if len(plain) <= MAX_TEXT else plain[:MAX_TEXT] + " ..."


def texts(value: Any) -> tuple[str, ...]:
    """The words of an attribute that lists names: an array of text, or one text that is split.

    Separators of a single text are blanks, commas and colons, with or without brackets around it.
    """
    if isinstance(value, np.ndarray) and value.size > 1:
        return tuple(text(item) for item in value.reshape(-1)[:MAX_VALUES])
    if isinstance(value, list | tuple):
        return tuple(text(item) for item in value[:MAX_VALUES])
    plain = text(value).strip("[] ")
    for separator in (",", ":"):
        plain = plain.replace(separator, " ")
    return tuple(plain.split())


def number(value: Any) -> float | None:
    """`value` as a finite number, or None where it is none."""
    try:
        array = np.asarray(value)
        if array.size != 1 or array.dtype.kind not in "iufb":
            return None
        result = float(array.reshape(-1)[0])
    except (TypeError, ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def _array(array: np.ndarray[Any, Any]) -> Any:
    if array.ndim == 0:
        return json_value(array.item() if array.dtype.names is None else array.tolist())
    if array.size > MAX_VALUES:
        first = array.reshape(-1)[:MAX_VALUES]
        return {"first": [json_value(v) for v in first], "length": int(array.size)}
    return [json_value(item) for item in array]


def _sequence(values: list[Any]) -> Any:
    if len(values) > MAX_VALUES:
        first = [json_value(v) for v in values[:MAX_VALUES]]
        return {"first": first, "length": len(values)}
    return [json_value(v) for v in values]
