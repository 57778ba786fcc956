"""The container of Leica LIF: a description in XML, then blocks of memory, found by their names.

Source: the layout as liffile (BSD-3) documents it: every part begins with 0x70 and the number of
bytes that follow, marks are 0x2A, text is UTF-16.
"""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from scientistcloud.errors import CorruptSource
from scientistcloud.readers.files.open_files import FilePool

_PART, _MARK = 0x70, 0x2A
_MOST_TEXT_BYTES = 64 << 20
_MOST_BLOCKS = 1 << 18
_MOST_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Block:
    """Where a block of memory lies, in bytes."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class LifImage:
    """One image: its path in the project, its description and its block of memory."""

    name: str
    image: Element
    block: Block


def read_images(path: Path, pool: FilePool) -> list[LifImage]:
    """All images of the file that have samples.

    Raises
    ------
    CorruptSource
        The file is cut short, or is no LIF.
    """
    root, offset = _description(path, pool)
    blocks = dict(_blocks(path, pool, offset, root.get("Version", "2")))
    images: list[LifImage] = []
    for element in root.findall("Element"):
        images += _images(element, "", blocks, pool.name(path), 0)
    return images


def _text_part(path: Path, pool: FilePool, offset: int, head: int) -> tuple[str, int]:
    """The text behind a mark at ``offset + head``, and where it ends."""
    mark, count = struct.unpack("<BI", pool.read(path, offset + head, 5))
    if mark != _MARK or 2 * count > _MOST_TEXT_BYTES:
        raise CorruptSource(f"{pool.name(path)} is damaged: its parts do not fit.")
    begin = offset + head + 5
    data = pool.read(path, begin, 2 * count)
    return data.decode("utf-16-le", "replace"), begin + 2 * count


def _description(path: Path, pool: FilePool) -> tuple[Element, int]:
    name = pool.name(path)
    if pool.size(path) < 13:
        raise CorruptSource(f"{name} is cut short.")
    part, length = struct.unpack("<II", pool.read(path, 0, 8))
    xml, _ = _text_part(path, pool, 0, 8)
    if part != _PART or "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        raise CorruptSource(f"{name} is no valid LIF.")
    try:
        return ET.fromstring(xml), 8 + length
    except (ET.ParseError, ValueError, RecursionError) as error:
        raise CorruptSource(f"{name} has a description that is no XML.") from error


def _blocks(path: Path, pool: FilePool, offset: int, version: str) -> Iterator[tuple[str, Block]]:
    name, size = pool.name(path), pool.size(path)
    form = "<IIBIB" if version.strip() == "1" else "<IIBQB"
    head = struct.calcsize(form)
    for _ in range(_MOST_BLOCKS):
        if offset >= size:
            return
        part, _length, mark, samples, _ = struct.unpack(form, pool.read(path, offset, head))
        if part != _PART or mark != _MARK:
            raise CorruptSource(
                f"{name} is damaged: a block of memory does not begin at {offset:,}."
            )
        identifier, begin = _text_part(path, pool, offset, head - 1)
        if begin + samples > size:
            raise CorruptSource(f"{name} is cut short: {identifier[:80]} does not end in it.")
        yield identifier, Block(begin, samples)
        offset = begin + samples
    raise CorruptSource(f"{name} holds more than {_MOST_BLOCKS:,} blocks of memory.")


def _images(
    element: Element, above: str, blocks: Mapping[str, Block], file: str, depth: int
) -> Iterator[LifImage]:
    if depth > _MOST_DEPTH:
        raise CorruptSource(f"{file} nests its images too deep.")
    name = element.get("Name", "image")
    title = f"{above}/{name}" if above else name
    image, memory = element.find("Data/Image"), element.find("Memory")
    if image is not None and memory is not None and memory.get("Size", "0") != "0":
        block = blocks.get(memory.get("MemoryBlockID", ""))
        if block is None:
            raise CorruptSource(f"{file} describes the image {title[:80]} and does not hold it.")
        yield LifImage(title, image, block)
    for child in element.findall("Children/Element"):
        yield from _images(child, title if depth else "", blocks, file, depth + 1)
