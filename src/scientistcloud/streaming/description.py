"""A result as viewers need it: one JSON object, axes x first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from scientistcloud.streaming.results import Result

TEXT_NAMES = "xyzuv"


def describe(result: Result, title: str) -> dict[str, Any]:
    """What there is to see, and where it lies in space and time.

    `dims`, `axes` and boxes have x first; `bitmask` tells what each resolution holds: that of
    resolution H has the spacing ``2 ** (digits of the axis after the H-th)``.
    """
    header, record = result.header, result.record
    shape = header.shape[::-1]
    return {
        "uuid": result.uuid,
        "output": result.name,
        "name": title,
        "generation": result.generation,
        "dims": list(shape),
        "origin": list(header.box.lo[::-1]),
        "bitmask": header.bits,
        "max_resolution": header.max_resolution,
        "bits_per_block": header.bits_per_block,
        "fields": [_field(result, index) for index in range(len(header.fields))],
        "timesteps": [header.time_value(index) for index in range(min(header.timesteps, 1 << 16))],
        "times": list(record.get("times") or []),
        "time_units": record.get("time_units"),
        "axes": axes(result),
        "upwards": _is_upwards(record),
        "others": list(record.get("others") or []),
    }


def axes(result: Result) -> list[dict[str, Any]]:
    """Name, spacing, origin and units of each axis, x first; None for what is not known.

    From the record, else from the header. Sample i lies at ``origin + i * spacing``.
    """
    header = result.header
    names = header.axis_names[::-1] or tuple(TEXT_NAMES[: len(header.shape)])
    recorded = result.record.get("axes")
    if isinstance(recorded, list) and len(recorded) == len(names):
        return [
            {
                "name": str(each.get("name") or name),
                "spacing": _number(each.get("spacing")),
                "origin": _number(each.get("origin")),
                "units": each.get("units") if isinstance(each.get("units"), str) else None,
            }
            for each, name in zip(recorded, names, strict=True)
        ]
    found = []
    for axis, name in enumerate(names):
        origin, spacing = header.axis_place(len(names) - 1 - axis) or (None, None)
        found.append({"name": name, "spacing": spacing, "origin": origin, "units": None})
    return found


def value_range(result: Result, index: int) -> tuple[float, float] | None:
    """The smallest and the largest value that a field holds, over its components."""
    item = result.header.fields[index]
    if not item.minimum or not item.maximum:
        return None
    low, high = min(item.minimum), max(item.maximum)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def field_facts(result: Result, index: int) -> Mapping[str, Any]:
    """What the record says of a field; empty where it says nothing."""
    recorded = result.record.get("fields")
    if isinstance(recorded, list) and len(recorded) == len(result.header.fields):
        found = recorded[index]
        return found if isinstance(found, dict) else {}
    return {}


def fill_value(result: Result, index: int) -> float | None:
    """The value that stands for nothing."""
    return _number(field_facts(result, index).get("fill_value"))


def _field(result: Result, index: int) -> dict[str, Any]:
    item, facts = result.header.fields[index], field_facts(result, index)
    text = item.dtype_text.partition("[")[0]
    return {
        "name": item.name,
        "source_name": facts.get("source_name") or item.name,
        "dtype": text,
        "components": item.components,
        "units": facts.get("units"),
        "range": value_range(result, index),
        "fill_value": fill_value(result, index),
    }


def _is_upwards(record: Mapping[str, Any]) -> bool:
    metadata = record.get("metadata")
    return isinstance(metadata, dict) and metadata.get("rows") == "upwards"


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
