"""Carrying over somebody else's dataset as it is: checked block by block, copied, given a manifest.

Blocks and their files stay as they are, names of folders included; old files keep their HZ order.
Only the place changes: a dataset that lies below ``a/b/`` in the upload gets a ``visus.idx`` at the
top, whose template names the new place. ARCO blocks lie where the header's name says, so theirs is
the folder ``visus``.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from scientistcloud.errors import CorruptSource, MissingMember, Stopped, StorageUnavailable
from scientistcloud.idx.audit import FileSums, StoredBlock
from scientistcloud.idx.check import blocks_folder
from scientistcloud.idx.files.codecs import crc32
from scientistcloud.idx.files.manifest import MANIFEST_NAME, FileSum, ManifestWriter
from scientistcloud.idx.files.storage import sync_folder, write_all, writing
from scientistcloud.idx.headers.header import (
    HEADER_LIMIT_BYTES,
    IdxHeader,
    format_header,
    parse_header,
)
from scientistcloud.idx.headers.midx import is_midx, load_midx
from scientistcloud.idx.headers.xml_text import is_xml
from scientistcloud.idx.reader import IdxReader

_COPY_BYTES = 8 << 20
# The upload lies on another file system, or on one that cannot share bytes.
_NO_SHARED_COPY = (errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
_TEMPLATE = re.compile(r"^[ \t]*\(filename_template\)[^\S\n]*\n[^\n]*$", re.MULTILINE)

Progress = Callable[[int], None]
Stop = Callable[[], bool]


def carry_over(
    source: Path,
    header_target: Path,
    blocks_target: Path,
    template_base: str,
    *,
    root: Path | None = None,
    accept_missing: bool = False,
    progress: Progress = lambda _: None,
    stop: Stop = lambda: False,
) -> tuple[IdxHeader, ...]:
    """Check a dataset and copy it to where it is published.

    Parameters
    ----------
    source : Path
        The ``.idx`` or ``.midx`` file; only read.
    header_target : Path
        The header to write, last of all: a ``visus.idx`` (staged or in place).
    blocks_target : Path
        An existing empty folder for blocks and manifest. For ARCO it must become the folder
        ``visus`` beside the published header.
    template_base : str
        How the published header names `blocks_target`: ``./visus/0123abcd``.
    root : Path, optional
        The upload: no file may lie outside it. The folder of `source` by default.
    accept_missing : bool
        Take files that are not there for zeros.
    progress : callable
        Told the stored bytes of blocks newly checked.
    stop : callable
        Asked once a block.

    Returns
    -------
    tuple of IdxHeader
        As published; several for the parts of a ``.midx``.

    Raises
    ------
    CorruptSource, UnsupportedLayout
        Names the block that does not decode.
    MissingMember
        Files of blocks, or parts of a ``.midx``, are missing.
    OutOfSpace, StorageUnavailable, Stopped
    """

    def carry(path: Path, header: Path, blocks: Path, base: str) -> IdxHeader:
        reader = IdxReader(path)
        if not accept_missing:
            reader.require_files(root or source.parent, path.name)
        return _Carrier(path, reader, header, blocks, base, progress, stop).run()

    with source.open("rb") as file:
        head = file.read(4096)
    if not is_midx(head):
        return (carry(source, header_target, blocks_target, template_base),)
    midx = load_midx(source)
    headers = []
    for part in midx.parts:
        path, target = source.parent / part, blocks_target / part
        if not path.is_file():
            raise MissingMember(f"'{source.name}' names '{part}', which was not uploaded.")
        inner = target.parent / target.stem if IdxReader(path).header.arco else target.parent
        with writing():
            inner.mkdir(parents=True, exist_ok=True)
        headers.append(carry(path, target, inner, "."))
    text = midx.moved(template_base) + _generation_note(template_base)
    _write_last(header_target, blocks_target, text, (0, 0, 0))
    return tuple(headers)


class _Carrier:
    """One dataset on its way."""

    def __init__(
        self,
        source: Path,
        reader: IdxReader,
        header_target: Path,
        blocks_target: Path,
        template_base: str,
        progress: Progress,
        stop: Stop,
    ) -> None:
        self._source = source
        self._reader = reader
        self._header_target = header_target
        self._blocks_target = blocks_target
        self._base = template_base
        self._progress = progress
        self._stop = stop
        self._sums = FileSums(lambda _: None, stop)
        self._files: dict[str, FileSum] = {}

    def run(self) -> IdxHeader:
        text = self._source.read_bytes()[:HEADER_LIMIT_BYTES].decode("utf-8", "replace")
        if not self._reader.header.arco:
            text = self._moved(text)
        header = parse_header(text, name=self._header_target.stem)
        counts = (header.timesteps, len(header.fields), header.block_count)
        with writing():
            manifest = self._manifest_path(header)
            manifest.parent.mkdir(parents=True, exist_ok=True)
            writer = ManifestWriter.create(manifest, *counts)
        with writer:
            for timestep in range(header.timesteps):
                self._carry_timestep(timestep, writer)
            data = text.encode()
            self._files[self._header_target.name] = FileSum(len(data), crc32(data))
            with writing():
                writer.finish(self._files)
                _sync_folders(self._blocks_target)
        _write_header(self._header_target, data)
        return header

    def _moved(self, text: str) -> str:
        """The text with a template that names the new place; nothing else is changed."""
        header = self._reader.header
        template = f"{self._base}/{header.filename_template.removeprefix('./')}"
        if is_xml(text):
            return format_header(replace(header, filename_template=template))
        line = f"(filename_template)\n{template}"
        moved = _TEMPLATE.sub(lambda _: line, text, count=1)
        if _TEMPLATE.search(text) is None:
            moved = f"{text.rstrip()}\n{line}\n"
        if parse_header(moved).filename_template == template:
            return moved
        # Comments or blank lines in an unexpected place.
        return format_header(replace(header, filename_template=template))

    def _manifest_path(self, header: IdxHeader) -> Path:
        """Beside the blocks; of parts of a ``.midx``, which share a folder, beside their own."""
        if self._base != ".":
            return self._blocks_target / MANIFEST_NAME
        folder = blocks_folder(header, self._header_target.stem)
        return self._header_target.parent / folder / MANIFEST_NAME

    def _carry_timestep(self, timestep: int, writer: ManifestWriter) -> None:
        header, stored = self._reader.header, self._reader.stored
        whole = "%" not in header.filename_template
        step = 1 if header.arco else 1 << 62 if whole else header.blocks_per_file
        for first in range(0, header.block_count, step):
            numbers = range(first, min(first + step, header.block_count))
            blocks = []
            for field in range(len(header.fields)):
                found = self._check_blocks(timestep, field, numbers)
                if header.arco and found:
                    self._copy(stored.file_name(timestep, field, first), arco=True)
                blocks += found
            for block in blocks:
                writer.record(timestep, block.field, block.number, block.size, block.crc)
            if not header.arco:
                self._carry_file(stored.file_name(timestep, 0, first), blocks)

    def _check_blocks(self, timestep: int, field: int, numbers: range) -> list[StoredBlock]:
        """Decode every stored block of a file; a block that does not decode is an error."""
        found = []
        for payload in self._reader.stored.payloads(timestep, field, numbers):
            if self._stop():
                raise Stopped
            if payload.data is not None:
                self._reader.decode_block(payload, field, timestep)
                size = len(payload.data)
                found.append(StoredBlock(field, payload.number, size, crc32(payload.data)))
                self._progress(size)
        return found

    def _carry_file(self, name: str, blocks: list[StoredBlock]) -> None:
        path = self._reader.stored.base / name
        if not path.exists():
            return
        self._copy(name, arco=False)
        target = self._blocks_target / name
        with target.open("rb") as file:
            lost, rest = self._sums.block_file(file.fileno(), self._reader.header, blocks)
        if lost:
            raise CorruptSource(f"'{name}' has blocks that overlap each other.")
        published = f"{self._base}/{name}".removeprefix("./")
        self._files[published] = FileSum(target.stat().st_size, rest, "rest")

    def _copy(self, name: str, *, arco: bool) -> None:
        source = self._reader.stored.base / name
        inner = name.removeprefix(f"{self._reader.stored.name}/") if arco else name
        target = self._blocks_target / inner
        with writing():
            target.parent.mkdir(parents=True, exist_ok=True)
        _copy_file(source, target, self._stop)


def _copy_file(source: Path, target: Path, stop: Stop) -> None:
    """Copy in the kernel, which shares the bytes where the file system can."""
    try:
        fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise StorageUnavailable(f"'{source.name}' cannot be read: {error.strerror}.") from error
    with writing():
        try:
            out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            try:
                while _copy_some(fd, out):
                    if stop():
                        raise Stopped
                os.fsync(out)
            finally:
                os.close(out)
        finally:
            os.close(fd)


def _copy_some(fd: int, out: int) -> int:
    """Copy up to `_COPY_BYTES` at the positions of both files; 0 at the end."""
    try:
        return os.copy_file_range(fd, out, _COPY_BYTES)
    except OSError as error:
        if error.errno not in _NO_SHARED_COPY:
            raise
        return os.sendfile(out, fd, None, _COPY_BYTES)


def _generation_note(template_base: str) -> str:
    """A comment by which a published ``.midx`` names its folder as an ``.idx`` does."""
    return f"<!--\n(filename_template)\n{template_base}/\n-->\n"


def _write_last(
    header_target: Path, blocks_target: Path, text: str, counts: tuple[int, int, int]
) -> None:
    data = text.encode()
    with writing(), ManifestWriter.create(blocks_target / MANIFEST_NAME, *counts) as writer:
        writer.finish({header_target.name: FileSum(len(data), crc32(data))})
        _sync_folders(blocks_target)
    _write_header(header_target, data)


def _write_header(path: Path, data: bytes) -> None:
    with writing():
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            write_all(fd, data, 0)
            os.fsync(fd)
        finally:
            os.close(fd)
        sync_folder(path.parent)


def _sync_folders(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        sync_folder(Path(folder))
