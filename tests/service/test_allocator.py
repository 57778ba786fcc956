"""Memory that threads took goes back to the system when they have ended."""

from __future__ import annotations

import subprocess
import sys

_CODE = """
import threading
from pathlib import Path
from scientistcloud.service.processes import allocator

KEEP = {keep}
assert not KEEP or allocator.keep_little()

def own_bytes():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(l.split()[1]) * 1024 for l in lines if l.startswith("Anonymous:"))

def work(barrier):
    for _ in range(20):
        buffers = [bytes([1]) * (100_000 + 20_000 * i) for i in range(20)]
        del buffers
        barrier.wait()

def round():
    barrier = threading.Barrier(16)
    threads = [threading.Thread(target=work, args=(barrier,)) for _ in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

before = own_bytes()
round()
print(own_bytes() - before)
"""


def grown(*, keep: bool) -> int:
    code = _CODE.format(keep=keep)
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return int(found.stdout)


def test_threads_that_ended_hold_little() -> None:
    assert grown(keep=True) < 2_000_000
    assert grown(keep=True) < grown(keep=False) / 2
