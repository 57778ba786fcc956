"""Whose turn a dataset takes."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database

from scientistcloud.datasets.documents.share import LONGEST_SHARE_BYTES, NOBODY, SHARE, share_of

LONGEST = "ä" * (LONGEST_SHARE_BYTES // 2)
VALUES: list[Any] = [None, "", "ann", "$user", LONGEST, LONGEST + "x", 7, ["ann"], {}, b"ann"]


def test_the_server_and_we_say_the_same(database: Database[dict[str, Any]]) -> None:
    documents = database.visstoredatas
    documents.insert_many(
        [{}, *({"user": user, "team_uuid": team} for user in VALUES for team in VALUES)]
    )
    for found in documents.aggregate([{"$set": {"share": SHARE}}]):
        assert found["share"] == share_of(found)


def test_a_user_comes_before_a_team_and_both_before_nobody() -> None:
    assert share_of({"user": "ann", "team_uuid": "t"}) == "user ann"
    assert share_of({"user": LONGEST + "x", "team_uuid": "t"}) == "team t"
    assert share_of({}) == NOBODY
