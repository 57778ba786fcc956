"""``scientistcloud login``: keep a token for a server."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from scientistcloud.cli.home.remote import keep_token, server_at, tokens_file
from scientistcloud.cli.terminal.arguments import command_app
from scientistcloud.cli.terminal.console import FAILED, say, warn

app = command_app()


@app.command(short_help="Keep a token for a server.")
def login(
    server: Annotated[
        str,
        typer.Option("--server", metavar="URL", envvar="SCIENTISTCLOUD_SERVER", help="The server."),
    ],
    forget: Annotated[bool, typer.Option("--forget", help="Forget the token instead.")] = False,
) -> None:
    """Keep a token or key for a server, for the commands that take --server.

    The token is asked for, or read from standard input; it is tried, and kept in a file that only
    you can read. Keys are made on the page, or with POST /api/v2/keys.

    \b
    Examples:
      scientistcloud login --server https://data.example.org
      scientistcloud login --server https://data.example.org < key.txt
      scientistcloud submit scan/ --server https://data.example.org --wait
    \b
    Exit status: 0 kept, 1 the server does not accept it, 75 it cannot be reached.
    """
    if forget:
        keep_token(server, "")
        say("Forgotten.")
        return
    if sys.stdin.isatty():
        token = typer.prompt("Token or key", hide_input=True)
    else:
        token = sys.stdin.read()
    keep_token(server, token.strip())
    try:
        with server_at(server, as_json=False) as client:
            me = client.get("api/v2/me").json()
    except typer.Exit:
        keep_token(server, "")
        raise
    if not me["email"]:
        keep_token(server, "")
        warn("The server does not know whose token this is.")
        raise typer.Exit(FAILED)
    say(f"Signed in at {server} as {me['email']}; kept in {tokens_file()}.")
