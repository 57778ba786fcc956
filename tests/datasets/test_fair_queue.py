"""One user's many datasets do not delay another's one, and no user has more than the limit."""

from __future__ import annotations

import multiprocessing
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson.raw_bson import RawBSONDocument
from hypothesis import given
from hypothesis import strategies as st
from pymongo.database import Database

from scientistcloud.database.connection import connect
from scientistcloud.datasets.documents.document import Claim, PortalSummary
from scientistcloud.datasets.queue.fairness import Crowd, Head, Memory, ahead, next_turns
from scientistcloud.datasets.store import DatasetStore
from scientistcloud.errors import OutOfSpace

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ODD_USERS: list[Any] = [
    None, "", 7, 1.5, True, [], ["ann"], {}, {"$x": "$user"}, b"ann", "$user", "x" * 100_000,
    float("nan"), datetime.now(UTC),
]  # fmt: skip
Documents = Database[dict[str, Any]]


def a_store(database: Documents, owner: str = "one", *, limit: int = 0) -> DatasetStore:
    """A store whose clock runs so fast that nothing it knows is recent."""
    ticks = iter(range(10**9))
    store = DatasetStore(
        database,
        owner=owner,
        lease_seconds=600,
        limit_per_user=limit,
        clock=lambda: 10.0 * next(ticks),
    )
    store.ensure_indexes()
    return store


def insert(database: Documents, name: str, **fields: Any) -> None:
    fields = {"uuid": name, "status": "conversion queued"} | fields
    database.visstoredatas.insert_one(fields)


def flood(database: Documents, name: str, number: int, **fields: Any) -> None:
    for_all = {"status": "conversion queued", "user": name} | fields
    database.visstoredatas.insert_many({"uuid": f"{name}{n}"} | for_all for n in range(number))


def take(store: DatasetStore) -> Claim:
    claim = store.claim()
    assert claim is not None
    return claim


def drain(store: DatasetStore) -> list[Any]:
    found = []
    while claim := store.claim():
        found.append(claim.uuid)
        assert store.complete(claim, PortalSummary())
    return found


@pytest.mark.parametrize("finished", [True, False])
def test_a_thousand_datasets_do_not_delay_another_users_one(
    database: Documents, finished: bool
) -> None:
    """It is the next but one at most, whether conversions end at once or go on."""
    store = a_store(database)
    flood(database, "ann", 1000)
    for _ in range(3):
        claim = take(store)
        assert claim.uuid.startswith("ann")
        if finished:
            store.complete(claim, PortalSummary())
    insert(database, "single", user="bob")
    next_two = [take(store).uuid, take(store).uuid]
    assert "single" in next_two


def test_users_take_turns_and_each_ones_come_in_order(database: Documents) -> None:
    store = a_store(database)
    for user in ("ann", "bob", "cyd"):
        flood(database, user, 3)
        store.stamp()
    found = drain(store)
    for user in ("ann", "bob", "cyd"):
        assert [each for each in found if each.startswith(user)] == [f"{user}{n}" for n in range(3)]
    rounds = [{each[:3] for each in found[n : n + 3]} for n in (0, 3, 6)]
    assert rounds == [{"ann", "bob", "cyd"}] * 3


def test_whoever_has_less_running_is_next(database: Documents) -> None:
    """Also as seen by a service that begins only now."""
    flood(database, "ann", 4)
    first = a_store(database)
    claims = [take(first) for _ in range(3)]
    flood(database, "bob", 4)
    second = a_store(database, "two")
    assert [take(second).uuid for _ in range(3)] == ["bob0", "bob1", "bob2"]
    first.complete(claims[0], PortalSummary())
    first.complete(claims[1], PortalSummary())
    assert take(a_store(database, "three")).uuid == "ann3"


