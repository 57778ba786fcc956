"""``scientistcloud status``: what became of the datasets."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from scientistcloud.cli.home.place import Place, opened
from scientistcloud.cli.home.remote import server_at, tell
from scientistcloud.cli.terminal.arguments import (
    HomeOption,
    JsonOption,
    ServerOption,
    SettingsOption,
    command_app,
)
from scientistcloud.cli.terminal.console import (
    duration_text,
    print_json,
    print_json_line,
    say,
    since_text,
    size_text,
    told_errors,
)
from scientistcloud.cli.terminal.interrupt import Interrupt
from scientistcloud.datasets.queue.forecast import read_scene
from scientistcloud.datasets.reports.overview import describe, list_datasets, result_of
from scientistcloud.datasets.services import alive_services
from scientistcloud.errors import DatabaseUnavailable, SourceNotFound

app = command_app()

_WATCH_SECONDS = 1.0
_CLEAR = "\x1b[H\x1b[2J"


@app.command(short_help="Show what became of the datasets.")
def status(
    uuid: Annotated[
        str | None, typer.Argument(metavar="[UUID]", help="One dataset, in detail.")
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", min=0, help="How many datasets to list at most.")
    ] = 20,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it again each second, until Ctrl-C.")
    ] = False,
    server: ServerOption = None,
    home: HomeOption = None,
    settings_file: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how many datasets there are in each status, and the ones that matter now.

    Of a queued dataset it tells its place in the queue, why it waits and, going by the last
    conversions, when it may start; of a running one how far it is; of a failed one why and what to
    do.

    \b
    Examples:
      scientistcloud status
      scientistcloud status 6f0a4a3e-0b58-4d62-9a53-9f3b4a1c2d11
      scientistcloud status --watch
      scientistcloud status --json --limit 1000 | jq '.datasets[] | select(.status == "converting")'
    \b
    Exit status: 0, 1 there is no such dataset, 75 MongoDB cannot be reached.
    """
    if server is not None:
        with server_at(server, as_json=as_json) as client:
            found = [client.dataset(uuid)] if uuid else client.list(limit=limit)
            for each in found:
                tell(each, as_json=as_json)
        return
    with told_errors(as_json=as_json), opened(home, settings_file) as place:
        if watch:
            _watch(place, uuid, limit, as_json=as_json)
            return
        view = look(place, uuid, limit)
        print_json(view) if as_json else say(text_of(view))


def _watch(place: Place, uuid: str | None, limit: int, *, as_json: bool) -> None:
    with Interrupt() as interrupt:
        while True:
            try:
                view = look(place, uuid, limit)
                text = text_of(view)
            except DatabaseUnavailable as error:
                view, text = {"error": error.to_dict()}, error.message
            if as_json:
                print_json_line(view)
            else:
                say((_CLEAR if sys.stdout.isatty() else "") + text)
            sys.stdout.flush()
            if interrupt.wait(_WATCH_SECONDS):
                return


def look(place: Place, uuid: str | None, limit: int) -> dict[str, Any]:
    """What there is to tell: of one dataset, or of all.

    Raises
    ------
    SourceNotFound, DatabaseUnavailable
    """
    if uuid is None:
        datasets = list_datasets(place.collection, limit)
        scene = read_scene(place.collection)
        return {
            "counts": place.store.counts(),
            "services": len(alive_services(place.database)),
            "datasets": [describe(place.collection, each, scene) for each in datasets],
        }
    document = place.store.find(uuid)
    if document is None:
        raise SourceNotFound(
            f"There is no dataset {uuid}.", remedy="'scientistcloud status' lists them."
        )
    shown = describe(place.collection, document)
    path = result_of(document, place.settings.out_data_dir)
    there = path is not None and path.is_file()
    shown["path"] = str(path) if there else None
    shown["service_running"] = bool(alive_services(place.database))
    return shown


def text_of(view: Mapping[str, Any]) -> str:
    """What `look` gave, for people."""
    return _all_text(view) if "counts" in view else _one_text(view)


