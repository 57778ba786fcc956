"""Dashboard and alerts name only what a real service and a real API tell Prometheus."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from scientistcloud.api.app import create_app
from scientistcloud.settings import load_settings
from tests.site import DONE, FAILED, Site, free_port, until

ROOT = Path(__file__).resolve().parents[1]
DASHBOARD = ROOT / "Docker" / "grafana" / "scientistcloud.json"
ALERTS = ROOT / "Docker" / "prometheus" / "alerts.yml"
OPERATING = ROOT / "docs" / "operating.md"

SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "info": ("_info",),
}
KEYWORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "bool", "offset"}


def names_in(expression: str) -> set[str]:
    """The metrics that a PromQL expression looks at."""
    text = re.sub(r'"[^"]*"', "", expression)
    text = re.sub(r"\{[^}]*\}|\[[^]]*\]", " ", text)
    text = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", " ", text)
    found = re.findall(r"(?<![\w.])[a-zA-Z_:][\w:]*\b(?!\s*\()", text)
    return set(found) - KEYWORDS


def labels_in(expression: str) -> set[str]:
    return set(re.findall(r"[{,]\s*(\w+)\s*(?:=~|!~|!=|=)\"", expression))


def told(text: str) -> dict[str, set[str]]:
    """Metric name -> its labels, as scraped."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for suffix in SUFFIXES.get(family.type, ("",)):
            found.setdefault(family.name.removesuffix(suffix) + suffix, set())
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


async def scrape(app: FastAPI) -> str:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return (await client.get("/metrics")).text


@pytest.fixture
def scraped(site: Site) -> dict[str, set[str]]:
    """What a service tells that has converted one dataset and failed on another, and an API."""
    port = free_port()
    good, _ = site.stack()
    (site.upload / "empty").mkdir()
    site.queue(good, "empty")
    site.start(METRICS_PORT=str(port))
    site.wait(good, DONE, FAILED)
    site.wait("empty", FAILED)
    url = f"http://127.0.0.1:{port}/metrics"
    until(lambda: 'outcome="failed"' in httpx.get(url).text, 10)
    app = create_app(load_settings(overrides={"db_name": site.database}))
    return told(httpx.get(url).text) | told(asyncio.run(scrape(app)))


def dashboard() -> dict[str, Any]:
    value = json.loads(DASHBOARD.read_text())
    assert isinstance(value, dict)
    return value


def panel_expressions() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    found = group["rules"]
    assert isinstance(found, list)
    return found


def test_names_are_found_in_expressions() -> None:
    expression = 'sum by (le, code) (rate(a_total{x="b_c", y=~".*"}[5m])) > 50e9 and absent(d) == 1'
    assert names_in(expression) == {"a_total", "d"}
    assert labels_in(expression) == {"x", "y"}


def test_every_metric_and_label_that_is_looked_at_exists(scraped: dict[str, set[str]]) -> None:
    expressions = panel_expressions() + [rule["expr"] for rule in rules()]
    assert len(expressions) > 30
    given_by_prometheus = {"instance", "job"}
    # No pause, and no request of the API, has happened here.
    scraped["scientistcloud_claiming_paused"].add("reason")
    scraped["scientistcloud_api_requests_total"] |= {"method", "route", "code"}
    for expression in expressions:
        names = names_in(expression)
        assert names, expression
        for name in names:
            assert name in scraped, (name, expression)
        known = set.union(*(scraped[name] for name in names)) | given_by_prometheus
        assert labels_in(expression) <= known, expression


def test_the_dashboard_is_one_that_grafana_imports() -> None:
    value = dashboard()
    assert value["schemaVersion"] >= 38  # Grafana 10
    assert value["uid"] == "scientistcloud"
    assert {"datasource", "instance"} <= {each["name"] for each in value["templating"]["list"]}
    panels = value["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["title"]
        assert panel["type"] in ("timeseries", "stat")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)


def test_every_alert_says_what_to_do_and_is_documented() -> None:
    page = OPERATING.read_text()
    for rule in rules():
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["action"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert f"`{rule['alert']}`" in page, f"{rule['alert']} is not in docs/operating.md"
    documented = set(re.findall(r"`(ScientistCloud\w+)`", page))
    assert documented == {rule["alert"] for rule in rules()}


def test_prometheus_accepts_all_expressions(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    of_panels = [
        {"record": f"panel:{number}", "expr": expression.replace("$instance", ".*")}
        for number, expression in enumerate(panel_expressions())
    ]
    extra = tmp_path / "panels.yml"
    extra.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": of_panels}]}))
    done = subprocess.run(
        [promtool, "check", "rules", str(ALERTS), str(extra)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
