"""What a kill costs a long conversion: killed near its end, how long does the next attempt take?

Run ``python -m benchmarks.resume --minutes 10``; it starts a MongoDB and services of its own in a
temporary folder (``--folder``: another place, with room for some 15 GB). One dataset of JPEG 2000
compressed TIFF slices, sized by a short trial to take about so long, is converted. When its
document shows ``--percent``, service and child get SIGKILL, and another service goes on. The time
of a conversion that nobody kills is what the first attempt took for its share, plus what the second
did after copying.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from benchmarks.service import cpu_seconds, site
from tests.site import CONVERTING, DONE, FAILED, Site, processes_of, until

EDGE = 2048
DISTINCT = 8
TRIAL_SLICES = 64


def upload(made: Site, slices: int) -> str:
    """A stack of `slices` pages, of which only some are distinct (hard links)."""
    name = str(uuid.uuid4())
    folder = made.upload / name
    folder.mkdir()
    pages = made.root / "pages"
    if not pages.is_dir():
        pages.mkdir()
        random = np.random.default_rng(0)
        ramp = np.add.outer(np.arange(EDGE), np.arange(EDGE)) // 16
        for number in range(DISTINCT):
            page = (ramp + 100 * number + random.integers(0, 8, (EDGE, EDGE))).astype(np.uint16)
            tifffile.imwrite(pages / f"{number}.tif", page, compression="jpeg2000", tile=(512, 512))
    for z in range(slices):
        os.link(pages / f"{z % DISTINCT}.tif", folder / f"slice_{z:06}.tif")
    return name


def converted(made: Site, name: str) -> float:
    """Seconds from the claim until `done`."""
    clock = _claimed_at(made, name)
    _finished(made, name)
    return time.monotonic() - clock


def killed(made: Site, name: str, percent: float) -> dict[str, Any]:
    """The figures of a conversion that is killed once, with its service."""
    service = made.start()
    clock = _claimed_at(made, name)
    until(lambda: made.find(name).get("progress", 0) >= percent, 7200, made.logs, 0.1)
    shown = made.find(name)["progress"]
    family = processes_of(service)
    before = cpu_seconds(family)
    for process in family:
        process.send_signal(signal.SIGKILL)
    first_seconds = time.monotonic() - clock
    clock = time.monotonic()
    made.start()
    until(lambda: made.find(name)["conversion"].get("lease", {}).get("owner") is not None, 60)
    until(lambda: "Processing conversion" in made.log(len(made.services) - 1), 120, made.logs)
    waited_seconds = time.monotonic() - clock
    clock = time.monotonic()
    until(lambda: made.find(name).get("progress") == 100 or _has_failed(made, name), 7200)
    copied_seconds = time.monotonic() - clock
    document = _finished(made, name)
    second_seconds = time.monotonic() - clock
    whole_seconds = first_seconds * 100 / shown + second_seconds - copied_seconds
    return {
        "killed_at_percent": shown,
        "seconds_until_killed": round(first_seconds, 1),
        "cpu_seconds_until_killed": round(before, 1),
        "seconds_until_claimed_again": round(waited_seconds, 1),
        "seconds_of_second_attempt": round(second_seconds, 1),
        "of_these_after_copying": round(second_seconds - copied_seconds, 1),
        "cpu_seconds_of_second_attempt": document["conversion"]["result"]["cpu_seconds"],
        "share_of_the_whole": round(second_seconds / whole_seconds, 3),
        "share_with_the_wait": round((waited_seconds + second_seconds) / whole_seconds, 3),
        "output_bytes": document["conversion"]["result"]["bytes_out"],
    }


def _has_failed(made: Site, name: str) -> bool:
    return bool(made.find(name)["status"] == FAILED)


def _claimed_at(made: Site, name: str) -> float:
    """Queue it; when it is claimed."""
    made.queue(name)
    made.wait(name, CONVERTING, DONE, FAILED, seconds=60)
    return time.monotonic()


def _finished(made: Site, name: str) -> dict[str, Any]:
    """Its document, once it is `done`."""
    document = made.wait(name, DONE, FAILED, seconds=7200)
    assert document["status"] == DONE, document
    return document


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--percent", type=float, default=90.0)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, site(Path(folder)) as made:
        service = made.start()
        seconds = converted(made, upload(made, TRIAL_SLICES))
        service.terminate()
        service.wait(30)
        slices = max(TRIAL_SLICES, int(TRIAL_SLICES * options.minutes * 60 / seconds))
        print(f"{slices} slices of {EDGE}x{EDGE} uint16", flush=True)
        print(json.dumps(killed(made, upload(made, slices), options.percent), indent=1))


if __name__ == "__main__":
    main()
