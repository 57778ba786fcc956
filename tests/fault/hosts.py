"""Services as on hosts of their own: own scratch folder and, where root, own network."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil

from tests.fault.server import Server
from tests.fault.shim import Shim

FAILPOINTS = Path(__file__).with_name("failpoints")


def can_cut() -> str | None:
    """Why networks cannot be cut here; None if they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None or shutil.which("iptables") is None:
        return "ip (iproute2) and iptables are needed"
    name = f"scprobe{os.getpid()}"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if done.returncode != 0:
        return f"no network namespace can be made ({done.stderr.strip()})"
    _run("ip", "netns", "del", name)
    done = subprocess.run(["iptables", "-L", "INPUT", "-n"], capture_output=True, text=True)
    return None if done.returncode == 0 else f"iptables does not work ({done.stderr.strip()})"


@cache
def network() -> str:
    """The first half of the addresses of this run, which no other one here uses."""
    taken = subprocess.run(["ip", "-o", "addr"], capture_output=True, text=True, check=True).stdout
    tried = [f"10.{64 + (os.getpid() + number) % 128}" for number in range(128)]
    return next(each for each in tried if f" {each}." not in taken)


def address(number: int) -> str:
    """Where the host `number` reaches MongoDB."""
    return f"{network()}.{number + 1}.1"


class Host:
    """One host: a scratch folder, maybe a network, and at most one running service.

    Attributes
    ----------
    started_at : float
        By the monotonic clock.
    """

    def __init__(
        self,
        number: int,
        root: Path,
        failpoints: Path,
        *,
        network: bool,
        slow_storage: Path | None = None,
    ) -> None:
        self.number = number
        self._shim = Shim(failpoints, f"host-{number}", slow_storage) if slow_storage else None
        self.started_at = 0.0
        self._root = root
        self._failpoints = failpoints
        self._namespace = f"schost{os.getpid()}_{number}" if network else ""
        self._link = f"sc{os.getpid() % 100000}_{number}"
        self.scratch = root / f"tmp-{number}"
        self.scratch.mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        if network:
            self._lay_cable()

    def _lay_cable(self) -> None:
        space, link, inner = self._namespace, self._link, f"{self._link}i"
        near, far = address(self.number), f"{network()}.{self.number + 1}.2"
        _run("ip", "netns", "add", space)
        _run("ip", "link", "add", link, "type", "veth", "peer", "name", inner)
        _run("ip", "link", "set", inner, "netns", space)
        _run("ip", "addr", "add", f"{near}/30", "dev", link)
        _run("ip", "link", "set", link, "up")
        _run("ip", "-n", space, "addr", "add", f"{far}/30", "dev", inner)
        _run("ip", "-n", space, "link", "set", inner, "up")
        _run("ip", "-n", space, "link", "set", "lo", "up")

    def start(self, server: Server, settings: dict[str, str]) -> None:
        """Start a service; its log is ``service-<host>.log``, all its lives one after another."""
        if self.process is not None:
            self.process.wait(10)  # only one at a time
        url = server.url(address(self.number)) if self._namespace else server.url()
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("MONGO")}
        environment = inherited | settings
        environment |= {"MONGO_URL": url, "TMPDIR": str(self.scratch)}
        search = os.pathsep.join(filter(None, [str(FAILPOINTS), os.environ.get("PYTHONPATH")]))
        environment |= {"PYTHONPATH": search, "SC_FAILPOINTS": str(self._failpoints)}
        if self._shim is not None:
            environment |= self._shim.environment
        command = [sys.executable, "-m", "scientistcloud", "worker"]
        if self._namespace:
            command = ["ip", "netns", "exec", self._namespace, *command]
        with self.log.open("ab") as lines:
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdout=lines,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started_at = time.monotonic()

    @property
    def shim(self) -> Shim:
        """Its clock and its way to the shared storage, where they can be changed."""
        assert self._shim is not None
        return self._shim

    @property
    def log(self) -> Path:
        return self._root / f"service-{self.number}.log"

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def is_stopped(self) -> bool:
        """Whether the service was stopped by a signal, so that it does nothing at all."""
        with suppress(psutil.NoSuchProcess):
            return bool(
                psutil.Process(self.process.pid if self.process else 0).status()
                == psutil.STATUS_STOPPED
            )
        return False

    @property
    def owner(self) -> str:
        """What the names of this service's leases contain."""
        return f"_{self.process.pid}_" if self.process else "none"

    def family(self) -> list[psutil.Process]:
        """The service, its warm process and its children."""
        if not self.is_running or self.process is None:
            return []
        with suppress(psutil.NoSuchProcess):
            return [psutil.Process(self.process.pid), *self.warm(), *self.children()]
        return []

    def warm(self) -> list[psutil.Process]:
        """The process that the children are forked from."""
        return _processes(children_of(self.process.pid)) if self.process else []

    def children(self) -> list[psutil.Process]:
        """The processes of its attempts."""
        if self.process is None:
            return []
        warm = children_of(self.process.pid)
        return _processes([pid for each in warm for pid in children_of(each)])

    def cut(self) -> None:
        """Drop every packet between this host and the others."""
        for chain, way in (("INPUT", "-i"), ("OUTPUT", "-o")):
            _run("iptables", "-w", "-I", chain, way, self._link, "-j", "DROP")

    def mend(self) -> None:
        for chain, way in (("INPUT", "-i"), ("OUTPUT", "-o")):
            _run("iptables", "-w", "-D", chain, way, self._link, "-j", "DROP")

    def stop(self, seconds: float = 15.0) -> int | None:
        """SIGTERM, then SIGKILL: the exit status, None if it hung or was gone."""
        family = self.family()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
        status = None
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                status = self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        psutil.wait_procs(family, 3.0)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return status

    def close(self) -> None:
        self.stop()
        if self._namespace:
            subprocess.run(["ip", "link", "del", self._link], capture_output=True, check=False)
            _run("ip", "netns", "del", self._namespace)


def children_of(pid: int) -> list[int]:
    """Numbers of the processes that `pid` has started; none where it is gone."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _processes(pids: list[int]) -> list[psutil.Process]:
    found = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=20)
