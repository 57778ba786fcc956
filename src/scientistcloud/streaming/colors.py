"""From values to colours: palettes, ranges, scales; what the page's shaders do, in NumPy."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scientistcloud.refusals import BadRequest

Scale = Literal["linear", "log", "symlog"]
DEFAULT_PALETTE = "viridis"
_BEND = 1000.0


@cache
def palettes() -> Mapping[str, NDArray[np.uint8]]:
    """Name -> 256 colours of red, green, blue; as matplotlib has them."""
    tables = json.loads(files(__package__).joinpath("palettes.json").read_text())
    return {
        name: np.frombuffer(base64.b64decode(text), np.uint8).reshape(256, 3)
        for name, text in tables.items()
    }


@dataclass(frozen=True, slots=True)
class Look:
    """How values are shown.

    Attributes
    ----------
    low, high : float
        The values at the ends of the palette.
    fill : float, optional
        The value that stands for nothing: transparent, as NaN is.
    """

    low: float
    high: float
    palette: str = DEFAULT_PALETTE
    scale: Scale = "linear"
    fill: float | None = None


def first_look(
    pictures: Sequence[NDArray[Any]], components: int, fill: float | None = None
) -> Look:
    """How samples of one field are shown at first: bytes of colour as they are, else all values."""
    if components >= 3 and all(each.dtype == np.uint8 for each in pictures):
        return Look(0, 255)
    low, high = np.inf, -np.inf
    for each in pictures:
        shown = each[np.isfinite(each) & (True if fill is None else each != fill)]
        if shown.size:
            low, high = min(low, float(shown.min())), max(high, float(shown.max()))
    return Look(low, high, fill=fill) if low <= high else Look(0.0, 1.0, fill=fill)


def paint(samples: NDArray[Any], components: int, look: Look) -> NDArray[np.uint8]:
    """RGBA bytes for rows and columns of samples.

    Three components are red, green and blue, four have an opacity; of two the first is shown.
    """
    if components >= 3:
        bytes_ = (np.clip(place(samples[..., :4], look), 0, 1) * 255 + 0.5).astype(np.uint8)
        if bytes_.shape[-1] == 4:
            return bytes_
        opaque = np.full((*bytes_.shape[:-1], 1), 255, np.uint8)
        return np.concatenate([bytes_, opaque], axis=-1)
    values = samples[..., 0] if components == 2 else samples
    try:
        table = palettes()[look.palette]
    except KeyError:
        raise BadRequest(
            f"There is no palette {look.palette!r}.", remedy=f"One of: {', '.join(palettes())}."
        ) from None
    shown = np.isfinite(values) | np.isinf(values)
    if look.fill is not None:
        shown &= values != look.fill
    where = np.nan_to_num(place(values, look), nan=0.0)
    index = np.clip(np.floor(where * 256), 0, 255).astype(np.uint8)
    out = np.empty((*values.shape, 4), np.uint8)
    out[..., :3] = table[index]
    out[..., 3] = np.where(shown, 255, 0)
    return out


def place(values: NDArray[Any], look: Look) -> NDArray[np.float64]:
    """Where values lie between the ends of the range: 0 to 1, outside below 0 or above 1."""
    exact = np.asarray(values, np.float64)
    low, high = _bent(np.array([look.low, look.high]), look)
    if low == high:
        return np.where(exact < look.low, 0.0, np.where(exact > look.high, 1.0, 0.5))
    with np.errstate(invalid="ignore", over="ignore"):
        found: NDArray[np.float64] = (_bent(exact, look) - low) / (high - low)
    return found


def _bent(values: NDArray[np.float64], look: Look) -> NDArray[np.float64]:
    if look.scale == "log":
        floor = look.low if look.low > 0 else max(look.high, 1e-30) / 1e6
        return np.log(np.maximum(values, floor))
    if look.scale == "symlog":
        return np.arcsinh(values / (max(abs(look.low), abs(look.high)) / _BEND or 1.0))
    return values
