"""What the attempts of one service share, and what an attempt comes to."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from scientistcloud.datasets.store import DatasetStore
from scientistcloud.errors import ConversionError
from scientistcloud.service.admission import Admission
from scientistcloud.service.children import WarmProcess
from scientistcloud.service.heartbeat import Heartbeat
from scientistcloud.settings import Settings


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt came to: a result, an error, or (with neither) it was stopped."""

    result: dict[str, Any] | None = None
    error: ConversionError | None = None


@dataclass(slots=True)
class Surroundings:
    """What all attempts of one service share.

    Attributes
    ----------
    stopping : Event
        The service is about to end: children stop, claims are released.
    faults : dict
        What is wrong with this installation, by code: health is degraded while there is any.
    """

    settings: Settings
    store: DatasetStore
    warm: WarmProcess
    heartbeat: Heartbeat
    admission: Admission
    stopping: threading.Event = field(default_factory=threading.Event)
    faults: dict[str, str] = field(default_factory=dict)
