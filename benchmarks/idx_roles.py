"""One measurement in a process of its own: ``python -m benchmarks.idx_roles ROLE SRC DEST``.

Prints one JSON object: CPU and wall seconds of the work (imports left out), bytes made, and the
peak of resident memory of the whole process.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LIMIT_BYTES = int(os.environ.get("BENCHMARK_MEMORY_LIMIT", 8 << 30))
THREADS = int(os.environ.get("BENCHMARK_THREADS", os.cpu_count() or 1))


def arrays(source: Path) -> list[Path]:
    return sorted(source.glob("*.npy"))


def components(data: NDArray[Any]) -> int:
    return data.shape[-1] if data.ndim == 3 and data.shape[-1] <= 4 else 1


def ours(source: Path, dest: Path) -> dict[str, Any]:
    """The engine: plan, copy, checksums, manifest, fsync; no verification."""
    import psutil

    from scientistcloud.conversion.copying.copy import copy_dataset
    from scientistcloud.conversion.options import ConversionOptions
    from scientistcloud.conversion.planning.plan import plan_conversion
    from scientistcloud.idx.writer import IdxWriter
    from scientistcloud.readers.base import Selection
    from scientistcloud.readers.volumes.numpy import READER

    def work() -> None:
        options = ConversionOptions(memory_limit_bytes=LIMIT_BYTES, threads=THREADS)
        (dest / "visus").mkdir(parents=True)
        with READER.open(arrays(source), Selection(source)) as opened:
            base = psutil.Process().memory_info().rss
            plan = plan_conversion(opened.spec, options, base_bytes=base).datasets[0]
            with IdxWriter(plan.layout, dest / "visus.idx", dest / "visus", "./visus") as writer:
                copy_dataset(
                    opened,
                    plan,
                    writer,
                    scratch=dest,
                    threads=THREADS,
                    progress=lambda _: None,
                    stop=lambda: False,
                )
                writer.finish()

    return timed(work) | {"bytes": size_of(dest)}


def reference(source: Path, dest: Path) -> dict[str, Any]:
    """OpenVisus, as its manual has it: create, write, compress."""
    openvisus = importlib.import_module("OpenVisus")

    def work() -> None:
        files = arrays(source)
        first = np.load(files[0], mmap_mode="r")
        count = components(first)
        shape = first.shape[:-1] if count > 1 else first.shape
        dtype = first.dtype.name if count == 1 else f"{first.dtype.name}[{count}]"
        db = openvisus.CreateIdx(
            url=str(dest / "visus.idx"),
            dims=list(reversed(shape)),
            fields=[openvisus.Field("data", dtype)],
            time=[0, len(files) - 1, "time_%04d/"],
        )
        for t, path in enumerate(files):
            db.write(np.load(path), time=t)
        db.compressDataset(["zip"])

    dest.mkdir(parents=True)
    return timed(work) | {"bytes": size_of(dest)}


def floor(source: Path, dest: Path) -> dict[str, Any]:
    """What cannot be saved: copy the samples once, gather, compress and write each block.

    The array is in memory; there are no tables, checksums, ranges, threads or fsync.
    """
    from scientistcloud.idx.files.codecs import CODECS
    from scientistcloud.idx.geometry.bitmask import Bitmask
    from scientistcloud.idx.geometry.blocks import BlockLayout

    encode = CODECS["isal-1"].encode

    def work() -> None:
        with (dest / "blocks").open("wb", buffering=0) as out:
            for path in arrays(source):
                data = np.load(path)
                count = components(data)
                shape = data.shape[:-1] if count > 1 else data.shape
                layout = BlockLayout(Bitmask.from_dims(shape), 16)
                for block in layout.blocks_inside(shape):
                    out.write(encode(gathered(data, block, shape, count)))

    dest.mkdir(parents=True)
    return timed(work) | {"bytes": size_of(dest)}


def gathered(data: NDArray[Any], block: Any, shape: tuple[int, ...], count: int) -> memoryview:
    inside = block.inside(shape)
    where = tuple(
        slice(o, o + (n - 1) * d + 1, d)
        for o, n, d in zip(block.origin, inside, block.delta, strict=True)
    )
    tail = (count,) if count > 1 else ()
    full = inside == block.nsamples
    samples = (np.empty if full else np.zeros)((*block.nsamples, *tail), data.dtype)
    target, view = samples[tuple(slice(0, n) for n in inside)], data[where]
    if count > 1 and block.delta[-1] > 1:
        for c in range(count):
            target[..., c] = view[..., c]
    else:
        target[...] = view
    return samples.data


def queries(dims: tuple[int, ...]) -> Iterator[tuple[str, list[Any], int]]:
    """Kind, logic boxes (x first), and how many levels coarser than the finest."""
    rng = np.random.default_rng(5)
    rank = len(dims)
    yield "full", [([0] * rank, list(dims))], 0
    yield "coarse", [([0] * rank, list(dims))], 2 * rank
    if rank == 3:
        for axis, name in enumerate("xyz"):
            boxes = []
            for at in rng.integers(0, dims[axis], 8):
                lo, hi = [0] * rank, list(dims)
                lo[axis], hi[axis] = int(at), int(at) + 1
                boxes.append((lo, hi))
            yield f"slices along {name}", boxes, 0
    edge = 48 if rank == 3 else 300
    boxes = []
    for _ in range(64):
        lo = [int(rng.integers(0, max(1, n - edge))) for n in dims]
        boxes.append((lo, [min(n, l + edge) for l, n in zip(lo, dims, strict=True)]))
    yield "small boxes", boxes, 0


def read_openvisus(source: Path, _: Path) -> dict[str, Any]:
    """OpenVisus reading the dataset at `source`."""
    openvisus = importlib.import_module("OpenVisus")

    db = openvisus.LoadDataset(str(source / "visus.idx"))
    dims = tuple(int(n) for n in db.getLogicBox()[1])
    finest = db.getMaxResolution()

    def read(box: Any, coarser: int) -> None:
        db.read(logic_box=box, max_resolution=finest - coarser)

    return read_all(dims, read)


def read_ours(source: Path, _: Path) -> dict[str, Any]:
    """Our reader, reading the dataset at `source`."""
    from scientistcloud.grid import Box
    from scientistcloud.idx.reader import IdxReader

    with IdxReader(source / "visus.idx") as reader:
        finest = reader.header.max_resolution

        def read(box: Any, coarser: int) -> None:
            lo, hi = (tuple(reversed(corner)) for corner in box)
            reader.read(0, 0, Box(lo, hi), finest - coarser)

        return read_all(tuple(reversed(reader.header.shape)), read)


def read_all(dims: tuple[int, ...], read: Callable[[Any, int], None]) -> dict[str, Any]:
    seconds = {}
    for kind, boxes, coarser in queries(dims):
        read(boxes[0], coarser)
        started = time.process_time()
        for box in boxes:
            read(box, coarser)
        seconds[kind] = time.process_time() - started
    return {"cpu_seconds": seconds}


def timed(work: Callable[[], None]) -> dict[str, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return {
        "cpu_seconds": time.process_time() - cpu,
        "wall_seconds": time.perf_counter() - wall,
    }


def peak_rss_bytes() -> int:
    """The kernel's high-water mark since the program began (ru_maxrss counts the parent's too)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def size_of(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


ROLES = {f.__name__: f for f in (ours, reference, floor, read_openvisus, read_ours)}

if __name__ == "__main__":
    role, source, dest = sys.argv[1:]
    result = ROLES[role](Path(source), Path(dest))
    print(json.dumps(result | {"peak_rss_bytes": peak_rss_bytes()}))
