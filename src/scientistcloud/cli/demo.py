"""``scientistcloud demo``: all of it at work, on a dataset made for the purpose."""

from __future__ import annotations

import time
import uuid as uuids
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from scientistcloud.cli.files.phantom import make_phantom, write_stack
from scientistcloud.cli.home.place import Place, home_words, place_at, settings_of
from scientistcloud.cli.home.serving import serving
from scientistcloud.cli.terminal.arguments import JsonOption, command_app
from scientistcloud.cli.terminal.console import print_json, say, size_text, told_errors
from scientistcloud.cli.terminal.interrupt import Interrupt
from scientistcloud.cli.terminal.preview import write_preview
from scientistcloud.database.embedded import default_home
from scientistcloud.datasets.documents.document import DatasetStatus
from scientistcloud.datasets.reports.overview import describe
from scientistcloud.datasets.services import alive_services
from scientistcloud.datasets.upload import Upload
from scientistcloud.errors import (
    AttemptTimedOut,
    SourceNotFound,
    Stopped,
    VerificationFailed,
    error_from_dict,
)
from scientistcloud.idx.reader import IdxReader
from scientistcloud.logs import set_up_logging
from scientistcloud.service.processes.title import show_as

app = command_app()

_LOOK_SECONDS = 0.02
_START_SECONDS = 60.0
_LONGEST_SECONDS = 300.0
_ENDED = (
    DatasetStatus.DONE.value,
    DatasetStatus.FAILED.value,
    DatasetStatus.CANCELLED.value,
)


