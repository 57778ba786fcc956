"""A result becomes visible in one step, and only to the owner whose staging folder is there."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from pathlib import Path

import pytest

from scientistcloud.conversion.publishing.generations import published_generation, sweep, withdraw
from scientistcloud.conversion.publishing.leftovers import close_abandoned, finish_revoked
from scientistcloud.conversion.publishing.publish import (
    Publication,
    StagingLost,
    close_staging,
    commit,
    open_staging,
    publish_log,
)
from tests.conversion.owners import publication

HEADER = "(version)\n6\n(filename_template)\n./visus/{}/%04x.bin\n"


def write(owner: Publication, *datasets: str) -> None:
    """What a conversion leaves before its commit."""
    for dataset in datasets:
        owner.staged_header(dataset).parent.mkdir(exist_ok=True)
        owner.staged_header(dataset).write_text(HEADER.format(owner.generation))
        owner.blocks(dataset).mkdir(parents=True)
        (owner.blocks(dataset) / "0000.bin").write_text(owner.token)
    (owner.staging / "metadata.json").write_text("{}")
    (owner.staging / "conversion.log").write_text("a line\n")


def publish(owner: Publication, *datasets: str) -> None:
    open_staging(owner)
    write(owner, *(datasets or ("",)))
    commit(owner, datasets or ("",))
    publish_log(owner)
    close_staging(owner)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_nothing_is_visible_before_the_commit(tmp_path: Path) -> None:
    owner = publication(tmp_path)
    open_staging(owner)
    write(owner, "")
    assert not (owner.target / "visus.idx").exists()
    commit(owner, [""])
    assert published_generation(owner.target) == owner.generation


def test_a_published_target_holds_its_files_and_no_staging(tmp_path: Path) -> None:
    owner = publication(tmp_path)
    publish(owner)
    blocks = f"visus/{owner.generation}/0000.bin"
    assert files(owner.target) == {"visus.idx", blocks, "metadata.json", "conversion.log"}
    assert files(owner.staging_root) == set()


def test_a_former_owner_finds_no_way_to_commit(tmp_path: Path) -> None:
    late, new = publication(tmp_path), publication(tmp_path)
    open_staging(late)
    write(late, "")
    open_staging(new)
    with pytest.raises(StagingLost):
        commit(late, [""])
    assert not (new.target / "visus.idx").exists()
    write(new, "")
    commit(new, [""])
    with pytest.raises(StagingLost):
        commit(late, [""])
    assert published_generation(new.target) == new.generation


def test_a_former_owner_cannot_make_its_staging_folder_again(tmp_path: Path) -> None:
    owner = publication(tmp_path)
    open_staging(owner)
    with pytest.raises(StagingLost):
        open_staging(owner)


def test_a_name_that_begins_like_another_is_left_alone(tmp_path: Path) -> None:
    one, other = publication(tmp_path, "set"), publication(tmp_path, "set.2")
    open_staging(other)
    open_staging(one)
    assert other.staging.is_dir()


def test_closing_late_removes_nothing_of_the_new_owner(tmp_path: Path) -> None:
    late, new = publication(tmp_path), publication(tmp_path)
    open_staging(late)
    write(late, "")
    open_staging(new)
    write(new, "")
    close_staging(late)
    assert not late.blocks("").exists()
    assert new.blocks("").is_dir()
    commit(new, [""])
    close_staging(late)
    close_staging(new)
    assert (new.blocks("") / "0000.bin").read_text() == new.token


def test_closing_late_leaves_the_empty_target_that_the_new_owner_was_let_into(
    tmp_path: Path,
) -> None:
    late, new = publication(tmp_path), publication(tmp_path)
    open_staging(late)
    open_staging(new)
    new.target.mkdir()
    folder = new.target.stat().st_ino
    close_staging(late)
    assert new.target.stat().st_ino == folder
    close_staging(new)
    assert not new.target.exists()


def test_readers_of_a_replaced_generation_have_a_period_of_grace(tmp_path: Path) -> None:
    first, second = publication(tmp_path), publication(tmp_path)
    publish(first)
    publish(second)
    assert published_generation(second.target) == second.generation
    assert first.blocks("").is_dir()
    converted = tmp_path / "converted"
    assert sweep(second.staging_root, converted, grace_seconds=3600) == 0
    assert first.blocks("").is_dir()
    marker = next(second.staging_root.glob(".retired/*/*"))
    os.utime(marker, (time.time() - 3700, time.time() - 3700))
    assert sweep(second.staging_root, converted, grace_seconds=3600) == 1
    assert not first.blocks("").exists()
    assert second.blocks("").is_dir()


def test_a_generation_marked_by_an_owner_that_died_before_its_commit_stays(tmp_path: Path) -> None:
    first, second = publication(tmp_path), publication(tmp_path)
    publish(first)
    open_staging(second)
    write(second, "")
    (second.staging_root / ".retired" / second.name).mkdir(parents=True)
    (second.staging_root / ".retired" / second.name / first.generation).touch()
    sweep(second.staging_root, tmp_path / "converted", grace_seconds=0)
    assert first.blocks("").is_dir()


def test_what_was_revoked_by_somebody_who_was_killed_is_removed(tmp_path: Path) -> None:
    published, dead, other = (publication(tmp_path) for _ in range(3))
    publish(published)
    open_staging(dead)
    write(dead, "")
    dead.staging.rename(dead.staging_root / f".revoked.{dead.staging.name}")
    open_staging(other)
    write(other, "")
    assert finish_revoked(dead.staging_root, tmp_path / "converted") == 1
    assert {each.name for each in dead.staging_root.iterdir()} == {other.staging.name}
    assert not dead.blocks("").exists()
    assert published.blocks("").is_dir()
    assert other.blocks("").is_dir()


def test_the_staging_folder_of_an_owner_that_is_gone_is_closed(tmp_path: Path) -> None:
    dead, alive = publication(tmp_path, "dead.set"), publication(tmp_path, "alive")
    for owner in (dead, alive):
        open_staging(owner)
        write(owner, "")
    asked: list[set[str]] = []

    def held(tokens: Collection[str]) -> set[str]:
        asked.append(set(tokens))
        return {alive.token}

    root, converted = dead.staging_root, tmp_path / "converted"
    assert close_abandoned(root, converted, 60.0, held) == []
    assert asked == []
    assert close_abandoned(root, converted, 0.0, held) == ["dead.set"]
    assert asked == [{dead.token, alive.token}]
    assert not dead.target.exists()
    assert {each.name for each in root.iterdir()} == {alive.staging.name}
    assert alive.blocks("").is_dir()
    with pytest.raises(StagingLost):
        commit(dead, [""])


def test_a_failed_conversion_leaves_the_former_result_and_shows_its_log(tmp_path: Path) -> None:
    first, second = publication(tmp_path), publication(tmp_path)
    publish(first)
    open_staging(second)
    write(second, "")
    (second.staging / "conversion.log").write_text("it failed\n")
    publish_log(second)
    close_staging(second)
    assert published_generation(first.target) == first.generation
    assert first.blocks("").is_dir()
    assert not second.blocks("").exists()
    assert (first.target / "conversion.log").read_text() == "it failed\n"


def test_further_datasets_are_published_before_the_main_one(tmp_path: Path) -> None:
    owner = publication(tmp_path)
    open_staging(owner)
    write(owner, "", "bounds")
    owner.staged_header("").unlink()  # as if the owner were stopped right before the last commit
    with pytest.raises(StagingLost):
        commit(owner, ["", "bounds"])
    assert (owner.target / "bounds" / "visus.idx").exists()
    assert not (owner.target / "visus.idx").exists()


def test_withdrawing_leaves_the_files_of_others(tmp_path: Path) -> None:
    owner = publication(tmp_path)
    publish(owner, "", "bounds")
    (owner.target / "notes.txt").write_text("mine")
    withdraw(owner.target)
    assert files(owner.target) == {"notes.txt"}
