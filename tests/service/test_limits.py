"""What an attempt may take, tried on real processes."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import uuid as uuids
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from scientistcloud.errors import (
    AttemptCrashed,
    AttemptTimedOut,
    ConversionError,
    CorruptSource,
    OutOfMemory,
    ResourceLimit,
)
from scientistcloud.service.confinement.limits import Limits, cause_of_end, exceeded, outgrown
from tests.site import DONE, FAILED, Site, until

LIMITED = """
import sys
from scientistcloud.service.confinement.limits import Limits
limits = Limits(memory_bytes=64 << 20, cpu_seconds={cpu_seconds}, open_files=50)
limits.impose()
"""
LIMITS = Limits(memory_bytes=100 << 20, cpu_seconds=60)
MIB = 1 << 20


def limited(code: str, tmp_path: Path, cpu_seconds: int = 30) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LIMITED.format(cpu_seconds=cpu_seconds) + code],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("bytearray(700 << 20)", "MemoryError"),
        ("import numpy; numpy.ones(700 << 20, 'u1')", "MemoryError"),
        ("files = [open('/dev/null') for _ in range(60)]", f"Errno {errno.EMFILE}"),
        (
            "limits.allow_files(1000, 1000); open('a', 'wb').truncate(2 << 30)",
            f"Errno {errno.EFBIG}",
        ),
    ],
)
def test_beyond_the_limit_is_an_error(code: str, error: str, tmp_path: Path) -> None:
    done = limited(code, tmp_path)
    assert done.returncode == 1
    assert error in done.stderr


def test_within_the_limit_nothing_is_felt(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(bytes(1000))
    os.truncate(tmp_path / "input", 4 << 30)
    code = (
        "import numpy; numpy.memmap('input', 'u1', 'r')[::1 << 24].sum(); numpy.ones(7 << 20)\n"
        "limits.allow_files(1 << 30, 0); open('a', 'wb').truncate(1 << 30)\n"
        "import threading; [threading.Thread(target=print).start() for _ in range(8)]"
    )
    done = limited(code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_time_without_progress_ends_the_process(tmp_path: Path) -> None:
    done = limited("while True: pass", tmp_path, cpu_seconds=1)
    assert done.returncode == -signal.SIGXCPU


def test_with_progress_time_is_no_limit(tmp_path: Path) -> None:
    code = (
        "import time\n"
        "while time.process_time() < 3.5:\n"
        "    end = time.process_time() + 0.2\n"
        "    while time.process_time() < end: pass\n"
        "    limits.allow_time()\n"
    )
    assert limited(code, tmp_path, cpu_seconds=1).returncode == 0


def test_limits_are_for_good_and_no_core_is_written(tmp_path: Path) -> None:
    code = (
        "import resource\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE), open('/proc/self/oom_score_adj').read())\n"
        "print([len(set(resource.getrlimit(kind))) for kind in "
        "(resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE)])"
    )
    assert limited(code, tmp_path).stdout.split("\n")[:3] == ["(0, 0) 500", "", "[1, 1, 1]"]


def test_a_lower_limit_of_the_host_stays(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            LIMITED.format(cpu_seconds=30)
            + "import resource as r; print(r.getrlimit(r.RLIMIT_FSIZE))",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)),
    )
    assert done.stdout.strip() == "(5000, 5000)"


def caused(outer: Exception, inner: BaseException) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "OutOfMemory"),
        (caused(CorruptSource("a.h5 is damaged."), MemoryError()), "OutOfMemory"),
        (OSError(errno.ENOMEM, "no"), "OutOfMemory"),
        (OSError(errno.EMFILE, "no"), "ResourceLimit"),
        (OSError("Unable to open file (errno = 24, 'Too many open files')"), "ResourceLimit"),
        (caused(ValueError(), OSError(errno.EFBIG, "no")), "ResourceLimit"),
        (CorruptSource("Too many open files.tif is damaged."), None),
        (OSError(errno.EIO, "no"), None),
    ],
)
def test_a_limit_is_recognized_behind_what_it_led_to(error: Exception, code: str | None) -> None:
    found = exceeded(error)
    assert (found and found.code) == code


@pytest.mark.parametrize(
    ("status", "kills", "cls"),
    [
        (-signal.SIGKILL, 0, AttemptCrashed),
        (-signal.SIGKILL, 1, OutOfMemory),
        (-signal.SIGSEGV, 1, AttemptCrashed),
        (-signal.SIGXCPU, 0, AttemptTimedOut),
        (-40, 0, AttemptCrashed),
        (3, 1, AttemptCrashed),
        (None, 0, AttemptCrashed),
    ],
)
def test_why_a_child_ended(status: int | None, kills: int, cls: type[ConversionError]) -> None:
    error = cause_of_end(status, LIMITS, resident=77 * MIB, oom_kills=kills)
    assert type(error) is cls
    assert ("77 MiB" in error.message) == (cls is OutOfMemory)


def test_memory_may_exceed_its_limit_a_little() -> None:
    assert outgrown(LIMITS, 109 * MIB) is None
    assert isinstance(outgrown(LIMITS, 111 * MIB), OutOfMemory)


def outcomes(document: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(each["outcome"], each.get("code")) for each in document["conversion"]["history"]]


def test_a_file_that_takes_all_memory_fails_after_a_second_attempt(site: Site) -> None:
    uuid, good = str(uuids.uuid4()), site.stack()[0]
    (site.upload / uuid).mkdir()
    with h5py.File(site.upload / uuid / "a.h5", "w", libver="latest") as file:
        for number in range(3000):
            group = file.create_group(f"group {number}")
            group.attrs["a"] = np.zeros(7000)
            group["data"] = np.zeros((2, 2))
    site.queue(uuid, good)
    site.start("--drain", CONVERSION_MEMORY_LIMIT="96MB").wait(120)
    failed = site.find(uuid)
    assert failed["status"] == FAILED
    assert outcomes(failed) == [("retry", "OutOfMemory"), ("failed", ResourceLimit.__name__)]
    assert "over its limit of 92 MiB" in failed["conversion_last_error"]
    assert "CONVERSION_MEMORY_LIMIT" in failed["conversion"]["error"]["remedy"]
    assert site.find(good)["status"] == DONE


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group (version 1) whose memory can be limited."""
    folder = Path("/sys/fs/cgroup/memory") / f"scientistcloud-{uuids.uuid4().hex[:8]}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here ({error.strerror})")
    yield folder
    until(lambda: not (folder / "cgroup.procs").read_text(), 20)
    folder.rmdir()


