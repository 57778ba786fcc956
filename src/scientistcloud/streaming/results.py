"""Published results, opened by name: `Results`; and one of them, while it is read: `Result`."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scientistcloud.errors import CorruptSource, StorageUnavailable
from scientistcloud.idx.headers.header import HEADER_LIMIT_BYTES, IdxHeader, parse_header
from scientistcloud.idx.reader import IdxReader
from scientistcloud.refusals import ResultNotFound

HEADER = "visus.idx"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_GENERATION = re.compile(r"\./visus/([0-9a-f]{16})/")
_MOST_OPEN = 512
_RECORD_LIMIT_BYTES = 64 << 20


@dataclass(frozen=True)
class Result:
    """One published dataset, as it was when its header was read.

    Attributes
    ----------
    uuid, name : str
        The dataset, and the name of a further output of it (empty for the main one).
    generation : str
        Names this result; another conversion gets another name.
    text : bytes
        The header as it lies on disk.
    record : Mapping
        What ``metadata.json`` says of this output; empty where it says nothing.
    identity : (int, int), optional
        Of the folder of blocks, where another conversion would swap it under its name.
    """

    uuid: str
    name: str
    generation: str
    folder: Path
    text: bytes
    reader: IdxReader
    record: Mapping[str, Any] = field(default_factory=dict)
    identity: tuple[int, int] | None = None

    @property
    def header(self) -> IdxHeader:
        return self.reader.header

    @property
    def key(self) -> tuple[str, str, str]:
        """What its blocks are kept under."""
        return self.uuid, self.name, self.generation

    @property
    def blocks_folder(self) -> Path:
        """The folder that goes away, or is swapped, with all blocks of this result."""
        first = self.reader.stored.file_name(0, 0, 0).split("/")
        folder = self.folder / first[0]
        return folder / first[1] if len(first) > 2 and not self.header.arco else folder

    def require_there(self) -> None:
        """Tell a block that was left out from a disk that is away.

        Raises
        ------
        StorageUnavailable
            The folder of the blocks is not there.
        """
        if not self.blocks_folder.is_dir():
            raise StorageUnavailable("The blocks of this dataset are not there at the moment.")

    def require_same(self) -> None:
        """Make sure that what was just read belongs to this header.

        The folder of a generation never holds another's blocks. That of ARCO is swapped under its
        name; what is read after that is another result's.

        Raises
        ------
        StorageUnavailable
            The folder is another one than when the header was read.
        """
        if self.identity is not None and _identity(self.blocks_folder) != self.identity:
            raise StorageUnavailable(
                "This dataset was converted again at this moment.", remedy="Open it again."
            )


class Results:
    """Opens results below one folder and keeps those open that were asked for last.

    A generation that was replaced stays readable for whoever knows its name, as long as its
    blocks are there. Safe to use from several threads.
    """

    def __init__(self, converted: Path) -> None:
        self._converted = converted
        self._lock = threading.Lock()
        self._newest: OrderedDict[tuple[str, str], tuple[object, Result]] = OrderedDict()
        self._named: OrderedDict[tuple[str, str, str], Result] = OrderedDict()

    def open(self, uuid: str, name: str = "", generation: str | None = None) -> Result:
        """The newest result, or the one of a generation.

        Raises
        ------
        ResultNotFound
            There is none of that name.
        CorruptSource, UnsupportedLayout, StorageUnavailable
            Its header cannot be read.
        """
        if not _NAME.fullmatch(uuid) or (name and not _NAME.fullmatch(name)):
            raise ResultNotFound("There is no converted dataset of that name.")
        newest = self._open_newest(uuid, name)
        if generation is None or generation == newest.generation:
            return newest
        with self._lock:
            found = self._named.get((uuid, name, generation))
        if found is None or found.identity is not None:
            raise ResultNotFound("This result was replaced by a newer one.")
        return found

    def has(self, uuid: str) -> bool:
        """Whether there is a result."""
        return bool(_NAME.fullmatch(uuid)) and (self._converted / uuid / HEADER).is_file()

    def _open_newest(self, uuid: str, name: str) -> Result:
        folder = self._converted / uuid / name if name else self._converted / uuid
        try:
            with (folder / HEADER).open("rb") as file:
                seen = os.fstat(file.fileno())
                stamp = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
                with self._lock:
                    kept = self._newest.get((uuid, name))
                if kept is not None and kept[0] == stamp:
                    return kept[1]
                text = file.read(HEADER_LIMIT_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            raise ResultNotFound("This dataset has no converted result.") from None
        except OSError as error:
            raise StorageUnavailable(f"The result cannot be read: {error.strerror}.") from error
        result = _make(uuid, name, folder, text, stamp)
        with self._lock:
            _keep(self._newest, (uuid, name), (stamp, result))
            _keep(self._named, result.key, result)
        return result


def parse_name(text: str) -> tuple[str, str | None]:
    """``<uuid>[~<generation>]`` as uuid and generation."""
    uuid, _, generation = text.partition("~")
    return uuid, generation or None


def _make(uuid: str, name: str, folder: Path, text: bytes, stamp: tuple[int, int, int]) -> Result:
    if len(text) > HEADER_LIMIT_BYTES:
        raise CorruptSource("The result's header is too long.")
    header = parse_header(text.decode("utf-8", "replace"))
    found = _GENERATION.match(header.filename_template)
    if found and not header.arco:
        generation = found.group(1)
        record = _record(folder / "visus" / generation / "metadata.json")
    else:
        generation = hashlib.sha256(repr(stamp).encode() + text).hexdigest()[:16]
        record = {}
    root = folder.parent if name else folder
    record = record or _record(root / "metadata.json")
    reader = IdxReader(header, folder)
    result = Result(uuid, name, generation, folder, text, reader, _part(record, name))
    return replace(result, identity=_identity(result.blocks_folder)) if header.arco else result


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        seen = folder.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino


def _record(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _RECORD_LIMIT_BYTES:
            return {}
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _part(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    datasets = record.get("datasets")
    parts = [each for each in datasets if isinstance(each, dict)] if datasets else []
    others = [str(each.get("name")) for each in parts if each.get("name")]
    own = next((each for each in parts if (each.get("name") or "") == name), {})
    return own | {"others": others if not name else []}


def _keep(kept: OrderedDict[Any, Any], key: object, value: object) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > _MOST_OPEN:
        kept.popitem(last=False)
