"""A dataset that is converted again while it is read: all of an answer is of one conversion."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from scientistcloud.errors import CorruptSource, StorageUnavailable
from scientistcloud.refusals import ResultNotFound
from scientistcloud.streaming.arco import answer_file
from scientistcloud.streaming.block_cache import BlockCache
from scientistcloud.streaming.box_reader import BoxReader
from scientistcloud.streaming.results import Results
from tests.idx.written import write_idx

SHAPE = (40, 90, 100)
FIRST_BLOCK = "visus/0/a/0000/0000/0000/0000.bin"


def _convert(root: Path, value: int, *, arco: bool) -> None:
    """Publish a volume of one value as `conversion.publishing` does."""
    target, staging = root / "u", root / f"staging-{value}"
    data = np.full((1, *SHAPE), value, np.uint16)
    generation = f"{value:016x}"
    base = "visus" if arco else f"visus/{generation}"
    write_idx(staging, {"a": data}, 3, base=base, arco=arco)
    target.mkdir(exist_ok=True)
    if arco:
        if (target / "visus").exists():
            (target / "visus").rename(staging / "former")
        (staging / "visus").rename(target / "visus")
    else:
        (target / "visus").mkdir(exist_ok=True)
        (staging / base).rename(target / base)
    (staging / "visus.idx").replace(target / "visus.idx")
    shutil.rmtree(staging)


@pytest.mark.parametrize("arco", [False, True])
def test_an_answer_is_never_of_two_conversions(tmp_path: Path, arco: bool) -> None:
    _convert(tmp_path, 1, arco=arco)
    results, reader = Results(tmp_path), BoxReader(BlockCache(1 << 20), 2, 1 << 24)
    done, problems, values = threading.Event(), [], set()

    def look() -> None:
        while not done.is_set():
            try:
                result = results.open("u")
                found = reader.read(result, 0, 0, result.header.box, result.header.max_resolution)
            except (StorageUnavailable, CorruptSource):
                continue
            seen = np.unique(found)
            values.update(seen.tolist())
            if len(seen) != 1:
                problems.append(seen)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for each in lookers:
        each.start()
    for value in range(2, 12):
        _convert(tmp_path, value, arco=arco)
    done.set()
    for each in lookers:
        each.join()
    assert not problems, problems[0]
    assert 0 not in values
    result = results.open("u")
    assert (reader.read(result, 0, 0, result.header.box, 10) == 11).all()
    reader.close()


def test_who_holds_a_generation_reads_it_to_the_end(tmp_path: Path) -> None:
    results, reader = Results(tmp_path), BoxReader(BlockCache(0), 1, 1 << 24)
    _convert(tmp_path, 1, arco=False)
    first = results.open("u")
    _convert(tmp_path, 2, arco=False)
    for held in (first, results.open("u", "", first.generation)):
        assert (reader.read(held, 0, 0, held.header.box, 20) == 1).all()
    reader.close()


def test_blocks_that_were_swapped_are_not_given_for_the_former_ones(tmp_path: Path) -> None:
    results, reader = Results(tmp_path), BoxReader(BlockCache(0), 1, 1 << 24)
    _convert(tmp_path, 1, arco=True)
    first = results.open("u")
    _convert(tmp_path, 2, arco=True)
    with pytest.raises(StorageUnavailable):
        reader.read(first, 0, 0, first.header.box, 20)
    with pytest.raises(StorageUnavailable):
        answer_file(first, FIRST_BLOCK, reader, immutable=False)
    second = results.open("u")
    with pytest.raises(ResultNotFound):
        results.open("u", "", first.generation)
    assert (reader.read(second, 0, 0, second.header.box, 20) == 2).all()
    reader.close()
