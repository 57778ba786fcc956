"""Commands that speak with a server over HTTP instead of with MongoDB."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.api.serving import OWNER, SECRET, bearer, serving

pytestmark = pytest.mark.slow


def test_sign_in_submit_status_retry_and_cancel(tmp_path: Path, mongo_url: str) -> None:
    np.save(tmp_path / "a.npy", np.arange(24, dtype="u1").reshape(2, 3, 4))
    (tmp_path / "bad.txt").write_text("no data")
    with serving(tmp_path / "site", mongo_url, AUTH="token", SECRET_KEY=SECRET) as server:
        worker = server.worker()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MONGO")} | {
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "SCIENTISTCLOUD_SERVER": server.address,
        }

        def run(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "scientistcloud", *words]
            return subprocess.run(
                command, env=environment, capture_output=True, text=True, input=stdin, timeout=60
            )

        refused = run("submit", str(tmp_path / "a.npy"))
        assert refused.returncode == 1
        assert "Sign in" in refused.stderr
        assert run("login", stdin="nonsense").returncode == 1
        body = {"name": "k", "scopes": ["change"]}
        key = server.http.post("/api/v2/keys", json=body, headers=bearer(OWNER)).json()["token"]
        signed_in = run("login", stdin=key)
        assert signed_in.returncode == 0, signed_in.stderr
        assert OWNER in signed_in.stdout
        kept = tmp_path / "config" / "scientistcloud" / "servers.json"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        done = run("submit", str(tmp_path / "a.npy"), "--wait", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["stage"] == "done"
        failed = run("submit", str(tmp_path / "bad.txt"), "--wait")
        assert failed.returncode == 1
        assert "conversion failed" in failed.stdout
        listed = run("status")
        assert "a.npy" in listed.stdout
        assert run("retry", "--failed").returncode == 0
        uuid = json.loads(done.stdout)["uuid"]
        late = run("cancel", uuid)
        assert late.returncode == 1
        assert "neither queued" in late.stderr
        worker.terminate()
        worker.wait(20)
