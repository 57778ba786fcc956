"""Samples that are written as text, as streams of their bytes."""

from __future__ import annotations

import binascii
import itertools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from scientistcloud.errors import CorruptSource


def skip_bytes(blocks: Iterator[bytes], count: int) -> Iterator[bytes]:
    for block in blocks:
        kept = block[count:]
        count -= min(count, len(block))
        if kept:
            yield kept


def from_hex(blocks: Iterator[bytes], name: str) -> Iterator[bytes]:
    rest = b""
    for block in blocks:
        digits = rest + b"".join(block.split())
        even = len(digits) & ~1
        rest = digits[even:]
        try:
            yield binascii.unhexlify(digits[:even])
        except binascii.Error as error:
            raise CorruptSource(
                f"{name} holds characters that are no hexadecimal digits."
            ) from error


def from_ascii(blocks: Iterator[bytes], dtype: np.dtype[Any], name: str) -> Iterator[bytes]:
    rest = b""
    for block in itertools.chain(blocks, (b" ",)):
        words = re.split(rb"[\s,]+", rest + block)
        rest = words.pop()
        if len(rest) > 1000:
            raise CorruptSource(f"{name} holds something that is no number.")
        convert = int if dtype.kind in "iu" else float
        try:
            yield np.array([convert(word) for word in words if word], dtype).tobytes()
        except (ValueError, OverflowError) as error:
            raise CorruptSource(f"{name} holds something that is no {dtype} number.") from error
