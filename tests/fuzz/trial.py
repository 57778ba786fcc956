"""One damaged upload, converted in a forked child that is watched from outside."""

from __future__ import annotations

import json
import logging
import os
import resource
import select
import signal
import time
import traceback
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scientistcloud.conversion.options import ConversionOptions
from scientistcloud.conversion.publishing.publish import Publication, close_staging, open_staging
from scientistcloud.conversion.run import convert
from scientistcloud.errors import ConversionError, Stopped, TransientError
from scientistcloud.grid import Box
from scientistcloud.idx.reader import IdxReader
from tests.fuzz.oracle import agrees

MOST_SECONDS = 20.0
MEMORY_BYTES = 512 << 20
LARGE_BYTES = 256 << 20
PAGE_BYTES = resource.getpagesize()


@dataclass(frozen=True, slots=True)
class End:
    """How a trial ended.

    Attributes
    ----------
    kind : str
        ``right``, ``unread``, ``unlike``: a dataset (see `oracle.agrees`); ``refused``: an error
        of the catalogue; ``large``: so much to write that it was stopped, in order; failures are
        ``wrong``, ``bug``, ``message``, ``transient``, ``hang``, ``memory``, ``signal N``.
    what : str
        The error's code, or the end of the traceback.
    """

    kind: str
    what: str = ""

    @property
    def is_failure(self) -> bool:
        return self.kind not in ("right", "unread", "unlike", "refused", "large")


def attempt(upload: Path, work: Path) -> End:
    """Convert `upload` in a child; its files lie in the folder `work`, which it may fill."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_child(upload, work, writing)
    os.close(writing)
    try:
        return _watch(child, reading)
    finally:
        os.close(reading)


def _watch(child: int, reading: int) -> End:
    """Wait for the child's one line; kill it where it takes too long or too much."""
    deadline, line = time.monotonic() + MOST_SECONDS + 10, b""
    end = None
    while end is None:
        if select.select([reading], [], [], 0.02)[0]:
            part = os.read(reading, 65536)
            line += part
            if not part:
                break
        elif time.monotonic() > deadline:
            end = End("hang", f"no end after {MOST_SECONDS:.0f} s and 10 s of grace")
        elif _resident_bytes(child) > MEMORY_BYTES:
            end = End("memory", f"{_resident_bytes(child) >> 20} MiB")
    if end is not None:
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if end is not None:
        return end
    answer = json.loads(line.splitlines()[-1]) if line.endswith(b"\n") else None
    if answer is None:
        return End(f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "bug", "died")
    return End(**answer)


def _resident_bytes(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0


def _be_child(upload: Path, work: Path, writing: int) -> None:
    """Never returns."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")

    def tell(end: End) -> None:
        os.write(writing, json.dumps({"kind": end.kind, "what": end.what[:4000]}).encode() + b"\n")

    try:
        end = _convert(upload, work)
        tell(End("unread", "the library died or hung") if end.kind == "done" else end)
        if end.kind == "done":
            # From here on a crash is the other library's.
            signal.alarm(int(MOST_SECONDS))
            tell(_judge(upload, work))
    except BaseException:
        tell(End("bug", traceback.format_exc(limit=-6)))
    os._exit(0)


def _convert(upload: Path, work: Path) -> End:
    publication = Publication(work / "out", work / "staging", "fuzz", uuid.uuid4().hex)
    open_staging(publication)
    started = time.monotonic()
    planned: dict[str, Any] = {}

    def stop() -> bool:
        late = time.monotonic() - started > MOST_SECONDS
        return late or planned.get("total_bytes", 0) > LARGE_BYTES

    options = ConversionOptions(memory_limit_bytes=MEMORY_BYTES, threads=1)
    try:
        convert(upload, publication, options, plan=planned.update, stop=stop)
    except Stopped:
        return End("large", f"{planned.get('total_bytes', 0) >> 20} MiB")
    except MemoryError:
        # Whoever runs conversions calls it so: the command line and the service.
        return End("refused", "ResourceLimit")
    except ConversionError as error:
        said = f"{error.message} {error.remedy}"
        if not said.isprintable() or str(work) in said or len(said) > 2000:
            return End("message", f"{error.code}: {said!r}")
        if isinstance(error, TransientError):
            return End("transient", f"{error.code}: {said} ({error.__cause__!r})")
        return End("refused", error.code)
    finally:
        close_staging(publication)
    return End("done")


def _judge(upload: Path, work: Path) -> End:
    """The worst of all fields of all datasets."""
    verdicts = [agrees(array, upload) for array in _fields(work / "out")]
    kind = next((w for w in ("wrong", "unlike", "unread") if w in verdicts), "right")
    return End(kind, f"{len(verdicts)} fields")


def _fields(out: Path) -> Iterator[Any]:
    """Each field that was made, all its timesteps."""
    for made in json.loads((out / "metadata.json").read_text())["datasets"]:
        with IdxReader(out / made["path"]) as reader:
            box = Box.of_shape(tuple(made["dims"][::-1]))
            for field in made["fields"][:4]:
                steps = [
                    reader.read(field["name"], t, box.shift(reader.header.box.lo))
                    for t in range(made["timesteps"])
                ]
                yield np.stack(steps)
