"""``scientistcloud up``: everything that one computer needs, until Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scientistcloud.cli.home.place import home_words, settings_of
from scientistcloud.cli.home.serving import API_PORT, serving, serving_api
from scientistcloud.cli.terminal.arguments import HomeOption, SettingsOption, command_app
from scientistcloud.cli.terminal.console import say, told_errors, warn
from scientistcloud.cli.terminal.interrupt import Interrupt
from scientistcloud.database.connection import redact
from scientistcloud.logs import set_up_logging
from scientistcloud.service.processes.title import show_as
from scientistcloud.settings import Settings

app = command_app()


@app.command(short_help="Run MongoDB, the service and its HTTP API, until Ctrl-C.")
def up(
    home: HomeOption = None,
    settings_file: SettingsOption = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=65535,
            help=f"Port of the HTTP API; 0 for none. Default: {API_PORT}, or a free one.",
        ),
    ] = None,
) -> None:
    """Run all that one computer needs: MongoDB, the service and its HTTP API, until Ctrl-C.

    Without MONGO_URL, MongoDB is started too; its data and the datasets are kept in --home.

    \b
    Examples:
      scientistcloud up
      scientistcloud submit scan/ --wait          (in another terminal)
      scientistcloud up --home /data/scientistcloud
    \b
    Ctrl-C or SIGTERM: running conversions go back to the queue, all is stopped within 10 s.
    Exit status: 0 ended as told, 2 a setting is wrong, 75 MongoDB cannot be started or reached.
    """
    with told_errors(as_json=False), Interrupt() as interrupt:
        with settings_of(home, settings_file, stay=True) as (settings, used_home):
            set_up_logging(settings.log_format, settings.log_level)
            show_as()
            with serving_api(settings, port) as address:
                _announce(settings, used_home, address)
                if port and address is None:
                    warn(f"Port {port} is taken: there is no HTTP API.")
                with serving(settings, interrupt.set):
                    interrupt.wait()
        say("Stopped.")


def _announce(settings: Settings, home: Path | None, address: str | None) -> None:
    url = settings.mongo_url.get_secret_value() if settings.mongo_url else ""
    say(f"MongoDB    {redact(url)}, database {settings.db_name}")
    say(f"Uploads    {settings.in_data_dir}")
    say(f"Datasets   {settings.out_data_dir}")
    if address is not None:
        say(f"HTTP API   {address}/health")
    words = home_words(home) if home else ""
    say(f"Try        scientistcloud submit FOLDER --wait{words}   (in another terminal)")
    say("Ctrl-C stops everything.")
