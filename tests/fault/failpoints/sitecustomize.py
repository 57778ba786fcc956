"""Makes the processes of a real service fail at a named step of an attempt.

Python runs this file in every process that finds it on ``PYTHONPATH``; the product knows nothing
of it. It wraps what moves an attempt on (``os.replace``, ``rename``, ``mkdir``, ``fsync``, and the
driver's updates), so that a process can be hit right before or after one of them.

A step is called ``<role> <operation> <what>``, for instance ``child replace STAGING/visus.idx ->
TARGET/visus.idx`` or ``service update complete``. The folder in ``SC_FAILPOINTS`` holds

- ``armed``: a folder of JSON lists of ``{id, step, when, target, signal, dataset}``. The process
  that comes to the first step of one of these lists takes it out, so that it works once, and then
  sends the signal to ``target``: itself, the service, the warm process or the whole group;
- ``hits``: a line of JSON for each hit, written before the signal is sent;
- ``steps``: where it exists, a line of JSON for every step of every process.

The folder lies in ``/dev/shm``, where a confined child may write.
"""

# It wraps ``os``, and must not depend on what it wraps.
# ruff: noqa: PTH110, PTH115, PTH118, PTH123, PTH208

from __future__ import annotations

import functools
import json
import os
import re
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import Any

FOLDER = os.environ.get("SC_FAILPOINTS", "")
ARMED, HITS, STEPS, WANTED = (
    os.path.join(FOLDER, name) for name in ("armed", "hits", "steps", "wanted")
)

_IDENTITY = r"[A-Za-z0-9][A-Za-z0-9_-]*"
_SHORTER = (
    (re.compile(rf".*/\.staging/(?P<uuid>{_IDENTITY})\.[0-9a-f]{{32}}"), "STAGING"),
    (re.compile(r".*/\.staging/\.revoked\.[^/]+"), "REVOKED"),
    (re.compile(rf".*/\.staging/\.retired/(?P<uuid>{_IDENTITY})"), "RETIRED"),
    (re.compile(rf".*/\.staging/\.partial/(?P<uuid>{_IDENTITY})"), "PARTIAL"),
    (re.compile(rf".*/converted/(?P<uuid>{_IDENTITY})"), "TARGET"),
    (re.compile(r"/[0-9a-f]{16}\b"), "/GENERATION"),
    (re.compile(r"[0-9a-f]{4}\.bin"), "BLOCKS.bin"),
)
_seen: dict[str, int] = {}
_real_rename = os.rename


def _role() -> str:
    words = sys.orig_argv
    if "scientistcloud.service.processes.warm" in words:
        return "warm" if os.getpid() == _LOADED_BY else "child"
    return "service" if "worker" in words else ""


_LOADED_BY = os.getpid()


def describe(path: object) -> tuple[str, str]:
    """A path without what differs from attempt to attempt, and the dataset that it belongs to."""
    text = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""
    uuid = ""
    for pattern, word in _SHORTER:
        found = pattern.search(text)
        if found:
            uuid = uuid or found.groupdict().get("uuid") or ""
            text = text[: found.start()] + word + text[found.end() :]
    return text, uuid


def reach(step: str, when: str, dataset: str) -> None:
    """The process has come to `step`; whoever armed it may never let it go on."""
    if os.path.exists(STEPS):
        _append(STEPS, {"step": step, "when": when, "dataset": dataset, "pid": os.getpid()})
    for name in os.listdir(ARMED):
        _reach_armed(os.path.join(ARMED, name), step, when, dataset)


def _reach_armed(path: str, step: str, when: str, dataset: str) -> None:
    try:
        with open(path, encoding="utf-8") as file:
            armed, *further = json.load(file)
    except (OSError, ValueError):
        return
    if armed["step"] != step or armed["when"] != when:
        return
    if armed["dataset"] and armed["dataset"] != dataset:
        return
    with suppress(OSError):
        taken = f"{FOLDER}/taken.{os.getpid()}"
        _real_rename(path, taken)
        if further:
            with open(taken, "w", encoding="utf-8") as file:
                json.dump(further, file)
            _real_rename(taken, path)
        _hit(armed, dataset)


def _hit(armed: dict[str, str], dataset: str) -> None:
    if _role() == "child" and armed["target"] != "self":
        _ask_the_service(armed, dataset)
    else:
        _strike(armed, dataset, os.getpid())
    if armed["target"] == "group" or (armed["signal"] == "SIGSTOP" and armed["target"] == "self"):
        time.sleep(0.3)  # being hit takes a moment, and nothing more is to happen before it


def _strike(armed: dict[str, str], dataset: str, reached_by: int) -> None:
    family = _family() if armed["target"] != "self" else []
    chosen = {"self": [reached_by], "service": family[:1], "warm": family[1:2], "group": family}
    pids = chosen[armed["target"]]
    _append(HITS, armed | {"dataset": dataset, "pid": reached_by, "pids": pids})
    for pid in sorted(pids, key=lambda pid: pid == os.getpid()):  # ourselves last
        with suppress(ProcessLookupError):
            os.kill(pid, signal.Signals[armed["signal"]])


