"""Many tiny timesteps: copied and checked many at a time, with the same result as one by one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

import scientistcloud
from scientistcloud.conversion.inspect import open_source
from scientistcloud.conversion.timestep_check import suits, timesteps_match
from scientistcloud.conversion.timestep_reads import read_timesteps
from scientistcloud.errors import VerificationFailed
from scientistcloud.idx.files.manifest import Manifest
from scientistcloud.idx.reader import IdxReader

RNG = np.random.default_rng(65)
AXES = {"axes": "tyx"}


def convert(values: NDArray[Any], folder: Path, axes: str = "tyx") -> Path:
    folder.mkdir(exist_ok=True)
    np.save(folder / "a.npy", values)
    scientistcloud.convert(folder / "a.npy", folder / "result", parameters={"axes": axes})
    return folder / "result"


@pytest.mark.parametrize(
    ("shape", "dtype", "axes"),
    [
        ((300, 2, 3), "u2", "tyx"),
        ((1200, 2, 3), "f4", "tyx"),
        ((20, 5, 7, 3), "u1", "tyxc"),
        ((40, 3, 4, 5), "i4", "tzyx"),
        ((15, 2, 3), "u2", "tyx"),
        ((64, 100, 100), "f8", "tyx"),
    ],
)
def test_all_samples_and_ranges(
    shape: Sequence[int], dtype: str, axes: str, tmp_path: Path
) -> None:
    values = RNG.integers(0, 200, shape).astype(dtype)
    values[2] = 0
    if dtype == "f4":
        values[5, 0, 0], values[6, 1, 1] = np.nan, -np.inf
    result = convert(values, tmp_path, axes)
    with scientistcloud.open(result) as dataset:
        for t in range(len(values)):
            assert np.array_equal(dataset.read(timestep=t), values[t], equal_nan=dtype[0] == "f")
        (field,) = dataset.samples.header.fields
    finite = values[np.isfinite(values)] if dtype[0] == "f" else values
    assert (min(field.minimum), max(field.maximum)) == (finite.min(), finite.max())
    assert scientistcloud.verify(result).ok


def test_several_fields_and_fill_values(tmp_path: Path) -> None:
    a = RNG.normal(size=(100, 4, 5)).astype("f4")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, scale in (("a", 1), ("b", 2)):
            file[name] = a * scale
    scientistcloud.convert(tmp_path / "a.h5", tmp_path / "result", parameters={"time_axis": 0})
    with scientistcloud.open(tmp_path / "result") as dataset:
        if dataset.timesteps == 100 and len(dataset.fields) == 2:
            assert np.array_equal(dataset.read("b", 77), a[77] * 2)
    assert scientistcloud.verify(tmp_path / "result").ok


def opened(result: Path, folder: Path):  # type: ignore[no-untyped-def]
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    return open_source(folder / "a.npy", None, AXES, scratch), IdxReader(result / "visus.idx")


def matches(result: Path, folder: Path) -> bool:
    source, reader = opened(result, folder)
    generation = json.loads((result / "metadata.json").read_bytes())["generation"]
    with source, Manifest.open(result / "visus" / generation / "manifest") as manifest:
        assert suits(reader.header)
        return timesteps_match(
            source, source.spec.datasets[0], reader, manifest,
            progress=lambda _: None, stop=lambda: False,
        )  # fmt: skip


def test_what_was_damaged_does_not_match(tmp_path: Path) -> None:
    values = RNG.integers(0, 200, (300, 2, 3)).astype("u2")
    result = convert(values, tmp_path)
    assert matches(result, tmp_path)
    path = sorted(result.rglob("*.bin"))[277]
    data = path.read_bytes()
    for damaged in (data[:-1], data + b"\0", bytes([data[0] ^ 1]) + data[1:],
                    data[:-3] + bytes([data[-3] ^ 1]) + data[-2:], b""):  # fmt: skip
        path.write_bytes(damaged)
        assert not matches(result, tmp_path)
    path.unlink()
    assert not matches(result, tmp_path)
    path.write_bytes(data)
    assert matches(result, tmp_path)
    values[299, 1, 2] ^= 1
    np.save(tmp_path / "a.npy", values)
    assert not matches(result, tmp_path)


def test_a_damage_while_it_converts_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scientistcloud.conversion import run

    verify = run.verify_dataset

    def damage_first(*arguments: Any, **options: Any) -> None:
        path = sorted((tmp_path / "result").rglob("*.bin"))[42]
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        verify(*arguments, **options)

    monkeypatch.setattr(run, "verify_dataset", damage_first)
    with pytest.raises(VerificationFailed, match="timestep 42"):
        convert(RNG.integers(0, 200, (300, 2, 3)).astype("u2"), tmp_path)
    assert not (tmp_path / "result" / "visus.idx").exists()


def test_reading_at_once_is_reading_one_by_one(tmp_path: Path) -> None:
    values = RNG.integers(0, 200, (50, 3, 4)).astype(">i4")
    np.save(tmp_path / "a.npy", values)
    with open_source(tmp_path / "a.npy", None, AXES, tmp_path) as source:
        out = np.empty((17, 3, 4), "i4")
        read_timesteps(source, source.spec.datasets[0].fields[0], 20, out)
    assert np.array_equal(out, values[20:37])
