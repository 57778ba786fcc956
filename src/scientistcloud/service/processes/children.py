"""The service's side of the warm process: launch a child, hear it, end it."""

from __future__ import annotations

import itertools
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import structlog

from scientistcloud.service.processes.channel import Channel, ChannelClosed
from scientistcloud.service.processes.environment import without_secrets

log = structlog.get_logger(__name__)

_START_SECONDS = 60.0
_LOOK_SECONDS = 0.2
_AGAIN_SECONDS = 5.0
"""Before one that died is replaced though nothing is to be launched: it might die each time."""


class WarmProcessFailed(Exception):
    """The warm process could not be started."""


class Child:
    """One attempt's process: messages by its `channel`, its end by `wait`.

    Attributes
    ----------
    origin : Channel
        To the warm process that it was ordered from.
    """

    def __init__(self, job: str, channel: Channel, origin: Channel) -> None:
        self.job = job
        self.channel = channel
        self.origin = origin
        self.pid: int | None = None
        self._ended = threading.Event()
        self._status: int | None = None

    def signal(self, number: int) -> None:
        """Send the process a signal, if it still runs."""
        with suppress(ChannelClosed):
            self.origin.send({"kill": self.job, "signal": number})

    def wait(self, timeout_seconds: float) -> int | None:
        """Its exit status (negative: the signal), or None if it still runs after the timeout."""
        self._ended.wait(timeout_seconds)
        return self._status

    def end(self, status: int) -> None:
        self._status = status
        self._ended.set()


class WarmProcess:
    """Starts children; starts itself again when it has died (its children die with it).

    Parameters
    ----------
    stopping : Event, optional
        The service is about to end: nobody waits for its start any more.
    libraries : tuple of str
        Modules that are imported for the children besides what a first conversion needs, where
        they are installed.
    """

    def __init__(
        self, stopping: threading.Event | None = None, libraries: tuple[str, ...] = ()
    ) -> None:
        self._libraries = libraries
        self._stopping = stopping or threading.Event()
        self._lock = threading.Lock()
        self._jobs = itertools.count(1)
        self._children: dict[str, Child] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None

    def start(self) -> None:
        """Start it if it is not running; returns once it can fork.

        Raises
        ------
        WarmProcessFailed
        """
        with self._lock:
            self._start()

    def _start(self) -> Channel:
        if self._process is not None and self._process.poll() is None and self._channel is not None:
            return self._channel
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = without_secrets(os.environ)
        with far:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "scientistcloud.service.processes.warm",
                    str(far.fileno()),
                    *self._libraries,
                ],
                pass_fds=[far.fileno()],
                env=environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in a terminal is the service's to handle
            )
        channel = Channel(near)
        ready: queue.SimpleQueue[bool] = queue.SimpleQueue()
        threading.Thread(
            target=self._listen, args=(channel, ready), name="warm-process", daemon=True
        ).start()
        self._await(ready, self._process)
        self._channel = channel
        return channel

    def _await(self, ready: queue.SimpleQueue[bool], process: subprocess.Popen[bytes]) -> None:
        """Wait until the new process can fork."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                if ready.get(timeout=_LOOK_SECONDS):
                    return
                raise WarmProcessFailed("the warm process ended at its start")
            except queue.Empty as error:
                late = time.monotonic() > deadline
                if late or self._stopping.is_set():
                    process.kill()
                    why = "the warm process did not start in time" if late else "it is not needed"
                    raise WarmProcessFailed(why) from error

    def launch(self, order: dict[str, Any]) -> Child:
        """Fork a child that carries out `order`.

        Raises
        ------
        WarmProcessFailed
        """
        with self._lock:
            origin = self._start()
            near, far = Channel.pair()
            child = Child(f"job-{next(self._jobs)}", near, origin)
            self._children[child.job] = child
        try:
            origin.send({"launch": child.job, "order": order}, far.fileno())
        except ChannelClosed as error:
            self._children.pop(child.job, None)
            near.close()
            raise WarmProcessFailed(str(error)) from error
        finally:
            far.close()
        return child

    @property
    def is_running(self) -> bool:
        """Whether it is there and can fork."""
        return self._channel is not None

    def child_pids(self) -> list[int]:
        """The processes of the attempts that run now."""
        return [child.pid for child in list(self._children.values()) if child.pid is not None]

    def stop(self, timeout_seconds: float = 2.0) -> None:
        """End it and with it all children; returns when it is gone."""
        with self._lock:
            process, channel = self._process, self._channel
            self._process = self._channel = None
        if process is None:
            return
        if channel is not None:
            with suppress(OSError):
                channel.shut_down()
        try:
            process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _listen(self, channel: Channel, ready: queue.SimpleQueue[bool]) -> None:
        try:
            while True:
                message, _ = channel.receive()
                child = self._children.get(message.get("launched") or message.get("exited") or "")
                if "ready" in message:
                    ready.put(True)
                elif child is not None and "launched" in message:
                    child.pid = message["pid"]
                elif child is not None and "exited" in message:
                    self._children.pop(child.job, None)
                    child.end(message["status"])
        except ChannelClosed:
            ready.put(False)
            if self._bury(channel) and not self._stopping.wait(_AGAIN_SECONDS):
                with suppress(WarmProcessFailed):  # the next launch tries it again, and tells
                    self.start()

    def _bury(self, channel: Channel) -> bool:
        """The warm process is gone, and the kernel has killed its children; whether it is missed.

        One that was stopped is not, nor is one that never came to be ready.
        """
        with self._lock:
            is_missed = self._channel is channel
            if is_missed:
                self._channel = None
                log.warning("The process that starts conversions died")
            lost = [child for child in self._children.values() if child.origin is channel]
            for child in lost:
                del self._children[child.job]
        channel.close()
        for child in lost:
            child.end(-signal.SIGKILL)
        return is_missed
