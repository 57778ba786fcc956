"""Streams beside today's way and a static file server, in one run, many clients at once.

Run ``python -m benchmarks.streaming [--edge 512] [--seconds 3] [--clients 1,20,100]``; it starts a
MongoDB, an API and the two others in a temporary folder.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil

import scientistcloud
from benchmarks.idx_data import make
from scientistcloud.database.embedded import EmbeddedMongo
from tests.api.serving import Server
from tests.site import free_port, until

Paths = Callable[[int], str]


def ask(server: str, uuid: str, box: str) -> str:
    """Where a server answers raw samples of a box."""
    ours = f"/api/v2/datasets/{uuid}/box?box={box}"
    return ours if server == "ours" else f"/box/{uuid}?box={box}"


def cases(edge: int, blocks: int) -> dict[str, dict[str, Paths]]:
    """For each case and server, the path of the n-th request: neighbours one after the other."""
    tile = min(512, edge)

    def across(axis: int, server: str) -> Paths:
        def path(n: int) -> str:
            spans = [f"0,{edge}"] * 3
            spans[axis] = f"{n % edge},{n % edge + 1}"
            return ask(server, "ct", ",".join(spans))

        return path

    def view(server: str) -> Paths:
        def path(n: int) -> str:
            x, y = 64 * n % (4 * tile), 64 * (n // 32) % (4 * tile)
            return ask(server, "rgb", f"{x},{x + tile},{y},{y + tile}")

        return path

    found = {
        f"slices along {'xyz'[axis]}": {s: across(axis, s) for s in ("ours", "openvisus")}
        for axis in (2, 1, 0)
    }
    found["views of an image"] = {s: view(s) for s in ("ours", "openvisus")}
    name = "visus/0/data/0000/0000/0000/{:04x}.bin"
    found["stored blocks"] = {
        "ours": lambda n: "/d/arco/" + name.format(n % blocks),
        "static files": lambda n: "/files/arco/" + name.format(n % blocks),
    }
    return found


async def fetch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> int:
    """One request on a line that is kept; the length of the body."""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    if not head.startswith("http/1.1 200"):
        raise RuntimeError(f"{path}: {head.splitlines()[0]}")
    length = int(head.split("content-length:")[1].split("\r\n")[0])
    await reader.readexactly(length)
    return length


async def load(port: int, path: Paths, clients: int, seconds: float) -> list[float]:
    """Seconds that each request took, of so many clients, each walking from a place of its own."""
    taken: list[float] = []
    end = time.monotonic() + seconds

    async def client(index: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        for n in itertools.count(index * 7):
            began = time.monotonic()
            await fetch(reader, writer, path(n))
            taken.append(time.monotonic() - began)
            if time.monotonic() > end:
                break
        writer.close()

    await asyncio.gather(*(client(index) for index in range(clients)))
    return taken


def measure(process: psutil.Process, port: int, path: Paths, clients: int, seconds: float) -> str:
    """A row: p50, p95, requests a second, CPU a request, resident memory."""
    before, began = cpu_seconds(process), time.monotonic()
    taken = asyncio.run(load(port, path, clients, seconds))
    wall, used = time.monotonic() - began, cpu_seconds(process) - before
    p50, p95 = np.percentile(taken, [50, 95]) * 1e3
    return (
        f"{p50:.1f} | {p95:.1f} | {len(taken) / wall:.0f} | {used / len(taken) * 1e3:.2f} | "
        f"{process.memory_info().rss >> 20}"
    )


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextlib.contextmanager
def reference(folder: Path) -> Iterator[tuple[psutil.Process, int]]:
    """Today's way and static files, in a process."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.streaming_reference:app",
               "--port", str(port), "--log-level", "warning", "--no-access-log"]  # fmt: skip
    environment = os.environ | {"BENCHMARK_FOLDER": str(folder)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            until(lambda: _listens(port), 60)
            yield psutil.Process(process.pid), port
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    return any(c.laddr.port == port and c.status == "LISTEN" for c in psutil.net_connections("tcp"))


def prepare(folder: Path, converted: Path, edge: int) -> None:
    """Convert the volume (block files and ARCO) and the image, where they are not there yet."""
    for case, uuid, layout in (("ct", "ct", "blocks"), ("ct", "arco", "arco"),
                               ("rgb", "rgb", "blocks")):  # fmt: skip
        source = make(case, folder, edge if case == "ct" else 12 * edge)
        scientistcloud.convert(next(source.glob("*.npy")), converted / uuid, layout=layout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edge", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--clients", default="1,20,100")
    parser.add_argument("--case", default="", help="only cases that have this in their name")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, EmbeddedMongo(Path(name) / "mongo") as url:
        folder = Path(name)
        server = Server(folder / "site", url)
        try:
            converted = folder / "site" / "converted"
            prepare(folder, converted, options.edge)
            blocks = len(list((converted / "arco").rglob("*.bin")))
            server.datasets.insert_many(
                {"uuid": uuid, "name": uuid, "user": "me", "status": "done", "is_public": True}
                for uuid in ("ct", "arco", "rgb")
            )
            server.start()
            assert server.process is not None
            with reference(converted) as other:
                run(
                    options,
                    cases(options.edge, blocks),
                    (psutil.Process(server.process.pid), server.port),
                    other,
                )
        finally:
            server.close()
    return 0


def run(
    options: argparse.Namespace,
    rows: dict[str, dict[str, Paths]],
    ours: tuple[psutil.Process, int],
    other: tuple[psutil.Process, int],
) -> None:
    """Measure and print every row."""
    print("| case | clients | server | p50 ms | p95 ms | requests/s | CPU ms/request | RSS MB |")
    print("|---|---|---|---|---|---|---|---|")
    for case, servers in rows.items():
        if options.case not in case:
            continue
        for clients in (int(each) for each in options.clients.split(",")):
            for server, path in servers.items():
                process, port = ours if server == "ours" else other
                row = measure(process, port, path, clients, options.seconds)
                print(f"| {case} | {clients} | {server} | {row} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