def test_priority_comes_before_fairness(database: Documents) -> None:
    store = a_store(database)
    flood(database, "ann", 3, conversion={"priority": 1})
    insert(database, "b", user="bob")
    assert drain(store) == ["ann0", "ann1", "ann2", "b"]


def test_a_team_stands_for_a_missing_user(database: Documents) -> None:
    flood(database, "t", 3, user=None, team_uuid="team")
    store = a_store(database)
    store.stamp()
    insert(database, "nobody's")
    assert drain(store)[:2] == ["t0", "nobody's"]


@pytest.mark.parametrize("indexed", [True, False])
def test_odd_users_stop_nobody(database: Documents, indexed: bool) -> None:
    for number, user in enumerate(ODD_USERS):
        insert(database, f"u{number}", user=user)
        insert(database, f"t{number}", team_uuid=user)
    raw = b"\x02user\0\x03\0\0\0\xff\xfe\0" + b"\x02uuid\0\x04\0\0\0raw\0"
    raw += b"\x02status\0\x12\0\0\0conversion queued\0"
    for _ in range(2):
        document = (len(raw) + 5).to_bytes(4, "little") + raw + b"\0"
        database.visstoredatas.insert_one(RawBSONDocument(document))
        raw = raw.replace(b"\x04\0\0\0raw\0", b"\x04\0\0\0rax\0")
    insert(database, "normal", user="ann")
    store = a_store(database)
    if not indexed:
        database.visstoredatas.drop_indexes()
    found = drain(store)
    names = [f"{kind}{n}" for kind in "ut" for n in range(len(ODD_USERS))]
    assert sorted(found) == sorted([*names, "raw", "rax", "normal"])


def test_a_user_whose_datasets_wait_to_be_tried_again_is_passed_over(database: Documents) -> None:
    store = a_store(database)
    flood(database, "ann", 40)
    for _ in range(40):
        store.retry(take(store), OutOfSpace(), 3600, counted=False)
    insert(database, "b", user="bob")
    assert drain(store) == ["b"]


def test_what_a_share_is_for_goes_with_the_queue(database: Documents) -> None:
    """A finished document keeps no copy of its user."""
    store = a_store(database)
    insert(database, "a", user="ann@example.org")
    claim = take(store)
    assert "ann" not in repr(claim)
    store.complete(claim, PortalSummary())
    found = database.visstoredatas.find_one({"uuid": "a"})
    assert found is not None
    assert "share" not in found["conversion"]


def test_the_limit_holds_back_one_user_only(database: Documents) -> None:
    one, two = a_store(database, limit=2), a_store(database, "two", limit=2)
    flood(database, "ann", 5, conversion={"priority": 3})
    flood(database, "bob", 1)
    claims = [take(one), take(two)]
    assert [claim.uuid for claim in claims] == ["ann0", "ann1"]
    assert take(one).uuid == "bob0"
    assert one.claim() is None
    assert 0 < (one.next_due_seconds() or 0) < 2
    assert two.claim() is None
    one.complete(claims[0], PortalSummary())
    assert take(two).uuid == "ann2"
    assert one.claim() is None
    two.release(claims[1])
    assert take(one).uuid == "ann1"


def test_nobody_is_held_back_without_a_reason(database: Documents) -> None:
    store = a_store(database, limit=1)
    assert store.claim() is None
    assert store.next_due_seconds() is None


def test_claims_of_other_programs_do_not_count_against_the_limit(database: Documents) -> None:
    store = a_store(database, limit=1)
    flood(database, "ann", 2)
    store.stamp()
    database.visstoredatas.update_one({"uuid": "ann0"}, {"$set": {"status": "converting"}})
    assert take(store).uuid == "ann1"


