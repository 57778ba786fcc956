"""Whether a published dataset is as it was written: `verify_path`.

Every byte below the dataset's folder that was published is covered, but those of
``conversion.log``: blocks by their own checksums, tables and gaps, ``visus.idx`` and
``metadata.json`` by the manifest's list of files, the manifest by itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from scientistcloud.errors import ConversionError, CorruptSource, StorageUnavailable
from scientistcloud.idx.audit import BlockAudit
from scientistcloud.idx.files.damage import Damage
from scientistcloud.idx.files.manifest import MANIFEST_NAME, Manifest, sum_file
from scientistcloud.idx.headers.header import IdxHeader
from scientistcloud.idx.headers.midx import is_midx, load_midx
from scientistcloud.idx.reader import IdxReader

HEADER_NAME = "visus.idx"
METADATA_NAME = "metadata.json"


def verify_path(
    path: Path,
    *,
    progress: Callable[[int], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Damage]:
    """Find what is damaged or missing of a published dataset.

    Parameters
    ----------
    path : Path
        Its folder or its ``.idx`` file. Further datasets in folders beside the header belong to
        it.
    progress : callable
        Told the bytes newly read.
    stop : callable
        Asked once a piece of 1 MiB.

    Yields
    ------
    Damage
        Nothing where every byte is as it was published.

    Raises
    ------
    Stopped
        `stop` said so.
    StorageUnavailable
        Files are there but cannot be read.
    """
    header_path = path / HEADER_NAME if path.is_dir() else path
    root = header_path.parent
    for inner in [header_path, *_further_headers(root, header_path)]:
        prefix = inner.parent.relative_to(root).as_posix()
        for damage in _verify_dataset(inner, progress, stop):
            yield damage.below(prefix)


def manifest_name(header: IdxHeader, base: Path, name: str) -> str:
    """Where the manifest lies, relative to the header's folder: beside the blocks, or above them.

    Parameters
    ----------
    base : Path
        The header's folder.
    name : str
        The header's file name without ``.idx``.
    """
    return _nearest_manifest(blocks_folder(header, name), base)


def blocks_folder(header: IdxHeader, name: str) -> PurePosixPath:
    """The folder that holds all blocks, relative to the header's."""
    prefix = header.filename_template.partition("%")[0]
    return PurePosixPath(name if header.arco else prefix.rpartition("/")[0] or ".")


def _nearest_manifest(folder: PurePosixPath, base: Path) -> str:
    places = [(place / MANIFEST_NAME).as_posix() for place in (folder, *folder.parents)]
    return next((place for place in places if (base / place).is_file()), places[0])


def _further_headers(root: Path, main: Path) -> list[Path]:
    """Headers of further datasets: those that are there, or that ``metadata.json`` lists.

    A folder of blocks without either belongs to a conversion that is still going on.
    """
    folders = [f for f in root.iterdir() if f.is_dir()] if root.is_dir() else []
    found = {f / HEADER_NAME for f in folders if (f / HEADER_NAME).is_file()}
    with suppress(OSError, ValueError, TypeError, KeyError):
        for entry in json.loads((root / METADATA_NAME).read_bytes())["datasets"]:
            listed = PurePosixPath(str(entry["path"]))
            if ".." not in listed.parts and not listed.is_absolute():
                found.add(root / listed)
    return sorted(found - {main})


def _verify_dataset(
    path: Path, progress: Callable[[int], None], stop: Callable[[], bool]
) -> Iterator[Damage]:
    if _begins_as_midx(path):
        yield from _verify_midx(path, progress, stop)
        return
    try:
        reader = IdxReader(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        yield _whole(path.name, "is missing: the whole dataset cannot be read")
        return
    except ConversionError as error:
        yield _whole(path.name, f"is damaged, and with it the whole dataset: {error.message}")
        return
    except OSError as error:
        raise StorageUnavailable(f"'{path.name}' cannot be read: {error.strerror}.") from error
    name = manifest_name(reader.header, path.parent, path.stem)
    yield from _verify_with_manifest(path, name, reader, progress, stop)


def _verify_midx(
    path: Path, progress: Callable[[int], None], stop: Callable[[], bool]
) -> Iterator[Damage]:
    """The text and, one by one, the datasets that it joins."""
    try:
        parts = load_midx(path).parts
    except ConversionError as error:
        yield _whole(path.name, f"is damaged, and with it the whole dataset: {error.message}")
        return
    name = _nearest_manifest(PurePosixPath(parts[0]).parent, path.parent)
    yield from _verify_with_manifest(path, name, None, progress, stop)
    for part in parts:
        folder = PurePosixPath(part).parent.as_posix()
        for damage in _verify_dataset(path.parent / part, progress, stop):
            yield damage.below(folder)


def _verify_with_manifest(
    path: Path,
    name: str,
    reader: IdxReader | None,
    progress: Callable[[int], None],
    stop: Callable[[], bool],
) -> Iterator[Damage]:
    try:
        manifest = Manifest.open(path.parent / name)
    except (FileNotFoundError, NotADirectoryError):
        yield _whole(name, f"is missing (or '{path.name}' is damaged): nothing can be checked")
        return
    except CorruptSource as error:
        yield _whole(name, f"is damaged: {error.message} The data cannot be checked")
        return
    with manifest:
        intact = True
        for damage in _verify_files(path, manifest, progress):
            intact = intact and damage.path != path.name
            yield damage
        if intact and reader is not None:
            yield from _verify_blocks(reader, manifest, name, path.name, progress, stop)


def _verify_files(
    path: Path, manifest: Manifest, progress: Callable[[int], None]
) -> Iterator[Damage]:
    """The files that are covered as a whole."""
    for name, listed in manifest.files.items():
        if listed.covers != "all":
            continue
        what = "the whole dataset" if name == path.name else "the description of the data"
        try:
            found = sum_file(path.parent / name)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            yield _whole(name, f"is missing, and with it {what}")
            continue
        except OSError as error:
            raise StorageUnavailable(f"'{name}' cannot be read: {error.strerror}.") from error
        progress(found.size_bytes)
        if found != listed:
            yield _whole(name, f"is damaged, and with it {what}")
    if path.name not in manifest.files:
        yield _whole(path.name, "is not what the manifest belongs to")


def _verify_blocks(
    reader: IdxReader,
    manifest: Manifest,
    name: str,
    header_name: str,
    progress: Callable[[int], None],
    stop: Callable[[], bool],
) -> Iterator[Damage]:
    header = reader.header
    counts = (header.timesteps, len(header.fields), header.block_count)
    if counts != (manifest.timesteps, manifest.fields, manifest.blocks):
        yield _whole(header_name, "does not fit the manifest: the whole dataset")
    elif not manifest.slots_intact():
        yield _whole(name, "is damaged in its checksums: the data cannot be checked")
    else:
        yield from BlockAudit(reader, manifest, progress=progress, stop=stop).run()


def _begins_as_midx(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return is_midx(file.read(4096))
    return False


def _whole(name: str, problem: str) -> Damage:
    return Damage(name, f"'{name}' {problem}.")
