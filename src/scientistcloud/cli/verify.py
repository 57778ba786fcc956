"""``scientistcloud verify``: whether every byte of a dataset is as it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scientistcloud.cli.terminal.arguments import JsonOption, command_app
from scientistcloud.cli.terminal.console import FAILED, print_json, say, size_text, told_errors
from scientistcloud.cli.terminal.interrupt import Interrupt
from scientistcloud.cli.terminal.progress import ProgressDisplay
from scientistcloud.library.verifying import VerifyReport
from scientistcloud.library.verifying import verify as verify_result

app = command_app()


@app.command(short_help="Check a converted dataset against its checksums.")
def verify(
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", help="The dataset's folder, or its .idx file."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Check a converted dataset against the checksums that were made when it was written.

    Finds every flipped bit, truncated or missing file (of the log alone nothing is kept), and
    says which part of the data is lost. Nothing is changed.

    \b
    Examples:
      scientistcloud verify out/
      scientistcloud verify /mnt/visus_datasets/converted/6f0a4a3e-0b58-4d62-9a53-9f3b4a1c2d11
      scientistcloud verify out/ --json | jq .damages[].message
    \b
    Exit status: 0 intact, 1 damaged or no dataset of ours, 75 the storage cannot be read.
    """
    with told_errors(as_json=as_json):
        report = _check(path)
        damages, checked_bytes = report.damages, report.bytes_checked
        if as_json:
            print_json(
                {
                    "status": "damaged" if damages else "intact",
                    "bytes_checked": checked_bytes,
                    "damages": [each.to_dict() for each in damages],
                }
            )
        else:
            for each in damages:
                say(each.message)
            verdict = f"{len(damages)} damage(s) found" if damages else "Intact"
            say(f"{verdict}: {size_text(checked_bytes)} checked.")
        if damages:
            raise typer.Exit(FAILED)


def _check(path: Path) -> VerifyReport:
    root = path if path.is_dir() else path.parent
    total_bytes = sum(each.stat().st_size for each in root.rglob("*") if each.is_file())
    checked_bytes = 0
    with Interrupt() as interrupt, ProgressDisplay() as display:

        def count(bytes_more: int) -> None:
            nonlocal checked_bytes
            checked_bytes += bytes_more
            display.show("Checking", checked_bytes, max(total_bytes, checked_bytes))

        return verify_result(path, progress=count, stop=interrupt.is_set)