def _all_text(view: Mapping[str, Any]) -> str:
    counts, datasets = view["counts"], view["datasets"]
    if not counts:
        return "There are no datasets yet: 'scientistcloud submit SRC' gives one to the service."
    lines = [", ".join(f"{number} {name}" for name, number in counts.items())]
    if not view["services"]:
        lines.append("No service is running, so nothing is converted ('scientistcloud doctor').")
    if datasets:
        lines += ["", *_table([_row(each) for each in datasets])]
    left = sum(counts.values()) - len(datasets)
    if left > 0:
        lines.append(f"and {left} more (--limit)")
    return "\n".join(lines)


def _row(dataset: Mapping[str, Any]) -> list[str]:
    return [
        str(dataset["uuid"]),
        str(dataset["status"]),
        since_text(dataset["updated_at"]),
        str(dataset["name"] or ""),
        _remark(dataset),
    ]


def _remark(dataset: Mapping[str, Any]) -> str:
    if dataset["position"] is not None:
        why = f". {dataset['waiting']}" if dataset["due_at"] else ""
        return f"number {dataset['position']} in the queue{why}"
    if dataset["status"] == "converting":
        return f"{dataset['progress'] or 0:.0f} %"
    if dataset["error"]:
        return f"{dataset['error']['message']}"
    return str(dataset["dimensions"] or "")


def _table(rows: list[list[str]]) -> list[str]:
    head = ["UUID", "STATUS", "SINCE", "NAME", ""]
    rows = [[cell.replace("\n", " ") for cell in row] for row in [head, *rows]]
    limits = (64, 24, 8, 28)
    widths = [
        min(limit, max(len(row[column]) for row in rows)) for column, limit in enumerate(limits)
    ]
    terminal = shutil.get_terminal_size((0, 0)).columns if sys.stdout.isatty() else 0
    lines = []
    for row in rows:
        cells = [f"{_cut(cell, width):{width}}" for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return [_cut(line, terminal) if terminal else line for line in lines]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _one_text(view: Mapping[str, Any]) -> str:
    rows: list[tuple[str, Any]] = [
        ("Dataset", view["uuid"]),
        ("Name", view["name"]),
        ("Status", _status_text(view)),
        ("Waiting", _waiting_text(view)),
        ("Expected start", _start_text(view)),
        ("Converted by", view["owner"]),
        ("Attempts so far", view["attempts"]),
        ("Dimensions", view["dimensions"]),
        ("Size", size_text(view["data_size"] * 1e9) if view["data_size"] else None),
        ("Result", view["path"]),
    ]
    if view["error"]:
        error = view["error"]
        code = f"{error['code']}: " if error["code"] else ""
        rows += [("Error", f"{code}{error['message']}"), ("What to do", error["remedy"])]
    return "\n".join(f"{name + ':':16} {value}" for name, value in rows if value not in (None, ""))


def _status_text(view: Mapping[str, Any]) -> str:
    words = [str(view["status"])]
    if view["status"] == "converting":
        words.append(f"{view['progress'] or 0:.0f} %")
        words.append(str(view["message"] or ""))
    if isinstance(view["updated_at"], datetime):
        words.append(f"changed {since_text(view['updated_at'])} ago")
    return ", ".join(word for word in words if word)


def _waiting_text(view: Mapping[str, Any]) -> str | None:
    if view["position"] is None:
        return None
    if not view["service_running"]:
        return f"number {view['position']} in the queue. No service is running."
    return f"number {view['position']} in the queue. {view['waiting']}"


def _start_text(view: Mapping[str, Any], now: datetime | None = None) -> str | None:
    """When it will be its turn, roughly."""
    if view["position"] is None:
        return None
    start = view["expected_start"]
    if not isinstance(start, datetime) or not view["service_running"]:
        return "unknown"
    seconds = (start - (now or datetime.now(UTC))).total_seconds()
    return f"in about {duration_text(seconds)}" if seconds >= 1 else "now"
