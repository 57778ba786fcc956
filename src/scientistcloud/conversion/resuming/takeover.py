"""Going on where another attempt ended: the files that it had finished become this attempt's own.

The other one may not be dead: it may wake up from a long sleep and write on, through descriptors
that no renaming takes from it. So only files into which it has nothing more to write are taken as
they are; of the others, what they held at the checkpoint is copied, and it keeps the originals.
Whatever it stored after the checkpoint is stored once more: the same blocks come out.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from scientistcloud.conversion.publishing.generations import (
    BLOCKS,
    RETIRED,
    dataset_folders,
    published_generation,
    remove_generation,
)
from scientistcloud.conversion.publishing.publish import Publication, StagingLost
from scientistcloud.conversion.resuming.checkpoint import Checkpoint, CopyState, DatasetState
from scientistcloud.errors import ConversionError, Stopped
from scientistcloud.idx.files.manifest import MANIFEST_NAME
from scientistcloud.idx.files.storage import sync_folder

MOST_RESUMED = 2
"""So many attempts may begin at one checkpoint: perhaps it is what they die of."""

_COPY_BYTES = 8 << 20


def spill_name(at: CopyState) -> str:
    """Of the scratch file that is kept beside the blocks while a field is copied.

    One for each: a former owner that writes on, into the next one, reaches none that is of use.
    """
    return f"spill-{at.timestep}-{at.field}"


def take_over(
    publication: Publication, key: str, stop: Callable[[], bool] = lambda: False
) -> Checkpoint | None:
    """Make what former attempts under this `key` finished this attempt's own; the rest goes.

    Parameters
    ----------
    publication : Publication
        Its staging folder has been opened, so that no former owner can publish any more.

    Returns
    -------
    Checkpoint or None
        The one to go on from, which is now at ``publication.checkpoint``; None where there is
        nothing of use, in which case this attempt's folders of blocks do not exist.

    Raises
    ------
    StagingLost
        What was found may be the work of a newer owner.
    """
    former = list(_checkpoints(publication.checkpoint.parent))
    found = _usable(former, key)
    # After the look: before a newer owner keeps anything, it has taken our staging folder away.
    if not publication.staging.is_dir():
        raise StagingLost(f"{publication.staging} was taken away")
    taken = any(_is_taken(publication, path, each, stop) for path, each in found)
    _drop(publication, former)
    # Where the samples begin depends on the text before them.
    return Checkpoint.load(publication.checkpoint) if taken else None


def kept_bytes(publication: Publication) -> int:
    """What former attempts hold on the disk, which `take_over` takes or removes."""
    names = [path.name for path in _checkpoints(publication.checkpoint.parent)]
    folders = [f / BLOCKS / name for f in dataset_folders(publication.target) for name in names]
    return sum(_used_bytes(Path(at) / n) for f in folders for at, _, ns in os.walk(f) for n in ns)


def _used_bytes(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512  # there are holes
    except FileNotFoundError:  # somebody else is removing it
        return 0


def _is_taken(
    publication: Publication, former: Path, checkpoint: Checkpoint, stop: Callable[[], bool]
) -> bool:
    try:
        _take(publication, former, checkpoint, stop)
    except (OSError, ConversionError):
        _leave(publication, checkpoint)
        return False
    finally:
        former.unlink(missing_ok=True)
    return True


def _drop(publication: Publication, former: Sequence[Path]) -> None:
    """Remove checkpoints, and what they still stand for: its space may be needed."""
    for path in former:
        path.unlink(missing_ok=True)
    retired = publication.staging_root / RETIRED / publication.name
    for folder in dataset_folders(publication.target) if former else ():
        needed = published_generation(folder)
        for path in former:
            blocks = folder / BLOCKS / path.name
            if path.name != needed and not (retired / path.name).exists() and blocks.is_dir():
                remove_generation(blocks)


def _usable(paths: Iterable[Path], key: str) -> list[tuple[Path, Checkpoint]]:
    """The checkpoints of the key, and where they are; the one that came furthest first."""
    found = []
    for path in paths:
        checkpoint = Checkpoint.load(path)
        if checkpoint and checkpoint.key == key and checkpoint.resumed < MOST_RESUMED:
            found.append((path, checkpoint))
    return sorted(found, key=lambda each: each[1].done_bytes, reverse=True)


def _take(
    publication: Publication, former: Path, checkpoint: Checkpoint, stop: Callable[[], bool]
) -> None:
    resumed = replace(checkpoint, resumed=checkpoint.resumed + 1)
    resumed.save(publication.checkpoint, checkpoint.samples(former))
    for dataset in checkpoint.datasets:
        blocks = publication.blocks(dataset.name)
        blocks.with_name(former.name).rename(blocks)
        _own(blocks, dataset, stop)


def _leave(publication: Publication, checkpoint: Checkpoint) -> None:
    """Remove what was taken so far."""
    for dataset in checkpoint.datasets:
        shutil.rmtree(publication.blocks(dataset.name), ignore_errors=True)
    publication.checkpoint.unlink(missing_ok=True)


def _checkpoints(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (p for p in folder.iterdir() if re.fullmatch(r"[0-9a-f]{16}", p.name))


def _own(blocks: Path, state: DatasetState, stop: Callable[[], bool]) -> None:
    """Leave in `blocks` what was there at the checkpoint, with nobody else to write into it.

    Raises
    ------
    OSError
        A file is not as it should be.
    Stopped
    """
    files = state.writer.files
    needed = {str(blocks / each.name) for each in files} | {str(blocks / MANIFEST_NAME)}
    if state.copy is not None and state.copy.filled:
        needed.add(str(blocks / spill_name(state.copy)))
    for folder, _, names in os.walk(blocks):
        for name in names:
            path = Path(folder) / name
            if str(path) in needed:
                needed.remove(str(path))
            else:
                path.unlink()
    if needed:
        raise OSError(f"{min(needed)} is gone")
    for each in files:
        path = blocks / each.name
        size = path.stat().st_size
        if size < each.size_bytes or (each.missing <= 0 and size != each.size_bytes):
            raise OSError(f"{each.name} is not as it was at the checkpoint")
        if each.missing > 0:
            _copy_head(path, each.size_bytes, stop)
    manifest = blocks / MANIFEST_NAME
    _copy_head(manifest, manifest.stat().st_size, stop)


def _copy_head(path: Path, size: int, stop: Callable[[], bool]) -> None:
    """Replace the file at `path` by a copy of its first `size` bytes."""
    part = path.with_name(f"{path.name}.part")
    with path.open("rb") as source, part.open("wb") as copy:
        place = 0
        while place < size:
            if stop():
                raise Stopped
            step = min(_COPY_BYTES, size - place)
            count = _copy_range(source.fileno(), copy.fileno(), place, step)
            if not count:
                raise OSError(f"{path.name} is shorter than it was at the checkpoint")
            place += count
        os.fsync(copy.fileno())
    part.replace(path)
    sync_folder(path.parent)


def _copy_range(source: int, copy: int, place: int, size: int) -> int:
    """Copy some of these bytes, within the kernel where it can do that; how many."""
    try:
        return os.copy_file_range(source, copy, size, place, place)
    except OSError:  # not between these files, or not on this file system
        return os.pwrite(copy, os.pread(source, size, place), place)


def forget(publication: Publication) -> None:
    """Remove all checkpoints of the dataset: what they stand for goes with the next clearing."""
    # A former owner may be writing another one, which is of no use without its blocks.
    shutil.rmtree(publication.checkpoint.parent, ignore_errors=True)
