"""The range of a field's finite samples, gathered block by block."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.idx.headers.field import IdxField

Limits = tuple[tuple[float, ...], tuple[float, ...]]
"""Minima and maxima of the components; integers where the samples are."""

_ROW_SAMPLES = 64


def finite_limits(samples: NDArray[Any], components: int) -> Limits | None:
    """Minima and maxima of the finite samples; None where there are none.

    Parameters
    ----------
    samples : ndarray
        Contiguous; the last axis holds the components where there are several.
    """
    if samples.dtype == np.float16:
        samples = samples.astype(np.float32)
    if components == 1:
        low, high = samples.min(), samples.max()
        if samples.dtype.kind == "f" and not (np.isfinite(low) and np.isfinite(high)):
            return _masked_limits(samples, 1)
        return (low.item(),), (high.item(),)
    lows, highs = _component_limits(samples.reshape(-1, components))
    if samples.dtype.kind == "f" and not (np.isfinite(lows).all() and np.isfinite(highs).all()):
        return _masked_limits(samples, components)
    return tuple(lows.tolist()), tuple(highs.tolist())


def _component_limits(rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    count, components = rows.shape
    if count % _ROW_SAMPLES == 0:
        # Long rows reduce many samples with one instruction; a row of 3 would not.
        wide = rows.reshape(-1, _ROW_SAMPLES * components)
        low = wide.min(axis=0).reshape(_ROW_SAMPLES, components)
        high = wide.max(axis=0).reshape(_ROW_SAMPLES, components)
        return low.min(axis=0), high.max(axis=0)
    return rows.min(axis=0), rows.max(axis=0)


def _masked_limits(samples: NDArray[Any], components: int) -> Limits | None:
    """Slow: only for blocks that hold NaN or infinities."""
    limits = []
    for column in samples.reshape(-1, components).T:
        finite = column[np.isfinite(column)]
        limits.append((finite.min().item(), finite.max().item()) if finite.size else None)
    if all(pair is None for pair in limits):
        return None
    pairs = [(math.inf, -math.inf) if pair is None else pair for pair in limits]
    return tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)


def limits_without(
    fill: float | int | None, limits: Limits, samples: NDArray[Any], components: int
) -> Limits | None:
    """The limits of the samples that are not `fill`: those stand for missing ones.

    Parameters
    ----------
    fill : int, float or None
        A value that `samples` cannot hold, and None, stand for nothing.
    limits : Limits
        The `finite_limits` of `samples`.
    """
    missing = _as_sample(fill, samples.dtype)
    if missing is None or not any(missing in ends for ends in limits):
        return limits
    columns = [column[column != missing] for column in samples.reshape(-1, components).T]
    each = [finite_limits(column, 1) if column.size else None for column in columns]
    pairs = [((math.inf,), (-math.inf,)) if pair is None else pair for pair in each]
    if not any(each):
        return None
    return tuple(low for (low,), _ in pairs), tuple(high for _, (high,) in pairs)


def _as_sample(fill: float | int | None, dtype: np.dtype[Any]) -> float | int | None:
    """`fill` rounded to `dtype`; None where there is no such sample."""
    if fill is None or not math.isfinite(fill):
        return None
    if dtype.kind == "f":
        largest = float(np.finfo(dtype).max)
        return float(dtype.type(fill)) if abs(fill) <= largest else None
    limits = np.iinfo(dtype)
    return int(fill) if int(fill) == fill and limits.min <= fill <= limits.max else None


class Ranges:
    """The limits of every field so far. `extend` may be called from any thread."""

    def __init__(self, fields: Sequence[IdxField]) -> None:
        self._lock = threading.Lock()
        self._lows = [[math.inf] * f.components for f in fields]
        self._highs = [[-math.inf] * f.components for f in fields]

    def extend(self, field: int, limits: Limits) -> None:
        """Take in the limits of further samples of a field (its index)."""
        lows, highs = self._lows[field], self._highs[field]
        with self._lock:
            for i, (low, high) in enumerate(zip(*limits, strict=True)):
                lows[i] = min(lows[i], low)
                highs[i] = max(highs[i], high)

    def extend_all(self, limits: Sequence[Limits]) -> None:
        """Take in what another `Ranges` gathered (its `raw_limits`)."""
        for field, each in enumerate(limits):
            self.extend(field, each)

    def raw_limits(self) -> list[Limits]:
        """Of each field; infinite where no finite sample was seen."""
        return [
            (tuple(low), tuple(high)) for low, high in zip(self._lows, self._highs, strict=True)
        ]

    def limits(self) -> list[Limits]:
        """Of each field; 0 where no finite sample was seen."""
        return [
            (
                tuple(0 if math.isinf(v) else v for v in lows),
                tuple(0 if math.isinf(v) else v for v in highs),
            )
            for lows, highs in zip(self._lows, self._highs, strict=True)
        ]
