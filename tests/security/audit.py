"""Whether a library that we ship has a known hole: ``./run audit``.

::

    python -m tests.security.audit                    asks the network (PyPI, by pip-audit)
    python -m tests.security.audit --osv all.zip      asks an export of https://osv.dev instead

The export of all Python packages is at
https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip. Exit status: 0 nothing known,
1 something is, 2 it could not be asked.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-run.lock", "requirements-dev.lock")
_PINNED = re.compile(r"([A-Za-z0-9._-]+)(\[[^]]*\])?==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of a lock file: a package, its version, and how many hashes it is held to."""

    name: str
    version: Version
    hashes: int


def read_lock(path: Path) -> list[Pin]:
    """The pins of a lock file.

    Raises
    ------
    ValueError
        A line pins nothing.
    """
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    pins = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _PINNED.match(line.strip())
        if found is None:
            raise ValueError(f"{path.name} does not pin: {line.strip()[:80]}")
        name = canonicalize_name(found[1])
        pins.append(Pin(name, Version(found[3]), len(_HASH.findall(line))))
    return pins


def known_holes(pins: Iterable[Pin], advisories: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A line for each advisory that concerns a pin."""
    versions = {pin.name: pin.version for pin in pins}
    for advisory in advisories:
        if "withdrawn" in advisory:
            continue
        for affected in advisory.get("affected", ()):
            package = affected.get("package", {})
            name = canonicalize_name(package.get("name", ""))
            version = versions.get(name)
            if package.get("ecosystem") == "PyPI" and version and _concerns(affected, version):
                summary = advisory.get("summary") or advisory.get("details", "")[:100]
                yield f"{name} {version}: {advisory['id']} {summary}"
                break


def _concerns(affected: dict[str, Any], version: Version) -> bool:
    if str(version) in affected.get("versions", ()):
        return True
    ranges = [each for each in affected.get("ranges", ()) if each.get("type") == "ECOSYSTEM"]
    return any(_within(each.get("events", ()), version) for each in ranges)


def _within(events: Iterable[dict[str, str]], version: Version) -> bool:
    """Whether `version` lies between an event that opens the range and one that closes it."""
    inside = False
    for event in events:
        for kind, text in event.items():
            bound = _version(text)
            if kind == "introduced" and version >= bound:
                inside = True
            elif (kind == "fixed" and version >= bound) or (
                kind == "last_affected" and version > bound
            ):
                inside = False
    return inside


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


def read_export(path: Path) -> Iterator[dict[str, Any]]:
    """The advisories of an export of OSV: one JSON file each, in a ZIP."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                yield json.loads(archive.read(name))


def _ask_network(lock: Path) -> int:
    """Ask by pip-audit, which reads the lock as it is and installs nothing."""
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip"]
    done = subprocess.run(
        [*command, "--progress-spinner=off", "--format=json", "-r", str(lock)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    try:
        asked = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return _say_unknown(lock, (done.stderr.strip().splitlines() or ["no answer"])[-1])
    return judge(lock.name, asked)


def judge(name: str, asked: list[dict[str, Any]]) -> int:
    """Tell what pip-audit found; a package that it could not ask about is not a good one."""
    holes = [
        f"{each['name']} {each['version']}: {hole['id']}, fixed in {hole['fix_versions']}"
        for each in asked
        for hole in each.get("vulns", ())
    ]
    unknown = [each["name"] for each in asked if "skip_reason" in each]
    print(f"{name}: {len(asked) - len(unknown)} packages asked about, {len(holes)} known holes")
    print("".join(f"  {hole}\n" for hole in holes), end="")
    if unknown or not asked:
        _say_unknown(Path(name), f"{len(unknown)} packages are not known where it asked")
    return 1 if holes else 2 if unknown or not asked else 0


def _say_unknown(lock: Path, reason: str) -> int:
    print(f"{lock.name}: the audit is incomplete ({reason[:300]}).", file=sys.stderr)
    print(
        "Without network: fetch https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip "
        "elsewhere, then ./run audit --osv all.zip",
        file=sys.stderr,
    )
    return 2


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="./run audit", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--osv", type=Path, help="ZIP of advisories, instead of the network")
    parser.add_argument("locks", nargs="*", type=Path, help="lock files (default: both of ours)")
    chosen = parser.parse_args(arguments)
    worst = 0
    for lock in chosen.locks or [ROOT / name for name in LOCKS]:
        pins = read_lock(lock)
        loose = [pin.name for pin in pins if not pin.hashes]
        if loose:
            print(f"{lock.name}: without hash: {', '.join(loose)}")
            worst = max(worst, 1)
        if chosen.osv is None:
            worst = max(worst, _ask_network(lock))
            continue
        holes = sorted(set(known_holes(pins, read_export(chosen.osv))))
        print(f"{lock.name}: {len(pins)} packages, {len(holes)} known holes")
        print("".join(f"  {hole}\n" for hole in holes), end="")
        worst = max(worst, int(bool(holes)))
    return worst


if __name__ == "__main__":
    sys.exit(main())
