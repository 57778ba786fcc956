"""A checkpoint: what an attempt had finished for good, from which another attempt can go on.

File, little-endian: 8 bytes magic, size u64 and CRC-32 u32 of a description (JSON), then that, then
the samples of the bricks that were being filled, as they lay in memory.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import Any

from scientistcloud.idx.files.block_store import FileState
from scientistcloud.idx.files.codecs import crc32
from scientistcloud.idx.files.storage import sync_folder, write_all, writing
from scientistcloud.idx.writer import WriterState

_MAGIC = b"SCCHECK1"
_HEAD = struct.Struct("<8sQI")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class HeldBrick:
    """A brick of a later stage that was being filled; its samples follow the description.

    Attributes
    ----------
    stage : int
    pending : int
        How many bricks of the stage before were still to come.
    size_bytes, crc32 : int
        Of its samples.
    """

    stage: int
    pending: int
    size_bytes: int
    crc32: int


@dataclass(frozen=True, slots=True)
class CopyState:
    """How far the copy loop was: all that comes before is stored.

    Attributes
    ----------
    timestep, field : int
        `field` is the position in the plan.
    filled : int
        Pieces that are in the scratch file, where the field goes through one.
    bricks : int
        Bricks of the first stage that are done.
    held : tuple of HeldBrick
        From the last stage down.
    """

    timestep: int = 0
    field: int = 0
    filled: int = 0
    bricks: int = 0
    held: tuple[HeldBrick, ...] = ()


@dataclass(frozen=True, slots=True)
class DatasetState:
    """How far the making of one dataset was.

    Attributes
    ----------
    name : str
    writer : WriterState
    copy : CopyState or None
        How far the copy loop was; None where all samples are stored.
    is_verified : bool
        Whether they were compared with the source.
    """

    name: str
    writer: WriterState
    copy: CopyState | None
    is_verified: bool = False


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was finished.

    Attributes
    ----------
    key : str
        Stands for input, plan and versions: under another one, the checkpoint is of no use.
    done_bytes : int
        Of all samples that were to be copied.
    datasets : tuple of DatasetState
        Those that were begun; at most one is not copied yet.
    resumed : int
        How many attempts have begun here without coming any further.
    """

    key: str
    done_bytes: int = 0
    datasets: tuple[DatasetState, ...] = ()
    resumed: int = 0
    _samples_at: int = field(default=0, compare=False)

    @property
    def held(self) -> tuple[HeldBrick, ...]:
        """The bricks that were being filled."""
        return tuple(h for d in self.datasets if d.copy is not None for h in d.copy.held)

    def save(self, path: Path, samples: Iterable[memoryview] = ()) -> None:
        """Put it at `path`, durably and in one step.

        Parameters
        ----------
        samples : iterable of memoryview
            Of all held bricks, one after another.

        Raises
        ------
        OutOfSpace, StorageUnavailable
        """
        text = json.dumps(self._described()).encode()
        part = path.with_name(f"{path.name}.part")
        with writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            try:
                write_all(fd, _HEAD.pack(_MAGIC, len(text), crc32(text)) + text, 0)
                place = _HEAD.size + len(text)
                for each in samples:
                    write_all(fd, each, place)
                    place += each.nbytes
                os.fsync(fd)
            except OSError:
                part.unlink(missing_ok=True)
                raise
            finally:
                os.close(fd)
            part.replace(path)
            sync_folder(path.parent)

    @classmethod
    def load(cls, path: Path) -> Checkpoint | None:
        """The one at `path`; None where there is none, or none that is whole."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            magic, size, crc = _HEAD.unpack(os.pread(fd, _HEAD.size, 0))
            if magic != _MAGIC or size > os.fstat(fd).st_size:
                return None
            text = os.pread(fd, size, _HEAD.size)
            if crc32(text) != crc:
                return None
            found = _parsed(json.loads(text), _HEAD.size + size)
            return found if found._is_whole(fd) else None
        except (OSError, ValueError, KeyError, TypeError, struct.error):
            return None
        finally:
            os.close(fd)

    def _described(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "done_bytes": self.done_bytes,
            "datasets": [_described_dataset(each) for each in self.datasets],
            "resumed": self.resumed,
        }

    def _is_whole(self, fd: int) -> bool:
        place = self._samples_at
        for brick in self.held:
            crc = 0
            for data in _pieces(fd, place, brick.size_bytes):
                crc = crc32(data, crc)
            if crc != brick.crc32:
                return False
            place += brick.size_bytes
        return True

    def samples(self, path: Path) -> Iterator[memoryview]:
        """The samples of all held bricks, in pieces, from the file that this was loaded from."""
        size = sum(brick.size_bytes for brick in self.held)
        with path.open("rb", buffering=0) as file:
            yield from _pieces(file.fileno(), self._samples_at, size)

    def read_samples(self, path: Path, held: int, out: memoryview) -> None:
        """Read the samples of one held brick (its index) from that file.

        Raises
        ------
        StorageUnavailable
        """
        place = self._samples_at + sum(b.size_bytes for b in self.held[:held])
        with writing(), path.open("rb", buffering=0) as file:
            for data in _pieces(file.fileno(), place, out.nbytes):
                out[: data.nbytes] = data
                out = out[data.nbytes :]


def _pieces(fd: int, place: int, size: int) -> Iterator[memoryview]:
    end = place + size
    while place < end:
        data = os.pread(fd, min(_CHUNK_BYTES, end - place), place)
        if not data:
            raise OSError("a checkpoint is shorter than it was")
        yield memoryview(data)
        place += len(data)


def _described_dataset(state: DatasetState) -> dict[str, Any]:
    writer = state.writer
    return {
        "name": state.name,
        "writer": {
            "files": [astuple(each) for each in writer.files],
            "limits": writer.limits,
            "stored_bytes": writer.stored_bytes,
        },
        "copy": state.copy and asdict(state.copy),
        "is_verified": state.is_verified,
    }


def _parsed(content: dict[str, Any], samples_at: int) -> Checkpoint:
    datasets = tuple(_parsed_dataset(each) for each in content.pop("datasets"))
    return Checkpoint(**content, datasets=datasets, _samples_at=samples_at)


def _parsed_dataset(content: dict[str, Any]) -> DatasetState:
    writer, copy = content.pop("writer"), content.pop("copy")
    if copy is not None:
        copy = CopyState(**copy | {"held": tuple(HeldBrick(**each) for each in copy["held"])})
    files = tuple(FileState(*each) for each in writer["files"])
    limits = tuple((tuple(low), tuple(high)) for low, high in writer["limits"])
    stored = WriterState(files, limits, writer["stored_bytes"])
    return DatasetState(**content, writer=stored, copy=copy)
