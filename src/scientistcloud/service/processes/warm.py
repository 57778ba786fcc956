"""The warm process: single-threaded, heavy imports done, it forks one child per attempt.

A fork of it costs a few milliseconds where a fresh interpreter costs a second, and a crash in a
child harms nobody else. It never imports pymongo and its environment holds no secrets. It ends
when the service does (end of file on its channel), and its children end with it
(``PR_SET_PDEATHSIG``).

On its channel::

    service -> warm   {"launch": job, "order": {...}} + descriptor of the child's channel
                      {"kill": job, "signal": n}
    warm -> service   {"ready": pid} once; {"launched": job, "pid": n}; {"exited": job, "status": n}
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from scientistcloud.service.processes.channel import Channel, ChannelClosed, Message

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def main(descriptor: int, libraries: Sequence[str] = ()) -> None:
    """Serve launches on the channel `descriptor` until it is closed."""
    from scientistcloud.service.processes import attempt, look

    assert look  # imported for the children
    attempt.rehearse()
    for name in libraries:
        with suppress(ImportError):
            import_module(name)
    if threading.active_count() > 1:
        raise RuntimeError("a process that forks must have a single thread")
    gc.collect()
    gc.freeze()  # what is shared with the children stays shared: no collection touches it
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    channel = Channel.of_descriptor(descriptor)
    with suppress(ChannelClosed):
        channel.send({"ready": os.getpid()})
        _serve(channel)


def _serve(channel: Channel) -> None:
    jobs: dict[int, str] = {}
    wakeup = _wake_on_child_exit()
    while True:
        readable = select.select([channel.fileno(), wakeup.fileno()], [], [])[0]
        if wakeup.fileno() in readable:
            wakeup.recv(4096)
            _reap(channel, jobs)
        if channel.fileno() in readable:
            message, descriptor = channel.receive()
            if "launch" in message and descriptor is not None:
                _launch(channel, message, descriptor, jobs, wakeup)
            elif "kill" in message:
                _kill(message, jobs)


def _carry_out(order: Message, channel: Channel) -> int:
    from scientistcloud.service.processes import attempt, look

    return look.run_look(order) if "look" in order else attempt.run_attempt(order, channel)


def _wake_on_child_exit() -> socket.socket:
    """A socket that becomes readable when a child ends."""
    near, far = socket.socketpair()
    for end in (near, far):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(far.detach(), warn_on_full_buffer=False)
    return near


def _launch(
    channel: Channel, message: Message, descriptor: int, jobs: dict[int, str], wakeup: socket.socket
) -> None:
    warm = os.getpid()
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            wakeup.close()
            _become_child(channel, warm)
            status = _carry_out(message["order"], Channel.of_descriptor(descriptor))
        finally:
            sys.stderr.flush()
            os._exit(status)  # nothing of the warm process is to be torn down here
    os.close(descriptor)
    jobs[pid] = message["launch"]
    channel.send({"launched": message["launch"], "pid": pid})


def _become_child(channel: Channel, warm: int) -> None:
    """Leave the warm process's channel and signals behind; die with it; gain no privileges."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != warm:  # the warm process ended before the kernel knew our wish
        os._exit(70)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    channel.close()
    os.umask(0o022)  # other containers read what we write


def _kill(message: Message, jobs: dict[int, str]) -> None:
    """Signal a job's process; it is ours until it is reaped here, so its number is not reused."""
    for pid, job in jobs.items():
        if job == message["kill"]:
            with suppress(ProcessLookupError):
                os.kill(pid, message["signal"])


def _reap(channel: Channel, jobs: dict[int, str]) -> None:
    while jobs:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        job = jobs.pop(pid, None)
        if job is not None:
            channel.send({"exited": job, "status": os.waitstatus_to_exitcode(status)})


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
