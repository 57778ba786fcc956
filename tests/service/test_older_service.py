"""Beside an older service on the same collection: nothing is lost, what both claimed is told."""

from __future__ import annotations

import random
import threading
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import numpy as np

from scientistcloud.datasets.documents.collection import GuardedCollection
from scientistcloud.datasets.reports.operators import contested
from tests.site import CONVERTING, DONE, QUEUED, Site, until

ITS_BYTES = b"(version)\n6\n written by the older service\n"


class OlderService:
    """Finds by status, claims and finishes by uuid, and looks at nothing before it writes.

    Attributes
    ----------
    both : set
        Datasets that it claimed while a service of ours held them, or had finished them.
    """

    def __init__(self, site: Site, seed: int, gap_seconds: float) -> None:
        self.both: set[str] = set()
        self.claimed = 0
        self._site = site
        self._gap_seconds = gap_seconds
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> OlderService:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stop.is_set():
            found = list(self._site.datasets.find({"status": QUEUED}))
            if found:
                chosen = self._random.choice(found)["uuid"]
                # The gap between its look and its claim, in which ours claim the same.
                self._stop.wait(self._random.uniform(0.0, self._gap_seconds))
                self.convert(chosen)
            self._stop.wait(0.02)

    def convert(self, uuid: str) -> None:
        claim = {"$set": {"status": CONVERTING, "updated_at": datetime.now(UTC)}}
        before = self._site.datasets.find_one_and_update({"uuid": uuid}, claim)
        assert before is not None
        self.claimed += 1
        ours = "lease" in before.get("conversion", {}) or "done" in outcomes(before)
        if before["status"] in (CONVERTING, DONE) and ours:
            self.both.add(uuid)
        self._stop.wait(1.0)
        folder = self._site.converted / uuid
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "visus.idx").write_bytes(ITS_BYTES)
        end = {"$set": {"status": DONE, "updated_at": datetime.now(UTC)}}
        self._site.datasets.update_one({"uuid": uuid}, end)


def test_beside_an_older_service_nothing_is_lost(site: Site) -> None:
    stacks = dict(site.stack((2, 16, 16), seed) for seed in range(24))
    site.settings |= {"LEASE_SECONDS": "1", "LEASE_RENEW_SECONDS": "0.2"}
    for _ in range(2):
        site.start(JOB_MAX_CONCURRENT="1")
    until(lambda: "Starting" in site.log(0) and "Starting" in site.log(1), 30, site.logs)
    with ExitStack() as stack:
        older = [stack.enter_context(OlderService(site, n, 0.1 + n / 4)) for n in range(4)]
        for uuid in stacks:
            site.queue(uuid)
            threading.Event().wait(0.05)
        active = {"status": {"$in": [QUEUED, CONVERTING]}}
        until(lambda: site.datasets.count_documents(active) == 0, 60, site.logs)
        meet_for_sure(site, older[0])
        threading.Event().wait(1.5)  # what they have in hand still
        until(lambda: site.datasets.count_documents(active) == 0, 60, site.logs)
    both = set().union(*(each.both for each in older))
    documents = {each["uuid"]: each for each in site.datasets.find()}
    assert {each["status"] for each in documents.values()} == {DONE}
    assert sum(each.claimed for each in older) > len(both) > 1, "they have to meet"
    told = {each.uuid for each in contested(collection(site), 100)[1]}
    assert both <= told, site.logs()
    by_us_alone = {
        uuid
        for uuid, document in documents.items()
        if outcomes(document)[-1:] == ["done"] and uuid not in told
    }
    assert by_us_alone
    for uuid in by_us_alone:
        np.testing.assert_array_equal(site.read(uuid), stacks[uuid])
    shown = site.doctor()
    assert f"another program changed {len(told)} dataset(s)" in shown
    assert sum(uuid in shown for uuid in told) >= min(len(told), 20)


def meet_for_sure(site: Site, older: OlderService) -> None:
    """It comes late to one that is done, and to one that ours are at."""
    ours = {"status": DONE, "conversion.history.outcome": "done"}
    finished = site.datasets.find_one(ours | {"conversion.contested": {"$exists": False}})
    assert finished is not None
    older.convert(finished["uuid"])
    large, _ = site.stack((96, 256, 256), 99)
    site.queue(large)
    until(lambda: site.find(large)["status"] != QUEUED, 30, site.logs, pause_seconds=0.001)
    older.convert(large)


def collection(site: Site) -> GuardedCollection:
    return GuardedCollection(site.client[site.database], "visstoredatas", timeout_seconds=5.0)


def outcomes(document: dict[str, Any]) -> list[str]:
    conversion = document.get("conversion", {})
    return [each["outcome"] for each in conversion.get("history", [])]
