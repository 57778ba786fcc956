"""What the update pipelines are built of: expressions that trust nothing a document holds.

They are evaluated by the server, by its clock (``$$NOW``). A value is used after its type was
looked at, else it is reset. Text that comes from outside passes through `literal`, because a
pipeline reads ``"$x"`` as a field.
"""

from __future__ import annotations

from typing import Any

Stage = dict[str, Any]

NOW = "$$NOW"
REMOVE = "$$REMOVE"
LARGEST_COUNT = 1_000_000


def literal(value: Any) -> Stage:
    """`value` as it is, whatever dollar signs it holds."""
    return {"$literal": value}


def whole(value: Stage) -> Stage:
    """An object that replaces the former value; a bare one would be merged into it."""
    return {"$mergeObjects": [value]}


def in_seconds(seconds: float) -> Stage:
    """The server's time, `seconds` from now."""
    return {"$add": [NOW, round(seconds * 1000)]}


def is_type(field: str, name: str) -> Stage:
    return {"$eq": [{"$type": field}, name]}


def count_or_zero(field: str) -> Stage:
    """The whole number in `field`, or 0 for whatever cannot be a count."""
    usable = {
        "$and": [
            {"$isNumber": field},
            {"$gte": [field, 0]},
            {"$lte": [field, LARGEST_COUNT]},
        ]
    }
    return {"$cond": [usable, {"$toInt": {"$trunc": field}}, 0]}


RESET_CONVERSION: Stage = {
    "$set": {
        "conversion": {"$cond": [is_type("$conversion", "object"), "$conversion", literal({})]}
    }
}
"""After this stage `conversion` is an object; a former value of another type is gone."""

WAITING: Stage = {
    "$and": [
        is_type("$conversion", "object"),
        is_type("$conversion.waiting", "object"),
        is_type("$conversion.waiting.token", "string"),
        is_type("$conversion.waiting.not_before", "date"),
    ]
}
"""Whether this queued document is one that we put back, rather than a new request."""

DUE: Stage = {"$not": [{"$and": [WAITING, {"$gt": ["$conversion.waiting.not_before", NOW]}]}]}
"""Whether this queued document may be claimed now."""

LEASED: Stage = {
    "$and": [
        is_type("$conversion", "object"),
        is_type("$conversion.lease", "object"),
        is_type("$conversion.lease.token", "string"),
        is_type("$conversion.lease.expires_at", "date"),
    ]
}
"""Whether this converting document has a lease of ours."""
