"""Asks a service whether it is well: ``healthcheck.py fastapi`` or ``background-service``.

Both are asked over HTTP. The background service says on METRICS_PORT whether its threads still go
round: it is healthy while MongoDB or the storage is away, as it goes on by itself when they are
back (``/readyz`` tells that). With METRICS_PORT=0, or a port that another program has, its entry
among the services in MongoDB counts instead.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

from SCLib_MongoConnection import get_mongo_connection

from scientistcloud.datasets.services import alive_services
from scientistcloud.errors import DatabaseUnavailable
from scientistcloud.settings import load_settings


def _ask(url: str) -> dict[str, Any]:
    """What the endpoint says, also where that is bad news."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            told = json.load(answer)
    except urllib.error.HTTPError as error:
        told = json.load(error)
    return told if isinstance(told, dict) else {}


def fastapi_problem(url: str = "http://127.0.0.1:5001/health") -> str | None:
    """Why the API is not well, None if it is."""
    try:
        health = _ask(url)
    except (OSError, ValueError) as error:
        return f"{url}: {error}"
    return None if health.get("status") == "healthy" else str(health)


def background_service_problem() -> str | None:
    """Why the background service of this host is not well, None if it is."""
    found = subprocess.run(["pgrep", "-f", "SCLib_BackgroundService"], capture_output=True)
    if found.returncode != 0:
        return "no process SCLib_BackgroundService"
    settings = load_settings()
    try:
        health = _ask(f"http://127.0.0.1:{settings.metrics_port}/healthz")
    except (OSError, ValueError):
        health = {}
    if health.get("service") != "scientistcloud":
        return _unreported(settings.db_name)
    return None if health.get("status") == "alive" else str(health)


def _unreported(db_name: str) -> str | None:
    """Whether no service of this host has reported itself to MongoDB lately."""
    try:
        alive = alive_services(get_mongo_connection()[db_name])
    except DatabaseUnavailable:
        return None
    if not any(service.get("host") == socket.gethostname() for service in alive):
        return "the service has not reported itself for some time"
    return None


if __name__ == "__main__":
    checks = {"fastapi": fastapi_problem, "background-service": background_service_problem}
    sys.exit(checks[sys.argv[1]]())
