"""What the attempts of one service share."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from scientistcloud.datasets.store import DatasetStore
from scientistcloud.service.admission import Admission
from scientistcloud.service.heartbeat import Heartbeat
from scientistcloud.service.monitoring.monitor import Monitor
from scientistcloud.service.processes.children import WarmProcess
from scientistcloud.settings import Settings


@dataclass(slots=True)
class ServiceContext:
    """What all attempts of one service share.

    Attributes
    ----------
    stopping : Event
        The service is about to end: children stop, claims are released.
    """

    settings: Settings
    store: DatasetStore
    warm: WarmProcess
    heartbeat: Heartbeat
    admission: Admission
    monitor: Monitor
    stopping: threading.Event
