"""``scientistcloud serve``: the HTTP API and the page."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import typer

from scientistcloud.cli.terminal.arguments import SettingsOption, command_app
from scientistcloud.cli.terminal.console import told_errors
from scientistcloud.errors import BadSettings
from scientistcloud.settings import load_settings

app = command_app()


@app.command(short_help="Serve the HTTP API and the page.")
def serve(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="N", min=1, max=65535, help="Port to listen on.")
    ] = 5001,
    settings_file: SettingsOption = None,
) -> None:
    """Serve the HTTP API and the page: uploads, statuses, results as streams.

    Needs MONGO_URL; conversions are made by 'scientistcloud worker'. Several may run side by side.
    With AUTH=none, the default, it serves this computer alone; docs/operating.md tells how others
    sign in.

    \b
    Examples:
      MONGO_URL=mongodb://localhost scientistcloud serve
      AUTH=token SECRET_KEY=... scientistcloud serve --host 0.0.0.0 --port 5001
    \b
    Exit status: 0 ended as told, 2 a setting is wrong.
    """
    with told_errors(as_json=False):
        settings = load_settings(settings_file)
        if settings.mongo_url is None:
            raise BadSettings(
                "MONGO_URL is not set.",
                remedy="Set it, or run 'scientistcloud up', which brings its own MongoDB.",
            )
        # By name: API and command line are neighbours that know nothing of each other.
        raise typer.Exit(import_module("scientistcloud.api.serve").serve(settings, host, port))
