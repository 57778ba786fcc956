"""Following one dataset until its conversion has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import typer

from scientistcloud.cli.home.place import Place
from scientistcloud.cli.terminal.console import FAILED, print_json, say, size_text, warn
from scientistcloud.cli.terminal.interrupt import Interrupt
from scientistcloud.cli.terminal.progress import ProgressDisplay
from scientistcloud.datasets.documents.document import DatasetStatus
from scientistcloud.datasets.reports.overview import describe, result_of
from scientistcloud.datasets.services import alive_services
from scientistcloud.errors import DatabaseUnavailable, SourceNotFound, Stopped

_LOOK_SECONDS = 0.25
_RUNNING = (
    DatasetStatus.UPLOADING.value,
    DatasetStatus.QUEUED.value,
    DatasetStatus.CONVERTING.value,
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended: the dataset as `overview.describe` gives it, and where its result lies."""

    dataset: dict[str, Any]
    path: str

    @property
    def is_done(self) -> bool:
        return bool(self.dataset["status"] == DatasetStatus.DONE.value)


def follow(uuid: str, place: Place, interrupt: Interrupt) -> Ending:
    """Show status and progress of a dataset until it is neither queued nor converting.

    Raises
    ------
    SourceNotFound
        There is no such dataset (any more).
    Stopped
        The user did not want to wait any longer; the conversion goes on.
    """
    if not alive_services(place.database):
        warn(f"No service is running: start one with '{place.service_command}'.")
    with ProgressDisplay("percent") as display:
        view = _View(uuid, display)
        while not interrupt.wait(_LOOK_SECONDS):
            dataset = view.look(place)
            if dataset is not None and dataset["status"] not in _RUNNING:
                return Ending(dataset, str(result_of(dataset, place.settings.out_data_dir)))
    warn(f"The conversion of {uuid} goes on; see 'scientistcloud status {uuid}'.")
    raise Stopped


class _View:
    """What was shown of a dataset, so that each change is told once."""

    def __init__(self, uuid: str, display: ProgressDisplay) -> None:
        self._uuid = uuid
        self._display = display
        self._status: Any = DatasetStatus.QUEUED.value
        self._away = False

    def look(self, place: Place) -> dict[str, Any] | None:
        """The dataset now, after its changes were shown; None while MongoDB does not answer."""
        try:
            dataset = _find(self._uuid, place)
        except DatabaseUnavailable as error:
            if not self._away:
                warn(f"{error.message} Waiting for it.")
            self._away = True
            return None
        self._away = False
        if dataset["status"] != self._status:
            self._status = dataset["status"]
            warn(f"Dataset {self._uuid}: {self._status}")
        label = str(dataset["message"] or self._status).partition(":")[0]
        self._display.show(label, float(dataset["progress"] or 0), 100)
        return dataset


def _find(uuid: str, place: Place) -> dict[str, Any]:
    document = place.store.find(uuid)
    if document is None:
        raise SourceNotFound(f"There is no dataset {uuid}.", remedy="See 'scientistcloud status'.")
    return describe(place.collection, document)


def tell_ending(uuid: str, ending: Ending, *, as_json: bool) -> None:
    """Print how it ended; raises Exit with status 1 if it is not done."""
    dataset = ending.dataset
    if as_json:
        print_json({"path": ending.path if ending.is_done else None} | dataset)
    elif ending.is_done:
        size = dataset["data_size"]
        facts = [dataset["dimensions"], size_text(size * 1e9) if size else None]
        say(uuid)
        warn(f"{ending.path}: {', '.join(str(each) for each in facts if each)}")
    else:
        say(uuid)
        error = dataset["error"] or {"code": None, "message": dataset["message"], "remedy": None}
        warn(": ".join(str(error[key]) for key in ("code", "message") if error[key]))
        if error["remedy"]:
            warn(f"What to do: {error['remedy']}")
    if not ending.is_done:
        raise typer.Exit(FAILED)
