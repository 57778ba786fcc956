"""A service holds no more after many datasets than after a few (`benchmarks.leaks` at length)."""

from __future__ import annotations

import mmap
import threading
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from benchmarks.footprint import COUNTED, Footprint, grown, growth, measure
from benchmarks.leaks import Run
from tests.site import Site

RESTING = Footprint(
    datasets=0,
    own_bytes=70_000_000,
    pss_bytes=80_000_000,
    descriptors=16,
    threads=12,
    processes=2,
    scratch_files=1,
)


def after_each_hundred(**slopes: int) -> list[Footprint]:
    """Footprints whose values grow by so much with each dataset."""
    return [
        replace(
            RESTING, datasets=done, **{k: getattr(RESTING, k) + n * done for k, n in slopes.items()}
        )
        for done in range(100, 1100, 100)
    ]


def test_growth_is_told_per_10000_datasets() -> None:
    found = growth(after_each_hundred(own_bytes=250, descriptors=1))
    assert found["own_bytes"] == pytest.approx(2_500_000)
    assert found["descriptors"] == pytest.approx(10_000)
    assert found["threads"] == found["processes"] == found["scratch_files"] == 0


def test_a_single_odd_value_is_no_growth() -> None:
    odd = after_each_hundred()
    odd[3] = replace(odd[3], own_bytes=900_000_000)
    assert growth(odd)["own_bytes"] == 0


@pytest.mark.parametrize("name", COUNTED)
def test_one_more_at_the_end_has_grown(name: str) -> None:
    footprints = after_each_hundred()
    assert grown(footprints) == {}
    footprints[-1] = replace(footprints[-1], **{name: getattr(RESTING, name) + 1})
    assert grown(footprints) == {name: 1}


def test_what_is_held_is_seen(tmp_path: Path) -> None:
    ourselves = [psutil.Process()]
    before = measure(ourselves, [tmp_path], 0)
    # Not from memory that was freed before.
    held = mmap.mmap(-1, 20_000_000, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    held.write(b"x" * len(held))
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    with (tmp_path / "left-over").open("wb"):
        after = measure(ourselves, [tmp_path], 0)
    release.set()
    thread.join()
    assert after.own_bytes - before.own_bytes > 0.9 * len(held)
    assert after.descriptors == before.descriptors + 1
    assert after.threads == before.threads + 1
    assert after.scratch_files == before.scratch_files + 1


def test_a_service_holds_no_more_after_many_datasets(site: Site) -> None:
    run = Run(site)
    run.convert(40, 20)
    warm = run.footprints[-1]
    run.convert(80, 40)
    assert run.wrong() == []
    last = run.footprints[-1]
    assert {name: getattr(last, name) for name in COUNTED} == {
        name: getattr(warm, name) for name in COUNTED
    }
    assert last.processes == 2
    assert last.own_bytes - warm.own_bytes < 4_000_000  # 50 kB each would be a result kept