def _ask_the_service(armed: dict[str, str], dataset: str) -> None:
    """A confined child sees and signals nobody: its service does it while it waits."""
    request = f"{WANTED}.{os.getpid()}.{os.getppid()}"
    with open(f"{request}.new", "w", encoding="utf-8") as file:
        json.dump([armed, dataset], file)
    _real_rename(f"{request}.new", request)
    deadline = time.monotonic() + 20.0
    while os.path.exists(request) and time.monotonic() < deadline:
        time.sleep(0.001)


def _serve_children() -> None:
    """In the service: strike where its children ask for it."""
    while True:
        time.sleep(0.005)
        with suppress(OSError):
            for name in os.listdir(FOLDER):
                kind, _, pids = name.partition(".")
                child, _, warm = pids.partition(".")
                if kind == "wanted" and warm.isdigit() and int(warm) in _children(os.getpid()):
                    path = os.path.join(FOLDER, name)
                    with open(path, encoding="utf-8") as file:
                        armed, dataset = json.load(file)
                    _real_rename(path, f"{path}.taken")  # the child goes on, if it may
                    _strike(armed, dataset, int(child))


def _family() -> list[int]:
    """The service, its warm process and the children."""
    if _role() == "service":
        warm = _children(os.getpid())
        return [os.getpid(), *warm, *(child for pid in warm for child in _children(pid))]
    warm_pid = os.getppid() if _role() == "child" else os.getpid()
    return [_parent(warm_pid), warm_pid, *_children(warm_pid)]


def _children(pid: int) -> list[int]:
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
            found += [int(each) for each in file.read().split()]
    return found


def _parent(pid: int) -> int:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def _append(path: str, entry: dict[str, object]) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def _wrap_call(module: object, name: str) -> None:
    real = getattr(module, name)

    @functools.wraps(real)
    def wrapped(*arguments: object, **more: object) -> object:
        role = _role()
        described = [describe(each) for each in arguments[:2] if not isinstance(each, int)]
        if role not in ("service", "child") or not any(uuid for _, uuid in described):
            return real(*arguments, **more)
        step = f"{role} {name} {' -> '.join(text for text, _ in described)}"
        dataset = next(uuid for _, uuid in described if uuid)
        reach(step, "before", dataset)
        value = real(*arguments, **more)
        reach(step, "after", dataset)
        return value

    setattr(module, name, wrapped)


def _wrap_fsync() -> None:
    real = os.fsync

    def fsync(file: object) -> None:
        if _role() != "child":
            return real(file)  # type: ignore[arg-type]
        number = file if isinstance(file, int) else file.fileno()  # type: ignore[attr-defined]
        text, uuid = describe(os.readlink(f"/proc/self/fd/{number}"))
        step = f"child fsync {text}"
        reach(step, "before", uuid)
        real(number)
        return reach(step, "after", uuid)

    os.fsync = fsync  # type: ignore[assignment]


def _wrap_updates() -> None:
    """Name each update after the method of the store that makes it."""
    from pymongo.synchronous.collection import Collection

    for name in ("update_one", "find_one_and_update", "update_many"):
        real = getattr(Collection, name)

        def wrapped(
            self: object,
            query: dict[str, object],
            *arguments: object,
            _real: Any = real,
            **more: object,
        ) -> object:
            step = f"service update {_purpose()}"
            document_id = query.get("_id")
            dataset = document_id if isinstance(document_id, str) else ""
            reach(step, "before", dataset)
            value = _real(self, query, *arguments, **more)
            if isinstance(value, dict) and "uuid" in value:
                dataset = str(value["_id"])
            reach(step, "after", dataset)
            return value

        setattr(Collection, name, functools.wraps(real)(wrapped))


def _purpose() -> str:
    frame = sys._getframe(2)
    names = []
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(("scientistcloud.datasets.", "scientistcloud.service.supervise")):
            names.append(frame.f_code.co_name)
        frame = frame.f_back  # type: ignore[assignment]
    for inner, purpose in (
        ("_on_ready", "renew to commit"),
        ("_requeue_lost", "rescue"),
        ("_take", "claim"),
        ("stamp", "stamp"),
        ("beat", "beat"),
    ):
        if inner in names:
            return purpose
    known = ("renew", "complete", "retry", "fail", "release", "rescue")
    return next((name for name in names if name in known), names[0] if names else "other")


def install() -> None:
    for name in ("replace", "rename", "mkdir"):
        _wrap_call(os, name)
    _wrap_fsync()
    if _role() == "service":
        _wrap_updates()
        threading.Thread(target=_serve_children, name="failpoints", daemon=True).start()


if FOLDER and _role():
    install()
