"""The command ``scientistcloud``: a table of commands, each in a module imported when it is used.

So ``scientistcloud convert`` pays for no driver of MongoDB and no web framework. The functions of
the commands are longer than others because their options and their help are part of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from scientistcloud.release import __version__

COMMANDS = {
    "demo": "demo",
    "up": "up",
    "convert": "convert",
    "inspect": "inspect",
    "verify": "verify",
    "submit": "submit",
    "status": "status",
    "retry": "requests",
    "cancel": "requests",
    "worker": "worker",
    "serve": "serve",
    "login": "login",
    "doctor": "doctor",
}
"""Command -> module of this package that has it in its ``app``."""


class _Commands(TyperGroup):
    """Commands found in `COMMANDS`, in its order."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"scientistcloud.cli.{COMMANDS[cmd_name]}")
        return get_group(module.app).commands[cmd_name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        # Known names are what is suggested for a misspelt one.
        self.commands: dict[str, Any] = dict.fromkeys(COMMANDS) | dict(self.commands)
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"scientistcloud {__version__}")
        raise typer.Exit


@app.callback()
def scientistcloud(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Turn scientific data into datasets that viewers stream at any resolution.

    \b
    Without any server:
      scientistcloud convert stack/ out/       convert a folder or file, no database
      scientistcloud inspect stack/            what would be made of it
      scientistcloud verify out/               is every byte as it was written
    \b
    With a service that converts what is queued:
      scientistcloud demo                      see all of it work, in a minute
      scientistcloud up                        service and MongoDB for this computer
      scientistcloud submit stack/ --wait      give it a dataset
      scientistcloud status                    what became of it
      scientistcloud doctor                    why nothing happens
    \b
    On a server:
      MONGO_URL=mongodb://... VISUS_DATASETS=/mnt/visus_datasets scientistcloud worker
    """
