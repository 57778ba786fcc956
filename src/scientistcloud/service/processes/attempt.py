"""What the child process of one attempt does: convert, report, publish when told to.

On its channel::

    child -> service   {"progress": {phase, done_bytes, total_bytes}}
                       {"plan": {...}} once, after which it waits to be let in
                       {"ready": true} when all is verified and only the commit is left
                       {"done": {...}} or {"failed": {code, message, remedy}} or {"stopped": true}
    service -> child   {"go": true} in answer to plan, {"commit": true} in answer to ready;
                       {"stop": true}
"""

from __future__ import annotations

import faulthandler
import json
import os
import shutil
import tempfile
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scientistcloud.conversion.options import ConversionOptions, Progress
from scientistcloud.conversion.publishing.generations import LOG, PARTIAL, RETIRED
from scientistcloud.conversion.publishing.publish import Publication, StagingLost, open_staging
from scientistcloud.conversion.run import Request, convert
from scientistcloud.errors import ConversionError, Stopped, UnexpectedError
from scientistcloud.service.confinement import sandbox
from scientistcloud.service.confinement.limits import Limits, exceeded
from scientistcloud.service.confinement.seccomp import refuse_calls
from scientistcloud.service.processes.channel import Channel, ChannelClosed

_REPORT_SECONDS = 0.2
_REHEARSAL = "scientistcloud-rehearsal-"
_LONGEST_REHEARSAL_SECONDS = 120.0
"""Longer than a service waits for its warm process."""

_SHOWN_BYTES = 64 << 10
_SHOWN_CHARACTERS = 2000


def rehearse() -> None:
    """Convert something tiny, so that forked children find everything imported and set up."""
    sandbox.prepare()
    import numpy as np
    import tifffile

    with tempfile.TemporaryDirectory(prefix=_REHEARSAL) as name:
        folder = Path(name)
        _remove_former_rehearsals(folder)
        (folder / "upload").mkdir()
        for number in range(2):
            page = np.full((4, 4), number, np.uint16)
            tifffile.imwrite(folder / "upload" / f"{number}.tif", page, compression="deflate")
        publication = Publication(folder / "out", folder / ".staging", "out", "0" * 32)
        open_staging(publication)
        options = ConversionOptions(memory_limit_bytes=1 << 30, threads=1)
        convert(folder / "upload", publication, options, request=Request("rehearsal"))


def _remove_former_rehearsals(own: Path) -> None:
    """Remove what warm processes left that were killed in theirs."""
    now = own.stat().st_mtime
    for folder in own.parent.glob(f"{_REHEARSAL}*"):
        with suppress(OSError):  # somebody else's, or being removed
            if now - folder.stat().st_mtime > _LONGEST_REHEARSAL_SECONDS:
                shutil.rmtree(folder)


def run_attempt(order: dict[str, Any], channel: Channel) -> int:
    """Carry out `order`; returns the exit status of the process.

    Parameters
    ----------
    order : dict
        ``source``, ``target``, ``staging_root`` (paths), ``name``, ``token``, ``request`` (strings)
        ``options`` (the arguments of `ConversionOptions`) and ``limits`` (those of `Limits`).
    """
    publication = Publication(
        target=Path(order["target"]),
        staging_root=Path(order["staging_root"]),
        name=order["name"],
        token=order["token"],
    )
    link = _Link(channel, Limits(**order["limits"]))
    try:
        answer = _convert(order, publication, link)
    except (Stopped, StagingLost):
        answer = {"stopped": True}
    except Exception as error:  # of a bug too, the class alone decides what becomes of the attempt
        answer = {"failed": _told(_understood(error)), "trace": _trace(error)}
    try:
        channel.send(answer)
    except ChannelClosed:
        return 1
    return 0


def _convert(order: dict[str, Any], publication: Publication, link: _Link) -> dict[str, Any]:
    options = ConversionOptions(**order["options"])
    source = Path(order["source"])
    open_staging(publication)
    _log_to(publication.staging / LOG)
    link.limits.impose()
    _shut_in(source, publication)
    threading.Thread(target=link.listen, name="orders", daemon=True).start()
    result = convert(
        source,
        publication,
        options,
        request=Request(id=order["request"], adopt=True),
        progress=link.report,
        plan=link.tell_plan,
        stop=link.stopped.is_set,
        confirm=link.confirm,
    )
    return {"done": shortened(result.to_dict())}


def _log_to(path: Path) -> None:
    """Let what libraries print, and the last words of a crash, end up in the dataset's log."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    faulthandler.enable()


def _shut_in(source: Path, publication: Publication) -> None:
    """From here on only the dataset's own folders are within reach (and no other process's)."""
    publication.target.mkdir(parents=True, exist_ok=True)
    shared = [publication.staging_root / name for name in (RETIRED, PARTIAL)]
    for folder in shared:
        folder.mkdir(exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(publication.scratch)
    sandbox.confine([source], [publication.staging, publication.target, *shared])
    refuse_calls()


def shortened(told: dict[str, Any]) -> dict[str, Any]:
    """A plan or a result with only so many of its datasets and fields as a message holds.

    They are only for show; ``metadata.json`` and ``conversion.log`` have them all.
    """
    kept = max([len(told["datasets"]), *(len(each["fields"]) for each in told["datasets"])])
    while kept > 1 and len(json.dumps(told)) > _SHOWN_BYTES:
        kept //= 2
        first = [each | {"fields": each["fields"][:kept]} for each in told["datasets"][:kept]]
        told = told | {"datasets": first}
    return told


def _understood(error: Exception) -> ConversionError:
    limit = exceeded(error)
    if limit is not None:
        return limit
    if isinstance(error, ConversionError):
        return error
    return UnexpectedError(f"Something unexpected went wrong ({type(error).__name__}).")


def _told(error: ConversionError) -> dict[str, str]:
    """The error for the service, however many names its sentence lists."""
    return {key: text[:_SHOWN_CHARACTERS] for key, text in error.to_dict().items()}


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-16_000:]


class _Link:
    """The child's end of its channel: progress out, orders in."""

    def __init__(self, channel: Channel, limits: Limits) -> None:
        self.channel = channel
        self.limits = limits
        self.stopped = threading.Event()
        self._admitted = threading.Event()
        self._answered = threading.Event()
        self._reported = 0.0
        self._phase = ""

    def listen(self) -> None:
        """Take orders until the service goes away, which is an order to stop."""
        try:
            while True:
                message, _ = self.channel.receive()
                if "go" in message:
                    self._admitted.set()
                elif "commit" in message:
                    self._answered.set()
                else:
                    break
        except ChannelClosed:
            pass
        self.stopped.set()
        self._admitted.set()
        self._answered.set()

    def report(self, progress: Progress) -> None:
        """Send progress on, at most every 0.2 s but for a new phase."""
        now = time.monotonic()
        if progress.phase == self._phase and now - self._reported < _REPORT_SECONDS:
            return
        self._phase, self._reported = progress.phase, now
        self.limits.allow_time()
        self._send({"progress": asdict(progress)})

    def tell_plan(self, plan: dict[str, Any]) -> None:
        """Tell what the attempt needs, and wait to be let in."""
        self.limits.allow_files(plan["total_bytes"], plan["scratch_bytes"])
        self._send({"plan": shortened(plan)})
        self._admitted.wait()
        if self.stopped.is_set():
            raise Stopped

    def confirm(self) -> bool:
        """Ask whether the claim still holds; waits as long as that cannot be known."""
        self._send({"ready": True})
        self._answered.wait()
        return not self.stopped.is_set()

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self.channel.send(message)
        except ChannelClosed:
            self.stopped.set()
