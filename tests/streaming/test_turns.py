"""Boxes that are cut at one time hold a bounded number of bytes, and everybody's turn comes."""

from __future__ import annotations

import threading

from scientistcloud.streaming.turns import Turns


def test_turns_hold_no_more_than_the_limit_and_all_come() -> None:
    turns, most, done = Turns(100), [0], []
    lock = threading.Lock()

    def work() -> None:
        for _ in range(50):
            with turns.turn():
                turns.take(40)
                with lock:
                    most[0] = max(most[0], turns.held_bytes)
        done.append(True)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(done) == 8
    assert most[0] <= 100
    assert turns.held_bytes == 0


def test_one_that_is_larger_than_all_room_goes_alone() -> None:
    turns = Turns(100)
    with turns.turn():
        turns.take(1000)
        turns.take(1000)  # the same turn never waits for itself
        assert turns.held_bytes == 2000
    assert turns.held_bytes == 0


def test_outside_of_a_turn_nothing_is_counted() -> None:
    turns = Turns(1)
    turns.take(1000)
    assert turns.held_bytes == 0
