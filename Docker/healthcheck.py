"""Asks a service whether it is well: ``healthcheck.py fastapi`` or ``background-service``.

The API is asked over HTTP. The background service reports itself to MongoDB every few seconds;
the container is healthy as long as one of its own processes does. While MongoDB is away nothing
can be reported, and a process that is there counts as well: it goes on when MongoDB is back.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request

from SCLib_MongoConnection import get_mongo_connection

from scientistcloud.datasets.services import alive_services
from scientistcloud.errors import DatabaseUnavailable
from scientistcloud.settings import load_settings


def fastapi_problem(url: str = "http://127.0.0.1:5001/health") -> str | None:
    """Why the API is not well, None if it is."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            health = json.load(answer)
    except (OSError, ValueError) as error:
        return f"{url}: {error}"
    return None if health.get("status") == "healthy" else str(health)


def background_service_problem() -> str | None:
    """Why the background service of this host is not well, None if it is."""
    found = subprocess.run(["pgrep", "-f", "SCLib_BackgroundService"], capture_output=True)
    if found.returncode != 0:
        return "no process SCLib_BackgroundService"
    try:
        client = get_mongo_connection()
        alive = alive_services(client[load_settings().db_name])
    except DatabaseUnavailable:
        return None
    if not any(service.get("host") == socket.gethostname() for service in alive):
        return "the service has not reported itself for some time"
    return None


if __name__ == "__main__":
    checks = {"fastapi": fastapi_problem, "background-service": background_service_problem}
    sys.exit(checks[sys.argv[1]]())
