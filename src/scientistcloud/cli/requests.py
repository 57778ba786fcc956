"""``scientistcloud retry`` and ``cancel``: asking for a conversion again, or for none."""

from __future__ import annotations

from typing import Annotated

import typer

from scientistcloud.cli.home.place import opened
from scientistcloud.cli.home.remote import server_at, tell
from scientistcloud.cli.terminal.arguments import (
    HomeOption,
    JsonOption,
    ServerOption,
    SettingsOption,
    command_app,
)
from scientistcloud.cli.terminal.console import FAILED, print_json, say, told_errors, warn
from scientistcloud.datasets.documents.document import DatasetStatus
from scientistcloud.datasets.services import alive_services

app = command_app()

_ALL = 1_000_000


@app.command(short_help="Queue datasets again.")
def retry(
    uuids: Annotated[
        list[str] | None, typer.Argument(metavar="UUID...", help="The datasets to convert again.")
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="All datasets whose conversion failed.")
    ] = False,
    server: ServerOption = None,
    home: HomeOption = None,
    settings_file: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Queue datasets again, as new requests: attempts start at zero, old errors are gone.

    A dataset that is being converted is started afresh; one that is done is converted again, and
    viewers keep the former result until the new one is complete.

    \b
    Examples:
      scientistcloud retry 6f0a4a3e-0b58-4d62-9a53-9f3b4a1c2d11
      scientistcloud retry --failed
    \b
    Exit status: 0 all are queued, 1 at least one is not, 2 wrong usage, 75 MongoDB cannot be
    reached.
    """
    if bool(uuids) == failed:
        raise typer.BadParameter("Give the UUID of a dataset, or --failed.", param_hint="UUID")
    if server is not None:
        with server_at(server, as_json=as_json) as client:
            names = (
                [each.uuid for each in client.list(status="conversion failed")] if failed else []
            )
            for uuid in uuids or names:
                tell(client.retry(uuid), as_json=as_json)
        return
    with told_errors(as_json=as_json), opened(home, settings_file) as place:
        names = [str(each["uuid"]) for each in place.store.recent_failures(_ALL)] if failed else []
        done = {uuid: place.store.requeue(uuid) for uuid in uuids or names}
        refused = "There is no dataset {}, or it is still being uploaded."
        _tell(done, DatasetStatus.QUEUED.value, refused, as_json=as_json)
        if any(done.values()) and not alive_services(place.database):
            warn(f"No service is running: start one with '{place.service_command}'.")


@app.command(short_help="Take datasets out of the queue, or stop their conversion.")
def cancel(
    uuids: Annotated[
        list[str], typer.Argument(metavar="UUID...", help="The datasets not to convert.")
    ],
    server: ServerOption = None,
    home: HomeOption = None,
    settings_file: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take datasets out of the queue, or stop their conversion.

    A running conversion ends within seconds and leaves nothing behind; the uploaded files and a
    former result stay. 'scientistcloud retry' queues the dataset again.

    \b
    Examples:
      scientistcloud cancel 6f0a4a3e-0b58-4d62-9a53-9f3b4a1c2d11
    \b
    Exit status: 0 all are cancelled, 1 at least one was neither queued nor running, 75 MongoDB
    cannot be reached.
    """
    if server is not None:
        with server_at(server, as_json=as_json) as client:
            for uuid in uuids:
                tell(client.cancel(uuid), as_json=as_json)
        return
    with told_errors(as_json=as_json), opened(home, settings_file) as place:
        done = {uuid: place.store.cancel(uuid) for uuid in uuids}
        refused = "Dataset {} is neither queued nor being converted."
        _tell(done, DatasetStatus.CANCELLED.value, refused, as_json=as_json)


def _tell(done: dict[str, bool], status: str, refused: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"datasets": [{"uuid": uuid, "changed": ok} for uuid, ok in done.items()]})
    for uuid, ok in done.items():
        if not ok:
            warn(refused.format(uuid))
        elif not as_json:
            say(f"{uuid}: {status}")
    if not done and not as_json:
        say("There are none.")
    if not all(done.values()):
        raise typer.Exit(FAILED)
