"""``scientistcloud submit``: files into the queue of a service."""

from __future__ import annotations

import errno
import os
import shutil
import uuid as uuids
from pathlib import Path
from typing import Annotated, Any

import typer

from scientistcloud.cli.files.staging import StagedFile, find_files, stage_files
from scientistcloud.cli.home.following import Ending, follow, tell_ending
from scientistcloud.cli.home.place import Place, opened
from scientistcloud.cli.home.remote import server_at, upload_there
from scientistcloud.cli.terminal.arguments import (
    HomeOption,
    JsonOption,
    ParamOption,
    SensorOption,
    ServerOption,
    SettingsOption,
    command_app,
    parse_parameters,
)
from scientistcloud.cli.terminal.console import print_json, say, told_errors, warn
from scientistcloud.cli.terminal.interrupt import Interrupt
from scientistcloud.cli.terminal.progress import ProgressDisplay
from scientistcloud.datasets.documents.document import DatasetStatus, identity_problem
from scientistcloud.datasets.upload import Upload
from scientistcloud.errors import DuplicateUuid, OutOfSpace, SourceChanged, StorageUnavailable

app = command_app()


@app.command(short_help="Give a file or a folder to the service.")
def submit(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="A file or a folder; it stays as it is.")
    ],
    name: Annotated[
        str | None,
        typer.Option(metavar="N", help="What the dataset is called. Default: the name of SRC."),
    ] = None,
    sensor: SensorOption = None,
    param: ParamOption = None,
    user: Annotated[
        str | None, typer.Option(metavar="E", help="E-mail address of its owner, for portals.")
    ] = None,
    uuid: Annotated[
        str | None,
        typer.Option(metavar="UUID", help="Identity of the dataset. Default: a new one."),
    ] = None,
    link: Annotated[
        bool,
        typer.Option(
            "--link",
            help="Make hard links instead of copies: takes no space, but whoever changes SRC later "
            "changes the upload too.",
        ),
    ] = False,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Follow the conversion and end with its result."),
    ] = False,
    server: ServerOption = None,
    home: HomeOption = None,
    settings_file: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a file or a folder to the service, and print the uuid of the new dataset.

    \b
    The files are brought into upload/<uuid>/ (shared with SRC where the file system can do that,
    else copied), and the dataset is queued once all of them are there. Without MONGO_URL the
    server and folders of this computer are used; 'scientistcloud up' converts what is queued.
    \b
    Examples:
      scientistcloud submit scan/ --name "Bone, 2 um" --sensor TIFF --wait
      scientistcloud submit model.nc --param variable=temperature --user ada@example.org
      uuid=$(scientistcloud submit scan/) && scientistcloud status $uuid
      scientistcloud submit scan/ --server https://data.example.org
    \b
    Exit status: 0 queued (with --wait: done), 1 SRC cannot be submitted (with --wait: the
    conversion failed or was cancelled), 2 wrong usage, 75 try again later.
    """
    if server is not None:
        with server_at(server, as_json=as_json) as client:
            upload_there(
                client, source, wait=wait, as_json=as_json,
                name=name, sensor=sensor, parameters=parse_parameters(param), uuid=uuid,
            )  # fmt: skip
        return
    document: dict[str, Any] = {
        "uuid": uuid or str(uuids.uuid4()),
        "name": name or source.resolve().name,
        "sensor": sensor or "OTHER",
        "convert": True,
        "data_conversion_needed": True,
        "conversion_parameters": parse_parameters(param),
        "source_type": "command line",
        "is_public": False,
    } | ({"user": user, "user_email": user, "user_id": user} if user else {})
    with told_errors(as_json=as_json):
        problem = identity_problem(document["uuid"])
        if problem is not None:
            raise problem
        files = find_files(source)
        with Interrupt() as interrupt, opened(home, settings_file) as place:
            _bring_in(document, files, place, interrupt, link=link)
            ending = _wait(document["uuid"], place, interrupt) if wait else None
        _tell(document["uuid"], ending, as_json=as_json)


def _bring_in(
    document: dict[str, Any],
    files: list[StagedFile],
    place: Place,
    interrupt: Interrupt,
    *,
    link: bool,
) -> None:
    """Announce the dataset, stage its files under another name, show them, queue it."""
    total_bytes = sum(each.size_bytes for each in files)
    facts = {"total_size_bytes": total_bytes, "files": [str(each.name) for each in files][:1000]}
    uuid = document["uuid"]
    folder = place.settings.in_data_dir / uuid
    staged = folder.with_name(f".staging.{uuid}.{os.getpid()}")
    if folder.exists():
        raise DuplicateUuid(f"{folder} exists already.", remedy="Choose another --uuid.")
    upload = Upload(place.store, place.collection, document | facts)
    queued = False
    try:
        staged.mkdir(parents=True)
        how = _stage(files, staged, interrupt, total_bytes, link=link)
        staged.rename(folder)
        queued = upload.queue()
    except OSError as error:
        raise _storage_error(error, folder) from error
    finally:
        if not queued:
            shutil.rmtree(staged, ignore_errors=True)
            upload.abandon()
    if not queued:
        shutil.rmtree(folder, ignore_errors=True)
        raise SourceChanged("The dataset was cancelled or removed while its files were copied.")
    if how == "link":
        warn(f"The upload shares its files with {files[0].path}: do not change them in place.")


def _stage(
    files: list[StagedFile], staged: Path, interrupt: Interrupt, total_bytes: int, *, link: bool
) -> str:
    done_bytes = 0
    with ProgressDisplay() as display:

        def count(bytes_more: int) -> None:
            nonlocal done_bytes
            done_bytes += bytes_more
            display.show("Copying the files", done_bytes, total_bytes)

        return stage_files(files, staged, link=link, progress=count, stop=interrupt.is_set)


def _storage_error(error: OSError, folder: Path) -> StorageUnavailable | OutOfSpace:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutOfSpace(f"There is no space left to copy the files to {folder}.")
    return StorageUnavailable(f"The files cannot be copied to {folder}: {error.strerror}.")


def _wait(uuid: str, place: Place, interrupt: Interrupt) -> Ending:
    warn(f"Dataset {uuid}: queued")
    return follow(uuid, place, interrupt)


def _tell(uuid: str, ending: Ending | None, *, as_json: bool) -> None:
    if ending is not None:
        tell_ending(uuid, ending, as_json=as_json)
    elif as_json:
        print_json({"uuid": uuid, "status": DatasetStatus.QUEUED.value})
    else:
        say(uuid)
