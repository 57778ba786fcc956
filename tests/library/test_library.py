"""What notebooks import: lazily, typed, the same functions as the command line."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import scientistcloud
from scientistcloud.conversion.options import Progress
from scientistcloud.errors import InvalidOptions, SourceNotFound, Stopped
from tests.api.serving import Server, serving


def _noise(shape: tuple[int, ...], dtype: str = "u2") -> Any:
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def test_importing_it_loads_nothing_heavy_and_takes_no_time() -> None:
    program = (
        "import sys, time; began = time.perf_counter(); import scientistcloud;"
        "print(time.perf_counter() - began, *sorted(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    seconds, *modules = ended.stdout.split()
    assert float(seconds) < 0.05
    heavy = {"numpy", "pydantic", "pymongo", "httpx", "tifffile", "scientistcloud.errors"}
    assert not heavy & set(modules)


def test_every_name_is_there() -> None:
    for name in scientistcloud.__all__:
        assert getattr(scientistcloud, name) is not None
    with pytest.raises(AttributeError):
        _ = scientistcloud.absent


@pytest.mark.parametrize(
    ("axes", "shape", "dtype"),
    [("yx", (5, 7), "u1"), ("zyx", (3, 5, 7), "f4"), ("tzyx", (2, 3, 5, 7), "i2"),
     ("yxc", (5, 7, 3), "u1"), ("tyx", (4, 5, 6), "f8"), ("zyx", (3, 5, 7), "f2")],
)  # fmt: skip
def test_arrays_come_back_as_they_were(
    tmp_path: Path, axes: str, shape: tuple[int, ...], dtype: str
) -> None:
    source = _noise(shape, dtype)
    scientistcloud.convert(source, tmp_path / "out", axes=axes)
    dataset = scientistcloud.open(tmp_path / "out")
    times = shape[0] if axes[0] == "t" else 1
    assert dataset.timesteps == times
    for time in range(times):
        expected = source[time] if axes[0] == "t" else source
        np.testing.assert_array_equal(dataset.read(None, time), expected)


def test_dask_and_xarray_bring_their_axes_and_spacing(tmp_path: Path) -> None:
    source = _noise((4, 6, 8))
    lazy = da.from_array(source, chunks=(1, 6, 8))
    labelled = xr.DataArray(
        lazy, dims=("z", "y", "x"),
        coords={"z": np.arange(4) * 2.0, "y": np.arange(6) * 0.5, "x": np.arange(8) * 0.5},
    )  # fmt: skip
    scientistcloud.convert(labelled, tmp_path / "out")
    dataset = scientistcloud.open(tmp_path / "out")
    np.testing.assert_array_equal(dataset.read(), source)
    axes = dataset.metadata["datasets"][0]["axes"]
    assert [each["spacing"] for each in axes] == [0.5, 0.5, 2.0]
    found = dataset.to_xarray()
    assert found[dataset.fields[0]].dims == ("z", "y", "x")
    np.testing.assert_allclose(found["z"], np.arange(4) * 2.0)


def test_boxes_planes_and_resolutions(tmp_path: Path) -> None:
    source = _noise((9, 10, 11))
    scientistcloud.convert(source, tmp_path / "out", axes="zyx")
    dataset = scientistcloud.open(tmp_path / "out" / "visus.idx")
    box = (slice(1, 5), slice(2, 9), slice(3, 4))
    np.testing.assert_array_equal(dataset.read(box=box), source[box])
    np.testing.assert_array_equal(dataset.read(box=(4,)), source[4])
    coarse = dataset.read(resolution=dataset.max_resolution - 3)
    assert coarse.size < source.size
    lazy = dataset.to_xarray()[dataset.fields[0]]
    assert type(lazy.data).__module__.startswith("dask")
    np.testing.assert_array_equal(lazy.values, source)
    for wrong in ((slice(0, 9, 2),), (slice(5, 5),)):
        with pytest.raises(ValueError, match="slices"):
            dataset.read(box=wrong)
    with pytest.raises(IndexError):
        dataset.read(timestep=1)


@pytest.mark.parametrize(("axes", "spacing"), [("zy", None), ("xyz", None), ("zyx", (1.0,))])
def test_axes_that_do_not_fit_are_refused(tmp_path: Path, axes: str, spacing: Any) -> None:
    with pytest.raises(InvalidOptions):
        scientistcloud.convert(_noise((2, 3, 4)), tmp_path / "o", axes=axes, spacing=spacing)
    assert not (tmp_path / "o").exists()


def test_progress_stop_inspect_and_verify(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", _noise((20, 30, 40)))
    told: list[Progress] = []
    scientistcloud.convert(tmp_path / "a.npy", tmp_path / "out", progress=told.append)
    assert {"copying", "verifying"} <= {each.phase for each in told}
    with pytest.raises(Stopped):
        scientistcloud.convert(tmp_path / "a.npy", tmp_path / "other", stop=lambda: True)
    assert not (tmp_path / "other").exists()
    found = scientistcloud.inspect(tmp_path / "a.npy")
    assert found.datasets[0]["dims"] == [40, 30, 20]
    report = scientistcloud.verify(tmp_path / "out")
    assert report.ok
    assert report.bytes_checked > 0
    (block,) = (tmp_path / "out" / "visus").glob("*/0000.bin")
    data = bytearray(block.read_bytes())
    data[-5] ^= 1
    block.write_bytes(data)
    broken = scientistcloud.verify(tmp_path / "out")
    assert not broken.ok
    with pytest.raises(SourceNotFound):
        scientistcloud.open(tmp_path / "absent")


@pytest.mark.parametrize("name", ["converting", "opening"])
def test_the_examples_of_the_docstrings_run(tmp_path: Path, name: str) -> None:
    module = importlib.import_module(f"scientistcloud.library.{name}")
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    found = doctest.testmod(module, extraglobs={"tmp": tmp_path}, optionflags=flags)
    assert found.attempted > 0
    assert found.failed == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mongo_url: str) -> Any:
    with serving(tmp_path_factory.mktemp("client"), mongo_url) as running:
        worker = running.worker()
        yield running
        worker.terminate()
        worker.wait(20)


@pytest.mark.slow
def test_a_client_uploads_waits_opens_and_shares(server: Server, tmp_path: Path) -> None:
    source = _noise((6, 20, 30))
    folder = tmp_path / "scan"
    (folder / "deep").mkdir(parents=True)
    np.save(folder / "deep" / "a.npy", source)
    told = []
    with scientistcloud.Client(server.address) as client:
        done = client.upload(folder, name="scan", wait=True, progress=told.append)
        assert done.stage == "done", done.facts
        assert told[-1].sent_bytes == told[-1].size_bytes
        again = client.upload(folder, uuid=done.uuid)
        assert again.uuid == done.uuid
        assert [each.uuid for each in client.list(text="scan")] == [done.uuid]
        link = client.link(done.uuid)
        for url in (f"{server.address}/d/{done.uuid}/visus.idx", link):
            with scientistcloud.open(url) as remote:
                np.testing.assert_array_equal(remote.read(), source)
                np.testing.assert_array_equal(remote.read(box=(2, slice(3, 9))), source[2, 3:9])
                lazy = remote.to_xarray()[remote.fields[0]]
                np.testing.assert_array_equal(lazy.values, source)
        got = client.download(done.uuid, "deep/a.npy", tmp_path)
        np.testing.assert_array_equal(np.load(got), source)
        client.delete(done.uuid)
        with pytest.raises(scientistcloud.Refusal):
            client.dataset(done.uuid)
        assert client.restore(done.uuid).uuid == done.uuid
