"""Reading chunks in part must not keep them all: measured as RSS, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest

MiB = 1 << 20
FRAMES = 96

PROGRAM = """
import resource, sys
from pathlib import Path
import numpy as np
from scientistcloud.conversion.inspect import open_source
from scientistcloud.grid import Box

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

with open_source(Path(sys.argv[1]), None, {}, Path(sys.argv[2])) as source:
    dataset = source.spec.datasets[0]
    field = dataset.fields[0]
    depth, height, width = dataset.shape
    out = np.zeros((depth, 16, width), field.dtype)
    source.read(field, 0, Box((0, 0, 0), (1, 16, width)), out[:1])
    before = peak()
    for y in (16, 64, 512):
        source.read(field, 0, Box((0, y, 0), (depth, y + 16, width)), out)
    print(peak() - before, field.working_bytes)
"""


def write_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        frame = (1, 1024, 2048)
        made = file.create_dataset("a", (FRAMES, *frame[1:]), "u1", chunks=frame, compression=1)
        for i in range(FRAMES):
            made[i] = i


def write_netcdf(path: Path) -> None:
    with netCDF4.Dataset(path, "w") as file:
        for name, length in (("z", FRAMES), ("y", 1024), ("x", 2048)):
            file.createDimension(name, length)
        made = file.createVariable(
            "a", "u1", ("z", "y", "x"), zlib=True, complevel=1, chunksizes=(1, 1024, 2048)
        )
        for i in range(FRAMES):
            made[i] = np.full((1024, 2048), i, "u1")


@pytest.mark.parametrize(("write", "name"), [(write_hdf5, "a.h5"), (write_netcdf, "a.nc")])
def test_chunks_are_let_go(tmp_path: Path, write: object, name: str) -> None:
    """The chunks are 192 MiB in all; what was told to the planner is far less."""
    assert callable(write)
    write(tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / name), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    grown, told = map(int, done.stdout.split())
    assert told < 64 * MiB
    assert grown < told + 16 * MiB
