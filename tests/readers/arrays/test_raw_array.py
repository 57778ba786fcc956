"""Boxes of raw arrays of any strides are those that NumPy cuts out of the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scientistcloud.errors import CorruptSource
from scientistcloud.grid import Box
from scientistcloud.readers.arrays.raw_array import (
    GAP_BYTES,
    SPAN_BYTES,
    RawArray,
    RawStack,
    Scale,
)
from scientistcloud.readers.files.open_files import FilePool

BYTES = np.random.default_rng(18).integers(0, 256, 5 * SPAN_BYTES, "u1")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("raw") / "a.raw"
    file.write_bytes(BYTES.tobytes())
    return file


@st.composite
def arrays(draw: st.DrawFn) -> tuple[np.dtype, tuple[int, ...], tuple[int, ...], int]:
    """Type, shape, strides and offset of an array that lies inside the file."""
    dtype = np.dtype(draw(st.sampled_from(["u1", "<i2", ">i2", ">f8"])))
    rank = draw(st.integers(1, 4))
    order = draw(st.permutations(range(rank)))
    lengths, strides = [1] * rank, [0] * rank
    step = dtype.itemsize
    for axis in order:
        strides[axis] = step
        lengths[axis] = draw(st.integers(1, 40))
        step *= lengths[axis]
        # Rows may be padded: by a little, or by more than is worth reading over.
        step += dtype.itemsize * draw(st.sampled_from([0, 0, 0, 3, GAP_BYTES]))
        while step > SPAN_BYTES * 4 and lengths[axis] > 1:
            lengths[axis] -= 1
            step -= strides[axis]
    offset = draw(st.integers(0, 100))
    last = sum((n - 1) * s for n, s in zip(lengths, strides, strict=True)) + dtype.itemsize
    if offset + last > len(BYTES):
        lengths = [1] * rank
    return dtype, tuple(lengths), tuple(strides), offset


@given(arrays(), st.data())
@settings(max_examples=150, deadline=None)
def test_any_box_of_any_strides(
    path: Path,
    array: tuple[np.dtype, tuple[int, ...], tuple[int, ...], int],
    data: st.DataObject,
) -> None:
    dtype, shape, strides, offset = array
    whole = np.ndarray(shape, dtype, BYTES.data, offset, strides)
    lo = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    hi = tuple(data.draw(st.integers(l + 1, n)) for l, n in zip(lo, shape, strict=True))
    box = Box(lo, hi)
    raw = RawArray(path, offset, dtype, shape, strides)
    assert raw.end <= len(BYTES)
    out = np.empty(box.shape, dtype.newbyteorder("="))
    pool = FilePool(path.parent)
    try:
        raw.read(pool, 0, box, out)
    finally:
        pool.close()
    assert out.tobytes() == whole[box.slices].astype(out.dtype).tobytes()


def test_large_rows_are_read_in_spans(path: Path) -> None:
    """A row longer than a span, of every second sample, with a scale."""
    count = len(BYTES) // 4 - 1
    raw = RawArray(path, 1, np.dtype("<u2"), (count,), (4,), scale=Scale(0.5, -3))
    out = np.empty(count, "f4")
    pool = FilePool(path.parent)
    raw.read(pool, 0, Box.of_shape((count,)), out)
    pool.close()
    stored = np.ndarray((count,), "<u2", BYTES.data, 1, (4,))
    assert np.array_equal(out, (stored * 0.5 - 3).astype("f4"))


def test_stack_of_parts(path: Path) -> None:
    shape = (3, 5, 7)
    parts = tuple(RawArray(path, 1000 * i, np.dtype("u1"), shape, (35, 7, 1)) for i in range(4))
    whole = np.concatenate([BYTES[1000 * i : 1000 * i + 105].reshape(shape) for i in range(4)])
    pool = FilePool(path.parent)
    for lo, hi in ((0, 12), (2, 4), (3, 6), (5, 11), (11, 12)):
        box = Box((lo, 1, 2), (hi, 5, 6))
        out = np.empty(box.shape, "u1")
        RawStack(parts).read(pool, 0, box, out)
        assert np.array_equal(out, whole[box.slices])
    pool.close()


def test_file_that_is_shorter_than_its_header_says(path: Path) -> None:
    raw = RawArray(path, 1, np.dtype("u1"), (len(BYTES),), (1,))
    pool = FilePool(path.parent)
    with pytest.raises(CorruptSource, match=r"a\.raw is cut short"):
        raw.check(pool)
    pool.close()
