"""What is left over is removed whatever else goes wrong."""

from __future__ import annotations

from tests.site import Site, until


def test_a_document_that_may_not_be_written_stops_no_sweep(site: Site) -> None:
    site.datasets.insert_one({"uuid": "u", "status": "cancelled", "conversion": {"lease": {}}})
    site.client[site.database].command("collMod", "visstoredatas", validator={"never": True})
    left = site.converted / ".staging" / ".partial" / "nobody"
    left.mkdir(parents=True)
    site.start(GENERATION_GRACE_SECONDS="1")
    until(lambda: not left.exists(), 30, site.logs)
    again = left.with_name("nobody-either")
    again.mkdir(parents=True)
    until(lambda: not again.exists(), 10, site.logs)
