"""Write ``docs/states.md`` from the table of transitions: ``python docs/make_states.py``."""

from __future__ import annotations

from pathlib import Path

from scientistcloud.datasets.documents.document import ANY, TRANSITIONS, DatasetStatus, Transition

PAGE = Path(__file__).with_name("states.md")

_NAMES = {status.value: status.name.lower() for status in DatasetStatus}

_HEAD = """# The states of a dataset

Made by `python docs/make_states.py` from `TRANSITIONS` in
`src/scientistcloud/datasets/documents/document.py`; a test keeps it up to date.

`status` in `visstoredatas` is the one source of truth. The portal, the API, a person in the Mongo
shell and the service all write it, at any moment, and the last one wins.

```mermaid
stateDiagram-v2
"""

_AFTER_DIAGRAM = """```

| from | to | written by | when |
|---|---|---|---|
"""

_FOOT = """
Statuses that are not in the table (`submitted`, `upload queued`, `unzipping`, `ready`, other
`... error`) belong to other programs: they are read by nobody here and left alone.

## Whose request it is

Whoever writes `conversion queued` and nothing else asks for a conversion: attempts begin at zero,
errors of the past are gone, nothing is waited for. Only the service's own `retry` and `release`
also write `conversion.waiting {token, not_before, attempts}`, in the same statement, which says
that this is the former request going on. Every other transition removes it.

## Who may write what

- `claim` is one conditional `find_one_and_update` by `_id`, `status` and what made the document
  due; it writes a lease `{owner, token, expires_at}` by the server's clock.
- Every write after it filters on `_id`, `status: "converting"` and the token. No match means that
  the claim is lost (rescued, cancelled, queued again, deleted): the conversion is stopped, its
  staging folder removed, and nothing else touched.
- Where `conversion` of a dataset in hand was overwritten, its service finds no lease at its next
  write, and puts the dataset back into the queue as the same request: one update of exactly what it
  saw. A `conversion` that is gone, or only lost its lease, may be an older service's claim
  and is left to `FOREIGN_CLAIM_MINUTES`.
- What other programs do to a dataset in hand is noted under `conversion.contested`, and told by
  `scientistcloud doctor`: they wrote to it (`written`; an edit in the portal does that
  too), ended it (`ended`), or claimed it after ours had finished it, without
  a new request (`claimed`).
- A lease holds for 15 s and is renewed every 3 s (`LEASE_SECONDS`, `LEASE_RENEW_SECONDS`). One
  that ran out and that nobody took may still be renewed.
- Attempts are counted for a crash, a time-out and a bug, up to `JOB_MAX_RETRY_ATTEMPTS`. A lost
  host, a release, a full disk, storage or MongoDB away do not count.

What a failed dataset says, and what to do about it: [errors.md](errors.md).
"""


def page() -> str:
    """The whole page, in Markdown."""
    names = "".join(f"    state {value!r} as {key}\n" for value, key in _NAMES.items())
    arrows = "".join(dict.fromkeys(_arrow(each) for each in TRANSITIONS))
    rows = "".join(_row(each) for each in TRANSITIONS)
    return _HEAD + names.replace("'", '"') + arrows + _AFTER_DIAGRAM + rows + _FOOT


def _arrow(transition: Transition) -> str:
    source = "[*]" if transition.source == ANY else _NAMES[transition.source]
    return f"    {source} --> {_NAMES[transition.target]}: {transition.by}\n"


def _row(transition: Transition) -> str:
    source = "any" if transition.source == ANY else f"`{transition.source}`"
    cells = (source, f"`{transition.target}`", transition.by, transition.when)
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
