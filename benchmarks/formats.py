"""Readers of instruments' formats against their libraries: CPU and peak memory of a whole read.

::

    python -m benchmarks.formats [--megabytes 64] [NAME ...]

Each file is written by its library into a temporary folder; each read is a process of its own. Ours
goes plane by plane, the library's is its plain read of everything. CPU is of opening and reading,
without imports; memory is the peak of the process over what it had before the read.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (512, 512)


def stack(megabytes: int, dtype: str = "u2") -> np.ndarray:
    """Smooth with noise, so that it can be compressed as data of instruments can."""
    depth = max(2, megabytes * (1 << 20) // (SHAPE[0] * SHAPE[1] * np.dtype(dtype).itemsize))
    rng = np.random.default_rng(3)
    values = rng.integers(0, 200, (depth, *SHAPE)) + np.arange(depth)[:, None, None] % 500
    return values.astype(dtype)


def write_fits(path: Path, megabytes: int) -> None:
    from astropy.io import fits

    fits.PrimaryHDU(stack(megabytes)).writeto(path)


def write_rice(path: Path, megabytes: int) -> None:
    from astropy.io import fits

    fits.CompImageHDU(stack(megabytes, "i2"), compression_type="RICE_1").writeto(path)


def read_fits(path: Path) -> int:
    from astropy.io import fits

    with fits.open(path, memmap=False) as file:
        return int(next(h.data for h in file if h.data is not None).nbytes)


def write_edf(path: Path, megabytes: int) -> None:
    from fabio.edfimage import EdfImage

    frames = stack(megabytes)
    image = EdfImage(frames[0])
    for frame in frames[1:]:
        image.append_frame(data=frame)
    image.write(str(path))


def read_edf(path: Path) -> int:
    import fabio

    with fabio.open(str(path)) as file:
        return sum(file.get_frame(i).data.nbytes for i in range(file.nframes))


def write_envi(path: Path, megabytes: int) -> None:
    from spectral.io import envi

    bands = stack(megabytes).transpose(1, 2, 0)
    envi.save_image(str(path), bands, dtype=bands.dtype, interleave="bil", ext=".img")


def read_envi(path: Path) -> int:
    from spectral.io import envi

    return int(np.asarray(envi.open(str(path)).load(dtype="u2")).nbytes)


def write_segy(path: Path, megabytes: int) -> None:
    import segyio

    values = stack(megabytes, "f4")
    segyio.tools.from_array3D(str(path), values, format=1)


def read_segy(path: Path) -> int:
    import segyio

    with segyio.open(str(path)) as file:
        return int(segyio.tools.cube(file).nbytes)


def write_grib(path: Path, megabytes: int) -> None:
    import eccodes

    with path.open("wb") as file:
        for level, values in enumerate(stack(megabytes, "f4"), 1):
            handle = eccodes.codes_grib_new_from_samples("regular_ll_pl_grib2")
            keys = {"Ni": SHAPE[1], "Nj": SHAPE[0], "level": level, "bitsPerValue": 16}
            for key, value in keys.items():
                eccodes.codes_set(handle, key, value)
            eccodes.codes_set_values(handle, values.astype("f8").ravel())
            eccodes.codes_write(handle, file)
            eccodes.codes_release(handle)


def read_grib(path: Path) -> int:
    import eccodes

    planes = []
    with path.open("rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            planes.append(eccodes.codes_get_values(handle).astype("f4"))
            eccodes.codes_release(handle)
    return int(np.array(planes).nbytes)


FORMATS: dict[str, tuple[str, Callable[[Path, int], None], Callable[[Path], int]]] = {
    "FITS": ("a.fits", write_fits, read_fits),
    "FITS, RICE": ("a.fits", write_rice, read_fits),
    "EDF": ("a.edf", write_edf, read_edf),
    "ENVI": ("a.hdr", write_envi, read_envi),
    "SEG-Y, IBM": ("a.sgy", write_segy, read_segy),
    "GRIB": ("a.grib", write_grib, read_grib),
}


def read_ours(path: Path) -> int:
    """Every plane of the first field, into one buffer."""
    from scientistcloud.conversion.inspect import open_source
    from scientistcloud.grid import Box

    total = 0
    with open_source(path.parent, None, {}, path.parent) as source:
        dataset = source.spec.datasets[0]
        spec = dataset.fields[0]
        for i in range(dataset.shape[0]):
            rest = dataset.shape[1:]
            box = Box((i, *(0 for _ in rest)), (i + 1, *rest))
            out = np.empty(box.shape, spec.dtype)
            source.read(spec, 0, box, out)
            total += out.nbytes
    return total


def peak_kb() -> int:
    """Of this process alone: `ru_maxrss` would be the parent's where that had more."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def measure(name: str, path: Path, whose: str) -> dict[str, Any]:
    """Run in a process of its own: CPU seconds and MB over what it had before."""
    read = read_ours if whose == "ours" else FORMATS[name][2]
    with tempfile.TemporaryDirectory() as folder:  # imports and first calls, on a small file
        small = Path(folder) / FORMATS[name][0]
        FORMATS[name][1](small, 1)
        read(small)
    before, cpu = peak_kb(), time.process_time()
    read_bytes = read(path)
    used = time.process_time() - cpu
    return {"cpu": used, "mb": (peak_kb() - before) / 1024, "read": read_bytes}


def main() -> None:
    """Print a table, or one measurement of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(FORMATS))
    parser.add_argument("--megabytes", type=int, default=64)
    parser.add_argument("--measure", nargs=3)
    args = parser.parse_args()
    if args.measure:
        name, path, whose = args.measure
        print(json.dumps(measure(name, Path(path), whose)))
        return
    print("| format | MB | CPU, ours | library | ratio | memory, ours | library |")
    print("|---|---|---|---|---|---|---|")
    for name in args.names:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / FORMATS[name][0]
            FORMATS[name][1](path, args.megabytes)
            found = {}
            for whose in ("ours", "library"):
                command = [sys.executable, "-m", "benchmarks.formats", "--measure"]
                run = subprocess.run(
                    [*command, name, str(path), whose], check=True, capture_output=True, text=True
                )
                found[whose] = json.loads(run.stdout.splitlines()[-1])
        ours, theirs = found["ours"], found["library"]
        assert ours["read"] == theirs["read"], (name, found)
        print(
            f"| {name} | {ours['read'] / 1e6:.0f} | {ours['cpu']:.2f} s | {theirs['cpu']:.2f} s "
            f"| {ours['cpu'] / theirs['cpu']:.2f} | {ours['mb']:.0f} MB | {theirs['mb']:.0f} MB |"
        )


if __name__ == "__main__":
    main()
