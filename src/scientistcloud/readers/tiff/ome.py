"""OME-TIFF sets: images whose planes may lie in several files of the upload.

The files are looked up by the UUID that each carries, then by name beside the file that holds the
XML: only among the files of the upload. What is missing reads as zeros, and is noted.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scientistcloud.errors import MissingMember, UnlikeSlices
from scientistcloud.readers.files.open_files import FilePool
from scientistcloud.readers.tiff import ifd
from scientistcloud.readers.tiff.ifd import Directory, TiffBytes
from scientistcloud.readers.tiff.keyframe import Keyframe
from scientistcloud.readers.tiff.ome_xml import OmeDocument, OmeImage, PlaneRun, parse_ome
from scientistcloud.readers.tiff.pages import Page
from scientistcloud.readers.tiff.scan import TiffScanner
from scientistcloud.readers.tiff.series import Series

_UUID = re.compile(r'\bUUID\s*=\s*"([^"]+)"')
_COMPANION = ".companion.ome"
_MAX_XML_BYTES = 256 << 20


@dataclass(frozen=True)
class OmeSet:
    """The images of one document, and the files that belong to it."""

    name: str
    series: list[Series]
    members: frozenset[str]


def is_companion(name: str) -> bool:
    """Whether a file holds only OME-XML, the planes lying in others."""
    return name.lower().endswith(_COMPANION)


def find_ome_sets(
    pool: FilePool, scanner: TiffScanner, files: Mapping[str, Path]
) -> dict[str, OmeSet]:
    """The OME-TIFF sets among `files` (by relative name, natural order), by their first file.

    Raises
    ------
    CorruptSource, MissingMember, UnlikeSlices
    """
    texts = {name: _ome_text(pool, path, name) for name, path in files.items()}
    texts = {name: text for name, text in texts.items() if text}
    if not texts:
        return {}
    uuids: dict[str, str] = {}
    for name, text in texts.items():
        found = _UUID.search(text, 0, 4096)
        if found and not is_companion(name):
            uuids.setdefault(found[1], name)
    sets: dict[str, OmeSet] = {}
    claimed: set[str] = set()
    # A companion speaks for all its files, so it comes before them.
    for name in sorted(texts, key=lambda n: not is_companion(n)):
        if name in claimed:
            continue
        document = parse_ome(texts[name], name)
        if not document.images:
            continue
        found_set = _Assembly(pool, scanner, files, uuids, name, document).assemble()
        if found_set is not None:
            sets[min(found_set.members, key=list(files).index)] = found_set
            claimed |= found_set.members
    _check_orphans(texts, sets)
    return sets


def _check_orphans(texts: Mapping[str, str], sets: Mapping[str, OmeSet]) -> None:
    """A file that only refers to a companion is of no use without it."""
    members = set(itertools.chain.from_iterable(s.members for s in sets.values()))
    for name, text in texts.items():
        if name not in members and "BinaryOnly" in text:
            companion = parse_ome(text, name).companion
            if companion:
                raise MissingMember(
                    f"{name} is part of an OME-TIFF set whose description, "
                    f"{PurePosixPath(companion).name}, was not uploaded."
                )


def _ome_text(pool: FilePool, path: Path, name: str) -> str:
    if is_companion(name):
        size = min(pool.size(path), _MAX_XML_BYTES)
        return pool.read(path, 0, size).decode("utf-8", "replace")
    data = TiffBytes(pool, path)
    if not data.header.first_offset:
        return ""
    text = data.text(data.directory(data.header.first_offset), ifd.DESCRIPTION)
    return text if text.rstrip()[-4:] == "OME>" else ""


class _Assembly:
    """Gathers the planes of one document."""

    def __init__(
        self,
        pool: FilePool,
        scanner: TiffScanner,
        files: Mapping[str, Path],
        uuids: Mapping[str, str],
        name: str,
        document: OmeDocument,
    ) -> None:
        self._pool = pool
        self._scanner = scanner
        self._files = files
        self._uuids = dict(uuids)
        self._name = name
        self._document = document
        self._chains: dict[str, tuple[TiffBytes, list[Directory]]] = {}
        self._missing: set[str] = set()
        if document.uuid and not is_companion(name):
            self._uuids[document.uuid] = name

    def assemble(self) -> OmeSet | None:
        """The set; None where the XML does not fit the pages, which then speak for themselves."""
        series = [s for s in map(self._series, self._document.images) if s is not None]
        if not series:
            return None
        members = frozenset(self._chains) | ({self._name} if is_companion(self._name) else set())
        return OmeSet(self._name, series, members or frozenset({self._name}))

    def _series(self, image: OmeImage) -> Series | None:
        pages: list[Page | None] = [None] * image.planes
        keyframe: Keyframe | None = None
        for run in image.runs or (PlaneRun(0, None, 0),):
            member = self._member(run)
            if member is None:
                self._missing.add(run.file or run.uuid)
                continue
            data, chain = self._chain(member)
            count = len(chain) - run.page if run.count is None else run.count
            for i in range(min(count, image.planes - run.first)):
                if run.page + i >= len(chain):
                    break
                found, page = self._scanner.page_of(data, chain[run.page + i])
                keyframe = self._agree(keyframe, found, member)
                pages[run.first + i] = page
        if keyframe is None:
            return None
        separate, depth, height, width, interleaved = keyframe.format.shape
        if (depth, (height, width), separate * interleaved) != (1, image.size, image.samples):
            return None
        return Series(
            self._files[next(iter(self._chains))], "ome", image.axes, image.shape, keyframe,
            pages, image.name, self._notes(image, pages) + keyframe.notes, image.channels,
            image.spacing,
        )  # fmt: skip

    def _agree(self, keyframe: Keyframe | None, found: Keyframe, member: str) -> Keyframe:
        if keyframe is not None and keyframe.kind != found.kind:
            raise UnlikeSlices(f"{member} has pages unlike the others of its OME-TIFF set.")
        return keyframe or found

    def _notes(self, image: OmeImage, pages: Sequence[Page | None]) -> tuple[str, ...]:
        missing = sum(page is None for page in pages)
        if not missing:
            return ()
        where = f", for instance {sorted(self._missing)[0]}" if self._missing else ""
        return (
            f"{missing} of {len(pages)} planes of the OME-TIFF set"
            f"{f' {image.name}' if image.name else ''} are missing and read as zeros{where}.",
        )

    def _member(self, run: PlaneRun) -> str | None:
        """The file of the upload that holds `run`."""
        if not run.uuid and not run.file:
            return None if is_companion(self._name) else self._name
        if run.uuid in self._uuids:
            return self._uuids[run.uuid]
        beside = str(PurePosixPath(self._name).parent / PurePosixPath(run.file).name)
        return beside if run.file and beside in self._files else None

    def _chain(self, member: str) -> tuple[TiffBytes, list[Directory]]:
        if member not in self._chains:
            data = TiffBytes(self._pool, self._files[member])
            self._chains[member] = (data, list(data.chain()))
        return self._chains[member]