@app.command(short_help="See all of it work: MongoDB, service, a first dataset.")
def demo(
    home: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where MongoDB's data and the datasets are kept. Default: the user's data folder.",
            file_okay=False,
        ),
    ] = None,
    leave: Annotated[
        bool, typer.Option("--exit", help="Stop everything at the end, instead of at Ctrl-C.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show all of it at work, in less than a minute, on any computer.

    Starts a MongoDB of its own and the service, makes a small computed tomography as a TIFF
    stack, queues it, shows each change of status and the progress, reads the dataset back,
    compares it with what was made, and draws a picture of it. Then it goes on serving until
    Ctrl-C: submit data of your own from another terminal.

    \b
    Examples:
      scientistcloud demo
      scientistcloud demo --exit
      scientistcloud demo --home /tmp/demo
    \b
    Exit status: 0 the dataset was converted and is right, 1 it is not, 75 MongoDB cannot be
    started, 130 stopped by Ctrl-C before the end.
    """
    tell = _silent if as_json else say
    home = (home or default_home()).expanduser().absolute()
    places = {
        "visus_datasets": home,
        "in_data_dir": home / "upload",
        "out_data_dir": home / "converted",
    }
    log_path = home / "demo" / "service.log"
    with told_errors(as_json=as_json), Interrupt() as interrupt:
        with settings_of(home, None, places, stay=True) as (settings, _):
            log_path.parent.mkdir(parents=True, exist_ok=True)
            with log_path.open("a", encoding="utf-8") as lines:
                set_up_logging(settings.log_format, settings.log_level, lines)
                show_as()
                with serving(settings, interrupt.set):
                    place = place_at(settings, home)
                    summary = _demonstrate(place, log_path, interrupt, tell)
                    if as_json:
                        print_json(summary)
                    if not leave:
                        _serve(home, interrupt, tell)
        tell("Everything is stopped.")


def _silent(_: str) -> None:
    """Say nothing."""


def _demonstrate(
    place: Place, log_path: Path, interrupt: Interrupt, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Make a dataset, have it converted, look at the result; what came of it."""
    url = place.settings.mongo_url
    tell(f"MongoDB is running: {url.get_secret_value() if url else ''}")
    uuid = str(uuids.uuid4())
    upload = place.settings.in_data_dir / uuid
    tell("Making a computed tomography ...")
    volume = make_phantom()
    _await_service(place, interrupt)
    tell(f"The service is running: ps aux | grep BackgroundService\n\nDataset {uuid}")
    steps = Steps(tell)
    _queue(uuid, volume, upload, place, steps)
    _follow(uuid, place, interrupt, steps)
    path = place.settings.out_data_dir / uuid / "visus.idx"
    preview = log_path.with_name("preview.png")
    _compare(path, volume, preview)
    summary = {
        "uuid": uuid,
        "status": DatasetStatus.DONE.value,
        "identical": True,
        "seconds": round(steps.seconds, 3),
        "path": str(path),
        "preview": str(preview),
        "upload": str(upload),
        "log": str(log_path),
    }
    tell("\nRead back: all samples are identical to those of the stack.\n")
    tell(f"  dataset  {path}\n  picture  {preview}")
    tell(f"  files    {upload}\n  log      {log_path}")
    return summary


def _await_service(place: Place, interrupt: Interrupt) -> None:
    """Wait until the service can convert, so that the times shown are those of a running one."""
    deadline = time.monotonic() + _START_SECONDS
    while not alive_services(place.database):
        if interrupt.wait(_LOOK_SECONDS):
            raise Stopped
        if time.monotonic() > deadline:
            raise AttemptTimedOut(f"The service did not start within {_START_SECONDS:.0f} s.")


class Steps:
    """What is told of the dataset: a line for each change, with the time since the first one."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._started = time.monotonic()
        self._shown: tuple[Any, ...] = ()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def show(self, status: Any, progress: float | None, message: Any) -> None:
        """Tell it if it differs from what was told last."""
        state = (status, progress, message)
        if state != self._shown:
            self._shown = state
            percent = f"{progress or 0:.0f} %"
            self._tell(f"  {self.seconds:5.2f} s  {status:17} {percent:>5}  {message or ''}")


def _queue(uuid: str, volume: NDArray[np.uint16], folder: Path, place: Place, steps: Steps) -> None:
    document = {
        "uuid": uuid,
        "name": "Demonstration: a made-up computed tomography",
        "sensor": "TIFF",
        "convert": True,
        "source_type": "demo",
        "is_public": False,
    }
    upload = Upload(place.store, place.collection, document)
    queued = False
    try:
        files = f"{len(volume)} TIFF files, {size_text(volume.nbytes)}"
        steps.show(DatasetStatus.UPLOADING.value, 0, files)
        write_stack(volume, folder)
        queued = upload.queue()
        # Told by who did it: a free service takes it within milliseconds.
        steps.show(DatasetStatus.QUEUED.value, 0, "Waiting for conversion")
    finally:
        if not queued:
            upload.abandon()


def _follow(uuid: str, place: Place, interrupt: Interrupt, steps: Steps) -> None:
    """Tell each change of status and progress until the conversion has ended."""
    while True:
        document = place.store.find(uuid)
        if document is None:
            raise SourceNotFound("Somebody removed the dataset.")
        now = describe(place.collection, document)
        steps.show(now["status"], now["progress"], now["message"])
        if now["status"] in _ENDED:
            break
        if interrupt.wait(_LOOK_SECONDS):
            raise Stopped
        if steps.seconds > _LONGEST_SECONDS:
            raise AttemptTimedOut("The demonstration took too long.")
    if now["status"] != DatasetStatus.DONE.value:
        raise error_from_dict(dict(now["error"] or {"code": "", "message": now["message"]}))


def _compare(path: Path, volume: NDArray[np.uint16], preview: Path) -> None:
    """Read the dataset and see that it is what was made; draw it."""
    reader = IdxReader(path)
    found = reader.read(0, 0, reader.header.box)
    if not np.array_equal(found, volume):
        raise VerificationFailed("The dataset differs from what was made.")
    write_preview(found, preview)


def _serve(home: Path, interrupt: Interrupt, tell: Callable[[str], None]) -> None:
    words = home_words(home)
    tell("\nStill serving; try from another terminal:")
    tell(f"  scientistcloud submit FOLDER --wait{words}\n  scientistcloud status{words}")
    tell("Ctrl-C stops everything.")
    with suppress(KeyboardInterrupt):
        interrupt.wait()
