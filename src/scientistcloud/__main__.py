"""``python -m scientistcloud`` is the command ``scientistcloud``."""

from scientistcloud.cli.main import app

app(prog_name="scientistcloud")