def test_a_dataset_put_back_is_as_it_was(database: Documents) -> None:
    """A service that learns only after its claim that the limit is reached."""
    flood(database, "bob", 1, conversion={"queued_at": LONG_AGO})
    flood(database, "ann", 2)
    late = DatasetStore(
        database, owner="late", lease_seconds=600, limit_per_user=1, clock=lambda: 0.0
    )
    assert take(late).uuid == "bob0"  # it knows the users now, and its clock stands still
    claim = take(a_store(database, limit=1))
    assert late.claim() is None
    assert late.next_due_seconds() is not None
    [other] = database.visstoredatas.find({"status": "conversion queued"})
    assert "lease" not in other["conversion"]
    assert other["conversion"]["waiting"]["attempts"] == 0
    assert "history" not in other["conversion"]
    assert late.complete(claim, PortalSummary())
    assert take(late).attempt == 1


def test_the_limit_holds_among_competing_services(database: Documents, mongo_url: str) -> None:
    """Four processes convert 60 datasets of two users: never three of one at a time."""
    for user in ("ann", "bob"):
        flood(database, user, 30)
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(4), context.Queue()
    workers = [
        context.Process(target=convert, args=(mongo_url, database.name, n, start, results))
        for n in range(4)
    ]
    for worker in workers:
        worker.start()
    intervals = [found for _ in workers for found in results.get(timeout=60)]
    for worker in workers:
        worker.join(30)
    assert sorted(name for name, *_ in intervals) == sorted(
        f"{user}{n}" for user in ("ann", "bob") for n in range(30)
    )
    for user in ("ann", "bob"):
        spans = [(begin, end) for name, begin, end in intervals if name.startswith(user)]
        for begin, _ in spans:
            assert sum(b <= begin < e for b, e in spans) <= 2


def convert(url: str, name: str, number: int, start: Any, results: Any) -> None:
    found = []
    with connect(url) as client:
        store = DatasetStore(
            client[name], owner=f"service {number}", lease_seconds=60, limit_per_user=2
        )
        start.wait(30)
        while True:
            claim = store.claim()
            if claim is not None:
                begin = time.monotonic()
                threading.Event().wait(0.03)
                found.append((claim.uuid, begin, time.monotonic()))
                store.complete(claim, PortalSummary())
            elif not store.counts().get("conversion queued"):
                break
            else:
                threading.Event().wait(0.01)
    results.put(found)


numbers = st.integers(0, 6)
shares = st.dictionaries(st.sampled_from("abcde"), st.integers(1, 6), min_size=1)


@given(shares, st.dictionaries(st.sampled_from("abcde"), numbers), st.integers(1, 40), numbers)
def test_turns_even_out_what_is_running(
    sizes: dict[str, int], running: dict[str, int], number: int, limit: int
) -> None:
    """No share gets a turn while another one that could take it has less."""
    heads = {share: Head(share, LONG_AGO) for share in sizes}
    turns = next_turns(heads, running, Memory(), number, limit=limit, sizes=sizes)
    level = {share: running.get(share, 0) for share in sizes}
    left = dict(sizes)
    for turn in turns:
        open_to = [s for s in sizes if left[s] and not (limit and level[s] >= limit)]
        assert turn.share in open_to
        assert turn.index == sizes[turn.share] - left[turn.share]
        assert level[turn.share] == min(level[s] for s in open_to)
        level[turn.share] += 1
        left[turn.share] -= 1
    if len(turns) < number:
        assert not any(left[s] and not (limit and level[s] >= limit) for s in sizes)


@given(shares, st.dictionaries(st.sampled_from("abcde"), numbers))
def test_places_in_the_queue_are_those_of_the_turns(
    sizes: dict[str, int], running: dict[str, int]
) -> None:
    first = {s: LONG_AGO + timedelta(seconds=n % 3) for n, s in enumerate(sorted(sizes))}
    heads = {share: Head(share, first[share]) for share in sizes}
    turns = next_turns(heads, running, Memory(), sum(sizes.values()), sizes=sizes)
    crowd = Crowd(sizes, first)
    assert [ahead(crowd, running, turn.share, turn.index) for turn in turns] == list(
        range(len(turns))
    )
