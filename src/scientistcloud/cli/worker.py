"""``scientistcloud worker``: the background service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scientistcloud.cli.terminal.arguments import command_app
from scientistcloud.cli.terminal.console import told_errors
from scientistcloud.logs import set_up_logging
from scientistcloud.service.background import run_service
from scientistcloud.service.processes.title import show_as
from scientistcloud.settings import load_settings

app = command_app()


@app.command(short_help="Run the background service.")
def worker(
    settings_file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SETTINGS.json]",
            help="Settings file: JSON with db_name, in_data_dir, out_data_dir.",
        ),
    ] = None,
    drain: Annotated[bool, typer.Option("--drain", help="End when the queue is empty.")] = False,
) -> None:
    """Run the background service: convert what is queued, until a signal ends it.

    MONGO_URL names the database and VISUS_DATASETS the folder with upload/ and converted/; all
    other variables have defaults (docs/settings.md). Any number of services may run, on any
    number of hosts.

    \b
    SIGTERM or Ctrl-C: running conversions go back to the queue, the service ends within 10 s.
    A second one ends it at once; another service then takes over within half a minute.
    While MongoDB is away, the service says so and waits for it.
    \b
    Examples:
      MONGO_URL=mongodb://db:27017 VISUS_DATASETS=/mnt/visus_datasets scientistcloud worker
      scientistcloud worker settings.json --drain
      LOG_FORMAT=json scientistcloud worker
    \b
    Exit status: 0 ended as told, 2 a setting is wrong or missing.
    """
    with told_errors(as_json=False):
        settings = load_settings(settings_file)
        set_up_logging(settings.log_format, settings.log_level)
        show_as()
        raise typer.Exit(run_service(settings, drain=drain))
