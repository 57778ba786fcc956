"""The lines of docs/streaming.md for each client read what was uploaded, to the last sample."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.api.serving import Server
from tests.api.test_streams import converted
from tests.test_docs import PAGES, blocks_of

PAGE = [each for each in blocks_of(PAGES / "streaming.md") if each.language == "python"]
_SAVE = "\nimport sys, numpy\nnumpy.save(sys.argv[1], numpy.asarray(samples))\n"


def _library(title: str) -> str:
    return title.split('"')[1]


@pytest.fixture(scope="module")
def volume(local: Server) -> tuple[str, NDArray[Any]]:
    rng = np.random.default_rng(0)
    samples = rng.integers(0, 60_000, (37, 70, 101), np.uint16)
    return converted(local, {"volume.tif": samples}), samples


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(PAGE)))
def test_the_lines_of_the_page_read_every_sample(
    local: Server, volume: tuple[str, NDArray[Any]], tmp_path: Path, number: int
) -> None:
    block = PAGE[number]
    if importlib.util.find_spec(_library(block.title)) is None:
        pytest.skip(f"{_library(block.title)} is not installed")
    uuid, expected = volume
    code = block.code.replace("http://localhost:5001", local.address).replace("UUID", uuid)
    command = [sys.executable, "-W", "ignore", "-c", code + _SAVE, str(tmp_path / "samples.npy")]
    environment = local.environment() | {"VISUS_CACHE": str(tmp_path)}
    ended = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    if "ImportError" in ended.stderr and "ngff-zarr[" in ended.stderr:
        pytest.skip("ngff-zarr is installed without its extras remote and validate")
    assert ended.returncode == 0, ended.stderr
    found = np.load(tmp_path / "samples.npy")
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
