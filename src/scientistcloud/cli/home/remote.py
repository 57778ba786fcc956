"""Commands that speak with a server over HTTP: which token, and how its answers are told."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
import typer

from scientistcloud.cli.terminal.console import FAILED, print_json, say, warn
from scientistcloud.cli.terminal.progress import ProgressDisplay
from scientistcloud.refusals import Refusal

if TYPE_CHECKING:
    from scientistcloud.client.client import Client, RemoteDataset
    from scientistcloud.client.sending import SendProgress

_TEMPORARY = 75


def tokens_file() -> Path:
    """Where tokens are kept, for this user alone."""
    return Path(platformdirs.user_config_dir("scientistcloud")) / "servers.json"


def keep_token(url: str, token: str) -> None:
    """Keep the token for a server; an empty one is forgotten."""
    path = tokens_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    known = _tokens()
    known[url.rstrip("/")] = token
    text = json.dumps({each: value for each, value in known.items() if value}, indent=1)
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


@contextmanager
def server_at(url: str, *, as_json: bool) -> Iterator[Client]:
    """A client of a server; what it refuses is told with its remedy, and ends the command."""
    import httpx

    from scientistcloud.client.client import Client

    token = os.environ.get("SCIENTISTCLOUD_TOKEN") or _tokens().get(url.rstrip("/"), "")
    try:
        with Client(url, token) as client:
            yield client
    except Refusal as error:
        if as_json:
            problem = {"code": error.code, "message": error.message, "remedy": error.remedy}
            print_json({"error": problem})
        else:
            warn(error.message)
            warn(error.remedy)
        raise typer.Exit(FAILED) from error
    except httpx.TransportError as error:
        warn(f"The server {url} cannot be reached: {error}")
        raise typer.Exit(_TEMPORARY) from error


def upload_there(
    client: Client, source: Path, *, wait: bool, as_json: bool, **options: Any
) -> None:
    """Upload with a bar, and tell the uuid, or with `wait` the end."""
    with ProgressDisplay() as display:

        def show(sent: SendProgress) -> None:
            label = f"Uploading {sent.done + 1} of {sent.files}"
            display.show(label, sent.sent_bytes, sent.size_bytes)

        found = client.upload(source, progress=show, **options)
    if wait:
        with ProgressDisplay("percent") as display:
            found = client.wait(
                found.uuid, progress=lambda now: display.show(now.status, now.facts["percent"], 100)
            )
    tell(found, as_json=as_json, alone=not wait)
    if wait and found.stage != "done":
        raise typer.Exit(FAILED)


def tell(found: RemoteDataset, *, as_json: bool, alone: bool = False) -> None:
    """One dataset in a line, and what went wrong with it; `alone`: its uuid."""
    if as_json:
        print_json(found.facts)
        return
    say(found.uuid if alone else f"{found.uuid}  {found.status}  {found.name}")
    if found.error and not alone:
        say(f"  {found.error['message']}")
        say(f"  {found.error['remedy']}")


def _tokens() -> dict[str, str]:
    try:
        found = json.loads(tokens_file().read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
