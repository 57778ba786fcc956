"""What a confined process can still reach, tried in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

CONFINED = """
import ctypes, sys
from pathlib import Path
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
from scientistcloud.service.sandbox import confine
if not confine([Path(sys.argv[1])], [Path(sys.argv[2])]):
    sys.exit(77)
"""


def confined(tmp_path: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    for name in ("upload", "converted", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("content")
    folders = [str(tmp_path / "upload"), str(tmp_path / "converted")]
    done = subprocess.run(
        [sys.executable, "-c", CONFINED + code, *folders, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode == 77:
        pytest.skip("this kernel has no Landlock")
    return done


def test_the_own_folders_are_usable(tmp_path: Path) -> None:
    done = confined(
        tmp_path,
        "up, out = Path(sys.argv[1]), Path(sys.argv[2])\n"
        "(out / 'sub').mkdir()\n"
        "(out / 'sub' / 'new').write_text((up / 'file').read_text())\n"
        "(out / 'sub' / 'new').replace(out / 'moved')\n"
        "(out / 'sub').rmdir(); import numpy, tifffile\n",
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "converted" / "moved").read_text() == "content"


@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/passwd')",
        "open(sys.argv[1] + '/../other/file')",
        "open(sys.argv[1] + '/file', 'a')",
        "open(sys.argv[1] + '/new', 'w')",
        "open(sys.argv[1] + '/../other/new', 'w')",
        "import os; os.truncate(sys.argv[1] + '/file', 0)",
        "import os; os.symlink('/etc', sys.argv[2] + '/link')",
        "import subprocess; subprocess.run(['/bin/true'])",
    ],
)
def test_what_is_others_is_out_of_reach(tmp_path: Path, code: str) -> None:
    done = confined(tmp_path, code)
    assert done.returncode == 1
    assert "PermissionError" in done.stderr


def test_nobody_can_be_connected_to(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = confined(
            tmp_path,
            "import socket; socket.create_connection(('127.0.0.1', int(sys.argv[3])), 5)",
            str(port),
        )
    assert done.returncode == 1
    assert "PermissionError" in done.stderr
