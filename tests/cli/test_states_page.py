"""``docs/states.md`` says what the table of transitions says."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from scientistcloud.datasets.documents.document import TRANSITIONS, DatasetStatus

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_page_is_up_to_date() -> None:
    made = runpy.run_path(str(DOCS / "make_states.py"))["page"]()
    assert (DOCS / "states.md").read_text() == made, "run: python docs/make_states.py"


def test_the_diagram_has_every_status_and_transition() -> None:
    page = (DOCS / "states.md").read_text()
    diagram = page.partition("```mermaid")[2].partition("```")[0]
    named = dict(re.findall(r'state "([^"]+)" as (\w+)', diagram))
    assert set(named) == {status.value for status in DatasetStatus}
    arrows = set(re.findall(r"(\S+) --> (\w+): (.+)", diagram))
    wanted = {(named.get(each.source, "[*]"), named[each.target], each.by) for each in TRANSITIONS}
    assert arrows == wanted
