"""What others do to documents and inputs while they are being converted."""

from __future__ import annotations

from typing import Any

from tests.fault.feeder import Feeder
from tests.fault.fleet import CONVERTING, lease_of
from tests.fault.targets import Document, Hit, Targets

GARBAGE: tuple[Any, ...] = (
    None,
    "text",
    7,
    [],
    {"lease": 3},
    {"lease": {"token": 1, "expires_at": "soon"}},
    {"waiting": "x", "queued_at": "never", "attempts": "many"},
    {"request": [], "history": 5, "lost": -1, "delays": {}},
)


class Edits:
    """Each counts only if the attempt that it was meant for was still in progress."""

    def __init__(self, targets: Targets, feeder: Feeder) -> None:
        self._fleet, self._chance = targets.fleet, targets.chance
        self._targets, self._feeder = targets, feeder

    def cancel(self) -> Hit:
        return self._edit({"$set": {"status": "cancelled"}})

    def garbage(self) -> Hit:
        return self._edit({"$set": {"conversion": self._chance.choice(GARBAGE)}})

    def _edit(self, update: dict[str, Any]) -> Hit:
        held = self._targets.document()
        if held is None:
            return []
        matched = self._fleet.datasets.update_one(_claimed(held), update).matched_count
        return [held["_id"]] if matched else []

    def delete(self) -> Hit:
        held = self._targets.document()
        if held is None:
            return []
        self._fleet.note(uuid=held["_id"], fault="delete")
        gone = self._fleet.datasets.delete_one(_claimed(held))
        return [held["_id"]] if gone.deleted_count else []

    def requeue(self) -> Hit:
        """The source changes, and somebody presses the button while it is being converted."""
        held = self._targets.document()
        before = self._feeder.ask(held["_id"]) if held else None
        if held is None or before is None:
            return []
        was_held = lease_of(before).get("token") == lease_of(held)["token"]
        return [held["_id"]] if was_held and before["status"] == CONVERTING else []

    def edit_input(self) -> Hit:
        """The source changes in mid-conversion, by a new file or in the old one; nobody asks."""
        held = self._targets.document()
        change = self._chance.choice([self._feeder.change, self._feeder.overwrite])
        if held is None or not change(held["_id"]):
            return []
        now = lease_of(self._feeder.document(held["_id"])).get("token")
        return [held["_id"]] if now == lease_of(held)["token"] else []


def _claimed(held: Document) -> Document:
    token = lease_of(held)["token"]
    return {"_id": held["_id"], "status": CONVERTING, "conversion.lease.token": token}
