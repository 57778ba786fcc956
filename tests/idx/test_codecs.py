"""Codecs: what one writes, the standard library and OpenVisus's rules read."""

from __future__ import annotations

import tracemalloc
import zlib

import lz4.block
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scientistcloud.idx.files.codecs import (
    CODECS,
    LZ4,
    RAW,
    ROW_MAJOR,
    ZIP,
    DamagedBlock,
    UnknownCodec,
    crc32,
    decode,
    flag_of_compression,
)

SAMPLES = st.one_of(
    st.binary(min_size=1, max_size=5000),
    st.tuples(st.binary(min_size=1, max_size=9), st.integers(1, 3000)).map(lambda p: p[0] * p[1]),
)


@pytest.mark.parametrize("name", CODECS)
@given(samples=SAMPLES)
@settings(deadline=None)
def test_what_is_encoded_is_decoded(name: str, samples: bytes) -> None:
    codec = CODECS[name]
    stored = bytes(codec.encode(memoryview(samples)))
    assert decode(stored, codec.flag | ROW_MAJOR, len(samples)) == samples


@given(samples=SAMPLES)
@settings(deadline=None)
def test_independent_libraries_read_it(samples: bytes) -> None:
    for name in ("isal-1", "zlib-ng-6"):
        assert zlib.decompress(CODECS[name].encode(memoryview(samples))) == samples
    stored = CODECS["lz4"].encode(memoryview(samples))
    assert lz4.block.decompress(stored, uncompressed_size=len(samples)) == samples


@pytest.mark.parametrize("flags", [RAW, ZIP, LZ4])
@pytest.mark.parametrize("stored", [b"", b"\x00", b"x\x9c\x03", b"\xff" * 40])
def test_damaged_blocks_are_found(flags: int, stored: bytes) -> None:
    with pytest.raises(DamagedBlock):
        decode(stored, flags, 1000)


def test_a_stream_of_the_wrong_length_is_damaged() -> None:
    for name in ("isal-1", "lz4", "raw"):
        stored = bytes(CODECS[name].encode(memoryview(bytes(999))))
        for size in (998, 1000):
            with pytest.raises(DamagedBlock):
                decode(stored, CODECS[name].flag, size)


def test_a_flipped_bit_does_not_go_unnoticed_in_a_zlib_stream() -> None:
    samples = np.random.default_rng(0).normal(0, 10, 4000).astype("i2").tobytes()
    stored = CODECS["isal-1"].encode(memoryview(samples))
    for position in range(0, len(stored), 97):
        damaged = bytearray(stored)
        damaged[position] ^= 1
        try:
            assert decode(damaged, ZIP, len(samples)) == samples
        except DamagedBlock:
            continue
        pytest.fail(f"byte {position} changed and nothing was said")


def test_lossy_codecs_are_refused() -> None:
    with pytest.raises(UnknownCodec):
        decode(b"1234", 8, 4)
    with pytest.raises(UnknownCodec, match="zfp"):
        flag_of_compression("zfp-reversible")
    assert [flag_of_compression(c) for c in ("", "raw", "zip", "ZIP-6", "lz4")] == [0, 0, 3, 3, 7]


def test_checksums_are_those_of_zlib() -> None:
    assert crc32(b"abc") == zlib.crc32(b"abc")
    assert crc32(b"def", crc32(b"abc")) == zlib.crc32(b"abcdef")


def test_a_block_that_would_unpack_to_far_more_is_refused_before_it_does() -> None:
    stored = zlib.compress(bytes(64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(DamagedBlock):
            decode(stored, CODECS["isal-1"].flag, 1 << 17)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
