"""Making a result visible in one step, and taking that power from a former owner.

Layout of a target (``converted/<uuid>/``, or the destination of ``scientistcloud convert``)::

    visus.idx                   the only commit mark: replaced by one os.replace
    visus/<generation>/...      blocks, manifest and metadata.json of one conversion
    <name>/visus.idx, ...       further datasets of the same source, laid out alike
    metadata.json               a copy of the generation's, for portals
    conversion.log

While a conversion runs, its headers lie in a staging folder ``<staging root>/<name>.<token>/``. It
is made once and never again: whoever renames it away has taken from its owner the only path from
which a result can become visible, however late that owner wakes up.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scientistcloud.conversion.publishing.generations import (
    BLOCKS,
    HEADER,
    LOG,
    METADATA,
    PARTIAL,
    RETIRED,
    drop_empty,
    drop_unpublished,
    published_generation,
)
from scientistcloud.conversion.publishing.staged import REVOKED, staged_in
from scientistcloud.idx.files.storage import sync_folder, writing


class StagingLost(Exception):
    """The staging folder was taken away: this attempt has no claim to publish any more."""


@dataclass(frozen=True, slots=True)
class Publication:
    """Where one attempt writes, and what becomes of it.

    Attributes
    ----------
    target : Path
        The folder that viewers open; made when needed.
    staging_root : Path
        On the same file system as `target`.
    name : str
        Of the target within the staging root (the uuid).
    token : str
        32 hexadecimal digits; the lease's token. Names the staging folder and the generation.
    """

    target: Path
    staging_root: Path
    name: str
    token: str

    @property
    def staging(self) -> Path:
        return self.staging_root / f"{self.name}.{self.token}"

    @property
    def scratch(self) -> Path:
        """For unpacked archives and spilled pages; removed with the staging folder."""
        return self.staging / "scratch"

    @property
    def generation(self) -> str:
        return self.token[:16]

    @property
    def checkpoint(self) -> Path:
        """What this attempt has finished, for another one to go on from; beside those of others."""
        return self.staging_root / PARTIAL / self.name / self.generation

    @property
    def is_partial(self) -> bool:
        """Whether an attempt on this target, perhaps a former one, has left a checkpoint."""
        return self.checkpoint.parent.is_dir()

    def blocks(self, dataset: str) -> Path:
        """The folder of the blocks of the dataset called `dataset` ("" is the main one)."""
        return self.target / dataset / BLOCKS / self.generation

    def staged_header(self, dataset: str) -> Path:
        return self.staging / dataset / HEADER


def open_staging(publication: Publication) -> None:
    """Take the staging folders of former owners away, then make this attempt's own.

    Raises
    ------
    StagingLost
        It was there before, so somebody has already taken it from us.
    """
    with writing("the staging folder"):
        publication.staging_root.mkdir(parents=True, exist_ok=True)
        for other in staged_in(publication.staging_root):
            if other.name == publication.name and other.token != publication.token:
                shutil.rmtree(_revoke(publication.staging_root, other.path), ignore_errors=True)
        try:
            publication.staging.mkdir()
        except FileExistsError as error:
            raise StagingLost(f"{publication.staging} is there already") from error
        publication.scratch.mkdir()


def _revoke(staging_root: Path, folder: Path) -> Path:
    """Rename `folder` away, which alone decides; its new name still tells whose it was."""
    away = staging_root / f"{REVOKED}{folder.name}"
    with suppress(FileNotFoundError):
        folder.rename(away)
    with suppress(FileNotFoundError):
        (away / HEADER).unlink()
    return away


def commit(
    publication: Publication, datasets: Iterable[str], *, swap_blocks: Collection[str] = ()
) -> None:
    """Make the staged headers visible: secondary datasets first, the main one last.

    Parameters
    ----------
    datasets : iterable of str
        Names of all datasets of this conversion, "" among them.
    swap_blocks : collection of str
        Those of them that are ARCO, whose block paths follow the name of the header: the staged
        folder ``visus`` is put in the place of the published one right before its header. Readers
        that are between the two see missing blocks (read as zeros) for that moment.

    Raises
    ------
    StagingLost
        A new owner took the staging folder away; nothing of this attempt became visible after that.
    """
    names = sorted(datasets, reverse=True)
    former = {name: published_generation(publication.target / name) for name in names}
    with writing("the published dataset"):
        for name in names:
            folder = publication.target / name
            generation = former[name]
            if generation is not None and generation != publication.generation:
                _mark_retired(publication, generation)
            if name in swap_blocks:
                _swap_blocks(publication, name)
            _replace(publication.staged_header(name), folder / HEADER)
            sync_folder(folder)
        _replace(publication.staging / METADATA, publication.target / METADATA)
        sync_folder(publication.target)


def publish_log(publication: Publication) -> None:
    """Put the staged log in the target (also after a failure, which leaves the former data)."""
    with suppress(StagingLost), writing("the log"):
        publication.target.mkdir(parents=True, exist_ok=True)
        _replace(publication.staging / LOG, publication.target / LOG)


def close_staging(publication: Publication, *, keep_partial: bool = False) -> None:
    """Remove this attempt's staging folder and every generation that nobody can see.

    In this order, so that whoever is killed between two steps leaves a folder that tells what there
    is to do (see `leftovers.finish_revoked`).

    Parameters
    ----------
    keep_partial : bool
        Whether another attempt may go on from the checkpoints of the target, and what they stand
        for stays therefore.
    """
    away = _revoke(publication.staging_root, publication.staging)
    if not keep_partial:
        shutil.rmtree(publication.checkpoint.parent, ignore_errors=True)
    drop_unpublished(publication.target, publication.staging_root, publication.name)
    shutil.rmtree(away, ignore_errors=True)
    drop_empty(publication.target, publication.staging_root, publication.name)


def write_durably(path: Path, content: bytes) -> None:
    """Write a new file and fsync it."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    return sum(
        os.lstat(Path(parent) / name).st_size
        for parent, _, names in os.walk(folder)
        for name in names
    )


def _mark_retired(publication: Publication, generation: str) -> None:
    """Note that `generation` is about to be replaced: it goes after a grace period."""
    marker = publication.staging_root / RETIRED / publication.name / generation
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()


def _swap_blocks(publication: Publication, dataset: str) -> None:
    staged, folder = publication.staging / dataset / BLOCKS, publication.target / dataset / BLOCKS
    if folder.exists():
        folder.rename(publication.staging / dataset / "former")
    _replace(staged, folder)


def _replace(source: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(destination)
    except FileNotFoundError as error:
        raise StagingLost(f"{source} is gone") from error
