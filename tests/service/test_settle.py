"""What is told of an attempt whose end cannot be written."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pymongo
import structlog

from scientistcloud.datasets.documents.document import Claim
from scientistcloud.datasets.store import DatasetStore
from scientistcloud.service.admission import Admission
from scientistcloud.service.attempt_record import AttemptRecord
from scientistcloud.service.context import ServiceContext
from scientistcloud.service.heartbeat import Heartbeat
from scientistcloud.service.monitoring.monitor import Monitor
from scientistcloud.service.outcome import Outcome
from scientistcloud.service.processes.children import WarmProcess
from scientistcloud.service.settle import settle
from scientistcloud.settings import load_settings
from tests.site import free_port

CLAIM = Claim(id="id", uuid="u1", token="0" * 32, owner="one", request_id="r")


def stopping(folder: Path, store: DatasetStore) -> ServiceContext:
    """Those of a service that is about to end."""
    settings = load_settings(overrides={"visus_datasets": str(folder)})
    stop = threading.Event()
    stop.set()
    monitor = Monitor(settings, "one", stop)
    heartbeat = Heartbeat(store, 1.0, monitor)
    return ServiceContext(
        settings, store, WarmProcess(stop), heartbeat, Admission(folder), monitor, stop
    )


def test_what_was_not_written_is_not_told_as_if_it_were(tmp_path: Path) -> None:
    url = f"mongodb://127.0.0.1:{free_port()}/"
    with pymongo.MongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=100) as client:
        context = stopping(tmp_path, DatasetStore(client["away"], owner="one", lease_seconds=3.0))
        with structlog.testing.capture_logs() as lines:
            assert settle(CLAIM, Outcome(), AttemptRecord(), context)
    assert [line["event"] for line in lines] == ["Cannot settle"]
    registry = context.monitor.metrics.registry
    assert registry.get_sample_value("scientistcloud_leases_lost_total") == 1
