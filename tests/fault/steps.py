"""Arms named steps of real services, and tells what was hit (see ``failpoints``)."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SERVICE_TARGETS = ("service", "warm", "group")
CHILD_TARGETS = ("self", "service", "warm", "group")


@dataclass(frozen=True, slots=True, order=True)
class Armed:
    """A process that comes to `step` of `dataset` ("" is any) is hit, once.

    Attributes
    ----------
    when : str
        ``before`` or ``after`` the step.
    target : str
        ``self``, ``service``, ``warm`` or ``group`` (all three).
    signal : str
        ``SIGKILL`` or ``SIGSTOP``.
    """

    step: str
    when: str
    target: str
    signal: str = "SIGKILL"
    dataset: str = ""
    id: str = ""


class Failpoints:
    """The folder through which processes are told where to fail; confined children reach it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sc-failpoints-", dir="/dev/shm"))
        self.folder.chmod(0o777)
        (self.folder / "armed").mkdir()
        (self.folder / "armed").chmod(0o777)

    def arm(self, *armed: Armed, name: str = "only") -> None:
        """Arm steps, to be hit in this order; replaces what was armed before by this name."""
        draft = self.folder / f"draft.{os.getpid()}"
        draft.write_text(json.dumps([asdict(each) for each in armed]))
        draft.replace(self.folder / "armed" / name)

    def disarm(self, name: str = "only") -> bool:
        """Whether it was still armed."""
        try:
            (self.folder / "armed" / name).unlink()
        except FileNotFoundError:
            return False
        return True

    def hits(self) -> list[dict[str, Any]]:
        return _lines(self.folder / "hits")

    def record(self) -> None:
        """Let every process note the steps that it comes to."""
        (self.folder / "steps").touch()

    def recorded(self) -> list[dict[str, Any]]:
        """The steps noted so far, and an end of noting them."""
        found = _lines(self.folder / "steps")
        (self.folder / "steps").unlink(missing_ok=True)
        return found

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def kills(
    steps: list[dict[str, Any]],
    of_child: Sequence[str] = CHILD_TARGETS,
    of_service: Sequence[str] = SERVICE_TARGETS,
) -> list[Armed]:
    """Every kind of kill before and after each of these steps."""
    names = {(entry["step"], entry["when"]) for entry in steps}
    return sorted(
        Armed(step, when, target)
        for step, when in names
        for target in (of_child if step.startswith("child") else of_service)
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines()]