def test_a_host_with_less_memory_than_it_said_gets_a_smaller_plan(group: Path, site: Site) -> None:
    """The kernel ends the child; the group is out of the service's sight, as in a container."""
    never, later = str(uuids.uuid4()), str(uuids.uuid4())
    data = np.zeros((200, 1024, 1024), np.uint16) + np.arange(1024, dtype=np.uint16)
    (site.upload / never).mkdir()
    with h5py.File(site.upload / never / "a.h5", "w") as file:
        file.create_dataset("data", data=data, chunks=(200, 256, 256), compression="lzf")
    shutil.copytree(site.upload / never, site.upload / later)
    site.start(
        program=["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec unshare -C "$@"', "sh"],
        CONVERSION_MEMORY_LIMIT="1G",
        CONVERSION_CPU_LIMIT="2",
        JOB_MAX_CONCURRENT="1",
    )
    first, _ = site.stack()
    site.queue(first)
    site.wait(first, DONE)
    counts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    limit = group / "memory.limit_in_bytes"
    limit.write_text(str(int(counts["rss"]) + 40 * MIB))
    site.queue(never)
    failed = site.wait(never, DONE, FAILED, seconds=60)
    assert outcomes(failed) == [("retry", "OutOfMemory"), ("failed", "ResourceLimit")]
    assert "The host ran out of memory" in failed["conversion_last_error"]
    site.queue(later)
    until(lambda: bool(site.find(later).get("conversion", {}).get("waiting")), 60)
    plan = site.find(later)["conversion"]["plan"]
    limit.write_text(str(int(counts["rss"]) + 1024 * MIB))
    document = site.wait(later, DONE, FAILED)
    assert outcomes(document) == [("retry", "OutOfMemory"), ("done", None)]
    assert plan["datasets"][0]["threads"] > document["conversion"]["plan"]["datasets"][0]["threads"]
    assert plan["memory_bytes"] > document["conversion"]["plan"]["memory_bytes"]
    assert np.array_equal(site.read(later), data)
    assert site.services[0].poll() is None
    site.services[0].send_signal(signal.SIGTERM)
    site.services[0].wait(20)
