"""Damage as transfers, disks and programs do it, and as somebody would on purpose."""

from __future__ import annotations

import random
import re
import struct

BIG = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40)


def mutate(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    """`data` with one kind of damage, and the name of that."""
    kinds = (flip_bits, set_bytes, raise_sizes, change_digits, zero_block, truncate, splice)
    kind = rng.choices(kinds, (4, 3, 4, 2, 2, 2, 1))[0]
    return kind(data, rng) or b"\0", kind.__name__


def place(data: bytes, rng: random.Random) -> int:
    """Somewhere; more often near the beginning, where headers are, or the end."""
    reach = rng.choice((64, 512, 2048, len(data), len(data)))
    at = rng.randrange(max(1, min(reach, len(data))))
    return len(data) - 1 - at if rng.random() < 0.1 and data else at


def flip_bits(data: bytes, rng: random.Random) -> bytes:
    mutant = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 4, 30))):
        at = place(data, rng)
        mutant[at : at + 1] = bytes(b ^ 1 << rng.randrange(8) for b in mutant[at : at + 1])
    return bytes(mutant)


def set_bytes(data: bytes, rng: random.Random) -> bytes:
    mutant = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = place(data, rng)
        mutant[at : at + 1] = bytes([rng.choice((0, 1, 127, 128, 255, 32, rng.randrange(256)))])
    return bytes(mutant)


def raise_sizes(data: bytes, rng: random.Random) -> bytes:
    """A number of 2, 4 or 8 bytes becomes another, mostly a large one."""
    mutant = bytearray(data)
    for _ in range(rng.choice((1, 1, 2))):
        code = rng.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
        width = struct.calcsize(code)
        at = place(data, rng) // 2 * 2
        if at + width <= len(mutant):
            old = struct.unpack_from(code, mutant, at)[0]
            new = rng.choice((*BIG, old * 2, old + 1, old - 1, old * 1000, -old))
            struct.pack_into(code, mutant, at, new % (1 << 8 * width))
    return bytes(mutant)


def change_digits(data: bytes, rng: random.Random) -> bytes:
    """A number in a text becomes another; without text, bits flip."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", data[:65536]))
    if not found:
        return flip_bits(data, rng)
    match = rng.choice(found)
    old = match.group()
    new = rng.choice(
        (b"0", b"1", b"-1", old + b"0", old + b"000", b"99999999999999999999", b"1e9", b"NaN", b"")
    )
    return data[: match.start()] + new + data[match.end() :]


def zero_block(data: bytes, rng: random.Random) -> bytes:
    at = place(data, rng)
    length = rng.choice((4, 16, 64, 512, 4096))
    return data[:at] + bytes(min(length, len(data) - at)) + data[at + length :]


def truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def splice(data: bytes, rng: random.Random) -> bytes:
    """A piece is cut out, doubled, or moved from elsewhere."""
    at, source = place(data, rng), place(data, rng)
    length = rng.choice((1, 2, 8, 100, 1000))
    piece = data[source : source + length]
    gone = rng.choice((0, length))
    return data[:at] + rng.choice((b"", piece)) + data[at + gone :]
