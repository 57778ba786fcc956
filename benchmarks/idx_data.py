"""Data for `benchmarks.idx`: made by rules and seeds, nearly without zeros, with noise like an
instrument's, so that compression gains what it does on real data."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

GAINS = {"ct": (1.40, 1.50), "rgb": (1.45, 1.55), "float": (1.05, 1.10)}
"""What zlib at level 6 is to gain, sampled over the data."""

CASES = tuple(GAINS)
SIZES = {"ct": 512, "rgb": 12000, "float": 512}
_SAMPLE_BYTES = 1 << 17


def make(case: str, folder: Path, size: int) -> Path:
    """The ``.npy`` file (or folder of files, one a timestep) of a case; made once.

    ``ct``: size^3 uint16. ``rgb``: size^2 uint8[3]. ``float``: 4 timesteps of
    size/2 x size x size float32.
    """
    path = folder / f"{case}-{size}"
    if not path.exists():
        part = folder / f"{case}-{size}.part"
        part.mkdir(parents=True, exist_ok=True)
        for t in range(4 if case == "float" else 1):
            _MAKERS[case](part / f"t{t}.npy", size, t)
        part.rename(path)
    return path


def gain(path: Path) -> tuple[float, float]:
    """What zlib-6 gains on boxes spread over the first file, and the share of non-zero samples."""
    data = np.load(sorted(path.glob("*.npy"))[0], mmap_mode="r")
    edge = 32 if data.ndim == 3 and data.shape[-1] > 4 else 200
    rng = np.random.default_rng(0)
    raw = packed = count = nonzero = 0
    for _ in range(64):
        axes = 3 if edge == 32 else 2
        at = [int(rng.integers(0, n - edge)) for n in data.shape[:axes]]
        box = np.ascontiguousarray(data[tuple(slice(a, a + edge) for a in at)])
        raw += box.nbytes
        packed += len(zlib.compress(box.tobytes(), 6))
        count += box.size
        nonzero += int(np.count_nonzero(box))
    return raw / packed, nonzero / count


def _ct(path: Path, size: int, _: int) -> None:
    rng = np.random.default_rng(1)
    out = _create(path, "u2", (size, size, size))
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype("f4")
    for i in range(size):
        z = 2 * i / size - 1
        body = 3000 * (x**2 + y**2 + 0.3 * z**2 < 0.8) + 600 * np.sin(9 * x + 4 * z) * np.cos(7 * y)
        page = 4000 + body + rng.standard_normal((size, size), np.float32) * 55
        out[i] = np.clip(page, 1, 65535)


def _rgb(path: Path, size: int, _: int) -> None:
    rng = np.random.default_rng(2)
    out = _create(path, "u1", (size, size, 3))
    x = np.linspace(0, 20, size, dtype="f4")
    for y in range(size):
        row = 128 + 60 * np.sin(x + y * 0.004)[:, None] * np.array([1, 0.8, 0.6], "f4")
        row = row + rng.standard_normal((size, 3), np.float32) * 5.2
        out[y] = np.clip(row, 1, 255)


def _float(path: Path, size: int, timestep: int) -> None:
    rng = np.random.default_rng(3 + timestep)
    out = _create(path, "f4", (size // 2, size, size))
    y, x = np.mgrid[0 : 6 : size * 1j, 0 : 6 : size * 1j].astype("f4")
    for z in range(size // 2):
        smooth = 30 + 40 * np.sin(x + 0.02 * z + timestep) * np.cos(y)
        out[z] = smooth + rng.standard_normal((size, size), np.float32) * 300


def _create(path: Path, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    return np.lib.format.open_memmap(path, "w+", dtype, shape)


_MAKERS = {"ct": _ct, "rgb": _rgb, "float": _float}
