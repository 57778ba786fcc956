"""The lines of ``(fields)`` in an ``.idx`` text: `IdxField`, `parse_fields`, `format_field`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from scientistcloud.errors import CorruptSource, UnsafeSource, UnsupportedDtype

HZ_ORDER = "hzorder"
ROW_MAJOR = ""

_DTYPES = {
    f"{kind}{bits}": np.dtype(f"{letter}{bits // 8}")
    for kind, letter, widths in (
        ("int", "i", (8, 16, 32, 64)),
        ("uint", "u", (8, 16, 32, 64)),
        ("float", "f", (16, 32, 64)),
    )
    for bits in widths
}
_DTYPE_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


@dataclass(frozen=True, slots=True)
class IdxField:
    """One line of ``(fields)``.

    Attributes
    ----------
    dtype : numpy.dtype
        Of one component, little-endian on disk.
    compression : str
        ``default_compression`` as the text has it: ``zip``, ``lz4``, empty for raw.
    layout : str
        `ROW_MAJOR` or `HZ_ORDER`; counts for ARCO only (block files say it for each block).
    default_value : int
        The byte that fills samples of missing blocks.
    minimum, maximum : tuple of float
        One for each component, or empty where the text has none.
    """

    name: str
    dtype: np.dtype[Any]
    components: int = 1
    compression: str = ""
    layout: str = ROW_MAJOR
    default_value: int = 0
    minimum: tuple[float, ...] = ()
    maximum: tuple[float, ...] = ()

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample, all components."""
        return self.dtype.itemsize * self.components

    @property
    def dtype_text(self) -> str:
        """``uint16``, ``uint8[3]``."""
        name = _DTYPE_NAMES[np.dtype(self.dtype.newbyteorder("="))]
        return name if self.components == 1 else f"{name}[{self.components}]"


def parse_fields(text: str) -> tuple[IdxField, ...]:
    depth, start, pieces = 0, 0, []
    for match in re.finditer(r"[()\[\]{}+]", text):
        letter = match.group()
        if letter == "+" and depth == 0:
            pieces.append(text[start : match.start()])
            start = match.end()
        elif letter != "+":
            depth += 1 if letter in "([{" else -1
    pieces.append(text[start:])
    fields = tuple(_parse_field(piece.strip()) for piece in pieces if piece.strip())
    if not fields:
        raise CorruptSource("The IDX header names no fields.")
    if len({f.name for f in fields}) < len(fields):
        raise CorruptSource("Two fields of the IDX header have the same name.")
    return fields


def _parse_field(text: str) -> IdxField:
    words = text.split(maxsplit=2)
    if len(words) < 2:
        raise CorruptSource(f"A field of the IDX header has no type: {text[:40]!r}.")
    name, dtype, components = words[0], *_parse_dtype(words[1])
    if "/" in name or "\\" in name or "\0" in name or name in (".", ".."):
        raise UnsafeSource(f"The name of field {name[:40]!r} would lead into other folders.")
    default = _argument(text, "default_value") or "0"
    layout = _argument(text, "default_layout", "layout", "format") or ""
    compression = _argument(text, "default_compression", "compression", "compressed")
    if compression is None:
        compression = "zip" if "compressed" in text else ""
    return IdxField(
        name=name,
        dtype=dtype,
        components=components,
        compression=compression,
        layout=HZ_ORDER if layout == "0" or "hz" in layout else ROW_MAJOR,
        default_value=_whole(parse_number(default, "default_value")),
        minimum=_range(_argument(text, "min"), components),
        maximum=_range(_argument(text, "max"), components),
    )


def _parse_dtype(text: str) -> tuple[np.dtype[Any], int]:
    """``uint8``, ``uint8[3]``, ``3*uint8``, ``{uint8,uint8}``: type and number of components."""
    match = re.fullmatch(r"(?:(\d{1,4})\*)?([a-z]+\d+)(?:\[(\d{1,4})\])?", text)
    if match and match.group(2) in _DTYPES:
        count = int(match.group(1) or 1) * int(match.group(3) or 1)
        if 1 <= count <= 4096:
            return _DTYPES[match.group(2)], count
    names = text.strip("{}").split(",")
    if len(names) > 1 and len(set(names)) == 1 and names[0] in _DTYPES:
        return _DTYPES[names[0]], len(names)
    raise UnsupportedDtype(
        f"The IDX header has samples of a type that cannot be read: {text[:40]!r}."
    )


def _argument(text: str, *names: str) -> str | None:
    """What stands in the brackets of the first of `names` that `text` has; None for none."""
    for name in names:
        found = re.search(rf"(?<![\w]){name}\(([^()]*)\)", text)
        if found:
            return found.group(1).strip()
    return None


def _whole(number: float) -> int:
    return int(number) if math.isfinite(number) else 0


def _range(text: str | None, components: int) -> tuple[float, ...]:
    """One number for each component; the last one counts for those without."""
    words = (text or "").split()[:components]
    if not words:
        return ()
    values = [_exact(word) for word in words]
    return tuple(values + values[-1:] * (components - len(values)))


def _exact(word: str) -> float:
    """An int where the text is one, so that 64-bit limits survive."""
    return int(word) if re.fullmatch(r"[+-]?\d{1,20}", word) else parse_number(word, "fields")


def format_field(item: IdxField) -> str:
    zeros = (0,) * item.components
    low, high = (
        " ".join(repr(n.item() if isinstance(n, np.generic) else n) for n in values or zeros)
        for values in (item.minimum, item.maximum)
    )
    compression = f"default_compression({item.compression}) " if item.compression else ""
    return (
        f"{item.name} {item.dtype_text} {compression}default_layout({item.layout}) "
        f"default_value({item.default_value}) min({low}) max({high})"
    )


def parse_number(text: str, key: str) -> float:
    try:
        return float(text[:64])
    except ValueError:
        raise CorruptSource(f"The IDX header has no usable ({key}): {text[:40]!r}.") from None
