"""How an ``.idx`` text names its files: the templates of blocks and of time."""

from __future__ import annotations

import math
import re
from pathlib import PurePosixPath

from scientistcloud.errors import CorruptSource, UnsafeSource, UnsupportedLayout
from scientistcloud.idx.headers.field import parse_number

_TIME_DIRECTIVE = re.compile(r"%0*(\d{0,2})[di]")
_BLOCK_DIRECTIVE = re.compile(r"%0([1-9])x")


def guess_template(name: str, block_bits: int) -> str:
    """The template that OpenVisus takes where a header names none (also ours)."""
    deeper = max(0, -(-(block_bits - 16) // 8))
    return f"./{name}" + "/%02x" * deeper + "/%04x.bin"


def check_templates(filename_template: str, time_template: str) -> None:
    """Refuse what would lead out of the folder, or what is no template."""
    if len(filename_template) > 1000 or len(time_template) > 200:
        raise CorruptSource("A template of the IDX header is too long.")
    plain_time, times = _TIME_DIRECTIVE.subn("0", time_template)
    if "%" in plain_time or times > 1:
        raise CorruptSource(f"The time template of the IDX header is none: {time_template[:60]!r}.")
    prefix, percent, rest = filename_template.partition("%")
    plain = prefix + plain_time + _BLOCK_DIRECTIVE.sub("0", percent + rest)
    if "%" in plain:
        raise CorruptSource(f"The filename template is none: {filename_template[:60]!r}.")
    parts = PurePosixPath(plain).parts
    if not parts or ".." in parts or re.search(r"^[/~]|[\\:\0]|\$\(", plain):
        raise UnsafeSource(
            f"The IDX header names files outside its own folder: {filename_template[:60]!r}."
        )


def parse_time(text: str) -> tuple[tuple[range, ...], str]:
    """The three forms: ``0 9 template``, ``template (0,9,2) (20,29,1)``, ``* * template``."""
    words = text.split()
    if not words:
        return (range(0, 1),), ""
    if words[0] == "*":
        raise UnsupportedLayout("The IDX header does not say which timesteps there are ('*').")
    if len(words) == 3 and not words[1].startswith("("):
        return (_time_range(words[0], words[1], "1"),), words[2]
    ranges = []
    for word in words[1:]:
        match = re.fullmatch(r"\(([^(),]+)(?:,([^(),]+))?(?:,([^(),]+))?\)", word)
        if not match:
            raise CorruptSource(f"The IDX header has no usable (time): {text[:60]!r}.")
        first, last, step = match.groups()
        ranges.append(_time_range(first, last or first, step or "1"))
    if not ranges:
        raise CorruptSource(f"The IDX header has no usable (time): {text[:60]!r}.")
    return tuple(ranges), words[0]


def _time_range(first: str, last: str, step: str) -> range:
    numbers = [parse_number(word, "time") for word in (first, last, step)]
    if not all(abs(n) < 1 << 31 and n == int(n) for n in numbers if math.isfinite(n)) or not all(
        map(math.isfinite, numbers)
    ):
        raise CorruptSource(f"The IDX header has no usable (time): {first[:20]} {last[:20]}.")
    low, high, stride = map(int, numbers)
    if stride < 1 or high < low:
        raise CorruptSource(f"The IDX header has no usable (time): {first[:20]} {last[:20]}.")
    return range(low, high + 1, stride)


def format_time(ranges: tuple[range, ...], template: str) -> str:
    """The text of ``(time)``."""
    first, *more = ranges
    if not more and first.step == 1:
        return f"{first[0]} {first[-1]} {template}"
    spans = " ".join(f"({r[0]},{r[-1]},{r.step})" for r in ranges)
    return f"{template} {spans}"
