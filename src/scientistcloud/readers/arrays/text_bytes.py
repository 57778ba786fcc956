"""Text, JSON and logs that are kept as arrays of bytes: never data, however large.

What counts is the content, not the name. An image is not taken for text: its bytes would have to be
printable throughout, begin and end like JSON or XML, or fall into words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from scientistcloud.grid import Shape

SAMPLE_BYTES = 1 << 16
_LEAST = 8
_ENDS = {"{": "}", "[": "]", "<": ">"}
_UNPRINTABLE = re.compile(r"[^\t\r\n\x20-\x7e\u00a0-\U0010ffff]")
_LEAST_LETTERS, _LEAST_BLANKS, _LEAST_DISTINCT = 0.4, 0.05, 6


def could_be_text(dtype: np.dtype[np.generic]) -> bool:
    """Whether samples of that type can be bytes of text at all."""
    return dtype.kind in "iu" and dtype.itemsize == 1


def lines_of(shape: Shape) -> Iterator[tuple[slice, ...]]:
    """The parts of an array that are to be looked at: along its longest axis, and its last."""
    if not shape or 0 in shape:
        return
    longest = max(range(len(shape)), key=lambda axis: shape[axis])
    for axis in dict.fromkeys((longest, len(shape) - 1)):
        line = [slice(0, 1)] * len(shape)
        line[axis] = slice(0, min(shape[axis], SAMPLE_BYTES))
        yield tuple(line)
    # A text that runs on from row to row.
    rows = max(1, min(shape[0], SAMPLE_BYTES // max(1, int(np.prod(shape[1:], dtype=object)))))
    if len(shape) == 2:
        yield slice(0, rows), slice(0, min(shape[1], SAMPLE_BYTES))


def is_text(block: NDArray[np.generic], *, is_whole: bool) -> bool:
    """Whether the bytes of `block`, read one after the other, are text.

    Parameters
    ----------
    is_whole : bool
        Whether these are all; else the end of the text is not among them.
    """
    raw = block.tobytes().rstrip(b"\0")
    if len(raw) < _LEAST:
        return False
    plain = raw.decode("utf-8", "replace" if is_whole else "ignore").strip()
    if not plain or "\ufffd" in plain or _UNPRINTABLE.search(plain):
        return False
    end = _ENDS.get(plain[0])
    if end is not None and len(set(plain)) >= _LEAST_DISTINCT:
        return plain.endswith(end) or not is_whole or _has_words(plain)
    return _has_words(plain)


def _has_words(plain: str) -> bool:
    letters = sum(c.isalpha() for c in plain) / len(plain)
    blanks = sum(c.isspace() for c in plain) / len(plain)
    distinct = len({c for c in plain if c.isalpha()})
    return letters >= _LEAST_LETTERS and blanks >= _LEAST_BLANKS and distinct >= _LEAST_DISTINCT
