"""Virtual ARCO: the files that static clients of OpenVisus expect, made from whatever is stored.

Such clients ask for ``<name>.idx`` and for one zlib, row-major file a block below ``<name>/``,
whatever the header says; never with a Range header.
"""

from __future__ import annotations

import re

from scientistcloud.refusals import BadRequest, NotFound
from scientistcloud.streaming.answer import Answer
from scientistcloud.streaming.box_reader import BoxReader
from scientistcloud.streaming.mod_visus import block_body, timestep_of
from scientistcloud.streaming.results import Result

HEADER = "visus.idx"
_BLOCK = re.compile(
    r"visus/(-?\d{1,12})/(.+)/([0-9a-f]{4})/([0-9a-f]{4})/([0-9a-f]{4})/([0-9a-f]{4})\.bin"
)


def answer_file(result: Result, path: str, boxes: BoxReader, *, immutable: bool) -> Answer:
    """The header, or one block.

    Parameters
    ----------
    path : str
        Relative to the dataset's address: ``visus.idx`` or ``visus/<time>/<field>/....bin``.
    immutable : bool
        Whether the address names the generation.

    Raises
    ------
    NotFound
        There is no such file, field, timestep or block.
    """
    if path == HEADER:
        return Answer(result.text, "text/plain", immutable=immutable, etag=result.generation)
    found = _BLOCK.fullmatch(path)
    if not found:
        raise NotFound("There is no such file in this dataset.")
    time, name, *digits = found.groups()
    number = int("".join(digits), 16)
    try:
        field = result.header.field_index(name)
        timestep = timestep_of(result, time)
    except (KeyError, BadRequest):
        raise NotFound("There is no such field or timestep.") from None
    if number >= result.header.block_count:
        raise NotFound("There is no such block.")
    body, _ = block_body(result, boxes, field, timestep, number)
    etag = f"{result.generation}-{time}-{field}-{number:x}"
    return Answer(body, immutable=immutable, etag=etag, of_blocks=True)
