#!/usr/bin/env python3
"""The background service under the name that operators know: ``scientistcloud worker``."""

from __future__ import annotations

import sys
from pathlib import Path

_SOURCE = Path(__file__).resolve().parents[1] / "src"
if _SOURCE.is_dir() and str(_SOURCE) not in sys.path:
    sys.path.insert(0, str(_SOURCE))

from scientistcloud.cli.main import app  # noqa: E402

if __name__ == "__main__":
    app(["worker", *sys.argv[1:]], prog_name=Path(sys.argv[0]).name)
