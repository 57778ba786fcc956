"""Each alert fires on what it is for, as Prometheus itself evaluates it, and not without."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.test_monitoring import ALERTS, rules


@dataclass(frozen=True)
class Case:
    """One alert; values are Prometheus' notation for a value a minute.

    Attributes
    ----------
    trouble, well : dict
        Values of each series, with which it fires and with which it does not.
    minutes : int
        When it is looked at.
    """

    alert: str
    trouble: dict[str, str]
    well: dict[str, str]
    minutes: int = 60


def series(name: str, **labels: str) -> str:
    labels = {"job": "scientistcloud", "instance": "host:9464"} | labels
    told = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"scientistcloud_{name}{{{told}}}"


def attempts(outcome: str, code: str) -> str:
    return series("attempts_total", outcome=outcome, code=code)


INFO = series("info", version="1")
READY = series("ready")
THREAD = series("thread_age_seconds", thread="heartbeat")
UP = series("database_up")
PAUSED = series("claiming_paused", reason="OutOfSpace")
FREE = series("storage_free_bytes")
OLDEST = series("oldest_queued_age_seconds")
LOST = series("leases_lost_total")
RSS = 'process_resident_memory_bytes{job="scientistcloud",instance="host:9464"}'
DONE = attempts("done", "")
BAD = attempts("failed", "CorruptSource")
CASES = [
    Case("ScientistCloudNoService", {INFO: "1x20 _x40"}, {INFO: "1x60"}),
    Case("ScientistCloudNotReady", {READY: "1x40 0x20"}, {READY: "1x50 0x5 1x5"}),
    Case("ScientistCloudThreadStuck", {THREAD: "1x50 30+60x10"}, {THREAD: "1x60"}),
    Case("ScientistCloudDatabaseAway", {UP: "1x50 0x10"}, {UP: "1x50 0x1 1x9"}),
    Case("ScientistCloudClaimingPaused", {PAUSED: "_x40 1x20"}, {PAUSED: "_x40 1x3 _x17"}),
    Case("ScientistCloudDiskFillsUp", {FREE: "4e10x60"}, {FREE: "4e11x60"}),
    Case("ScientistCloudDiskFillsUp", {FREE: "9e11-1e9x60"}, {FREE: "9e11-1e8x60"}),
    Case("ScientistCloudQueueWaits", {OLDEST: "3000+60x60"}, {OLDEST: "0+60x60"}),
    Case(
        "ScientistCloudManyFailures",
        {BAD: "0x40 0+1x20", DONE: "0+0.1x60"},
        {BAD: "0x40 0+1x20", DONE: "0+5x60"},
    ),
    Case(
        "ScientistCloudBugs",
        {attempts("retry", "UnexpectedError"): "0x40 1x20"},
        {attempts("retry", "UnexpectedError"): "0x60", BAD: "0+1x60"},
    ),
    Case("ScientistCloudLeasesLost", {LOST: "0x50 0+1x10"}, {LOST: "0x50 1x10"}),
    Case(
        "ScientistCloudLeasesLost",
        {series("rescues_total", kind="lease"): "0x50 0+1x10"},
        {series("rescues_total", kind="foreign"): "0x50 0+1x10"},
    ),
    Case(
        "ScientistCloudForeignClaims",
        {series("rescues_total", kind="foreign"): "0x50 1x10"},
        {series("rescues_total", kind="foreign"): "0x60"},
    ),
    Case(
        "ScientistCloudMemoryLeak",
        {RSS: "6e8+1e6x600"},
        {RSS: "6e8+1e4x600"},
        minutes=600,
    ),
    Case(
        "ScientistCloudApiErrors",
        {
            series("api_requests_total", code="500"): "0+10x60",
            series("api_requests_total", code="200"): "0+90x60",
        },
        {
            series("api_requests_total", code="404"): "0+10x60",
            series("api_requests_total", code="200"): "0+90x60",
        },
    ),
]


def fired(case: Case, values: dict[str, str], folder: Path, *, fires: bool) -> str:
    """What promtool has against the claim that the alert of the case fires, or does not."""
    firing = f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"}}) or vector(0)'
    expected = {
        "expr": firing,
        "eval_time": f"{case.minutes}m",
        "exp_samples": [{"labels": "{}", "value": int(fires)}],
    }
    test: dict[str, Any] = {
        "interval": "1m",
        "input_series": [{"series": name, "values": v} for name, v in values.items()],
        "promql_expr_test": [expected],
    }
    path = folder / "test.yml"
    content = {"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [test]}
    path.write_text(yaml.safe_dump(content))
    done = subprocess.run(
        ["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_every_alert_has_a_case() -> None:
    assert {case.alert for case in CASES} == {rule["alert"] for rule in rules()}


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_fires_in_trouble_alone(case: Case, tmp_path: Path) -> None:
    assert not fired(case, case.trouble, tmp_path, fires=True)
    assert not fired(case, case.well, tmp_path, fires=False)
