"""Which files of an IDX dataset are not there: a missing file reads as zeros, without an error."""

from __future__ import annotations

import itertools
import stat
from collections.abc import Iterator
from pathlib import Path

from scientistcloud.errors import MissingMember, UnsafeLink, UnsupportedLayout
from scientistcloud.idx.files.stored import StoredBlocks
from scientistcloud.idx.geometry.blocks import BlockLayout

_NAMED = 5
_MAX_FILES = 50_000_000
"""More files than this are taken for a mistake in the header."""


def require_files(stored: StoredBlocks, layout: BlockLayout, root: Path, name: str) -> None:
    """Refuse a dataset of which files are missing.

    Parameters
    ----------
    root : Path
        No file may lie outside it, through a link or otherwise.
    name : str
        Of the header, for the message.

    Raises
    ------
    MissingMember
        Names some of the files. Blocks that are missing inside a file that is there are no damage:
        that is how IDX leaves out what was never written.
    UnsafeLink
        A link leads out of `root`.
    """
    wanted = expected_files(stored, layout)
    missing = list(itertools.islice((f for f in wanted if not _is_there(stored, f, root)), _NAMED))
    if missing:
        first = ", ".join(f"'{file}'" for file in missing)
        more = " and others" if len(missing) == _NAMED else ""
        raise MissingMember(
            f"'{name}' needs files that were not uploaded: {first}{more}.",
            remedy="Upload the folder of blocks beside the header. If the files never existed "
            "because they would hold zeros, say so with the parameter missing=zeros.",
        )


def expected_files(stored: StoredBlocks, layout: BlockLayout) -> Iterator[str]:
    """The files that hold samples inside the logic box, relative to the header's folder.

    Raises
    ------
    UnsupportedLayout
        The header asks for an absurd number of them.
    """
    header = stored.header
    per_file = header.blocks_per_file
    whole = "%" not in header.filename_template and not header.arco
    files = 1 if whole else -(-header.block_count // per_file)
    if header.timesteps * files * (len(header.fields) if header.arco else 1) > _MAX_FILES:
        raise UnsupportedLayout("The IDX header stands for more files than there can be.")
    if whole:
        yield stored.file_name(0, 0, 0)
        return
    firsts = list(_firsts(stored, layout))
    fields = range(len(header.fields)) if header.arco else range(1)
    for timestep, field, first in itertools.product(range(header.timesteps), fields, firsts):
        yield stored.file_name(timestep, field, first)


def _firsts(stored: StoredBlocks, layout: BlockLayout) -> Iterator[int]:
    """The first block of each file that holds a block inside the logic box."""
    header = stored.header
    step, end = (1 if header.arco else header.blocks_per_file), header.box.hi
    aligned = step & (step - 1) == 0
    if not aligned and layout.count > _MAX_FILES:
        raise UnsupportedLayout("The IDX header has a number of blocks per file that cannot be.")
    for first in range(0, layout.count, step):
        blocks = range(first, min(first + step, layout.count))
        if aligned:
            inside = layout.count_inside(end, first, first + step) > 0
        else:
            inside = any(all(layout.block(number).inside(end)) for number in blocks)
        if inside:
            yield first


def _is_there(stored: StoredBlocks, name: str, root: Path) -> bool:
    path = stored.base / name
    try:
        real = path.resolve(strict=True)
        is_file = stat.S_ISREG(real.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, RuntimeError) as error:
        raise UnsafeLink(f"The link '{name}' cannot be followed.") from error
    if not real.is_relative_to(root.resolve()):
        raise UnsafeLink(f"'{name}' leads out of the dataset's folder.")
    return is_file
