"""The chunk files of a Zarr array, looked up by their names.

Format 2 separates the positions by ``.`` unless the metadata say ``/``; format 3 says how in
``chunk_key_encoding``. Writers of nested folders did not always say so in format 2: where no file
has a name of the said form and some have the other one, the other form is meant. Files of any other
name (a writer's temporary ones) are no chunks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.storage import LocalStore

from scientistcloud.grid import Shape
from scientistcloud.readers.arrays.absence import Absence, absence

_METADATA = (".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json")


def look_up(
    folder: Path, node: Mapping[str, Any], shape: Shape, chunks: Shape
) -> tuple[Absence, str]:
    """Which chunk files (or shards) are in the folder of an array.

    Parameters
    ----------
    node : Mapping
        The metadata of the array.
    chunks : Shape
        Of what one file holds: a shard where there are shards.

    Returns
    -------
    Absence
        What is not there.
    str
        The separator of positions that the files have, other than the metadata say; else empty.
    """
    prefix, separator = _form(node)
    told = absence(shape, chunks, _positions(folder, prefix, separator, len(shape)))
    if told.found or node.get("zarr_format", 2) != 2 or "dimension_separator" in node:
        return told, ""
    other = absence(shape, chunks, _positions(folder, prefix, "/", len(shape)))
    return (other, "/") if other.found else (told, "")


def _form(node: Mapping[str, Any]) -> tuple[str, str]:
    """The prefix and the separator of the names of chunks."""
    if node.get("zarr_format", 2) == 2:
        return "", str(node.get("dimension_separator") or ".")
    encoding = node.get("chunk_key_encoding") or {}
    encoding = encoding if isinstance(encoding, Mapping) else {"name": encoding}
    settings = encoding.get("configuration") or encoding
    if encoding.get("name", "default") == "v2":
        return "", str(settings.get("separator", "."))
    return "c", str(settings.get("separator", "/"))


def _positions(folder: Path, prefix: str, separator: str, rank: int) -> Iterator[tuple[int, ...]]:
    """The positions of all files whose names are those of chunks."""
    words = rank + bool(prefix)
    if rank == 0:
        if (folder / (prefix or "0")).is_file():
            yield ()
        return
    depth = words if separator == "/" else 1
    for name in _names(folder, depth):
        parts = name.split(separator)
        if len(parts) != words or (prefix and parts[0] != prefix):
            continue
        digits = parts[-rank:]
        if all(_is_number(d) for d in digits):
            yield tuple(int(d) for d in digits)


def _names(folder: Path, depth: int, before: str = "") -> Iterator[str]:
    """The names of the files that lie `depth` levels down."""
    try:
        entries = os.scandir(folder)
    except NotADirectoryError:
        return
    with entries:
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            if depth == 1 and not is_folder and entry.name not in _METADATA:
                yield before + entry.name
            elif depth > 1 and is_folder and not entry.name.startswith("."):
                yield from _names(Path(entry.path), depth - 1, f"{before}{entry.name}/")


def _is_number(text: str) -> bool:
    """Whether it is a number as Zarr writes it: no zeros before, nothing but digits."""
    return (
        text.isascii() and text.isdecimal() and (text == "0" or text[0] != "0") and len(text) < 19
    )


class SeparatedStore(LocalStore):
    """The folder of an array of format 2, with the separator that its files have."""

    def __init__(self, folder: Path, separator: str) -> None:
        super().__init__(folder, read_only=True)
        self._separator = separator

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """As the folder has it, but the metadata with the separator in them."""
        prototype = prototype or default_buffer_prototype()
        found = await super().get(key, prototype, byte_range)
        if key != ".zarray" or found is None:
            return found
        node = {**json.loads(found.to_bytes()), "dimension_separator": self._separator}
        return prototype.buffer.from_bytes(json.dumps(node).encode())
