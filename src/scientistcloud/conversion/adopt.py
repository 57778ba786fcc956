"""Recognises a result that an earlier attempt of the same request has already published."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from scientistcloud.conversion.publishing.generations import HEADER, METADATA, published_generation
from scientistcloud.conversion.publishing.publish import Publication, write_durably
from scientistcloud.conversion.result import ConversionResult
from scientistcloud.idx.check import verify_path
from scientistcloud.idx.files.storage import writing


def adopt(publication: Publication, request_id: str, fingerprint: str) -> ConversionResult | None:
    """The published result, if it is the answer to this request; else None.

    It is, if its record carries the same request and the same fingerprint of the source, and if
    every byte of it is as it was written. The copy of ``metadata.json`` at the top is renewed: the
    owner may have died right after its commit.
    """
    target = publication.target
    generation = published_generation(target)
    if generation is None:
        return None
    record = _load(publication, generation)
    if record.get("request") != request_id or record.get("fingerprint") != fingerprint:
        return None
    content = (publication.blocks("").parent / generation / METADATA).read_bytes()
    with writing(METADATA):
        write_durably(publication.staging / METADATA, content)
        (publication.staging / METADATA).replace(target / METADATA)
    if any(True for _ in verify_path(target / HEADER)):
        return None
    return ConversionResult.from_dict(record["conversion"]["result"], adopted=True)


def _load(publication: Publication, generation: str) -> dict[str, Any]:
    path = publication.blocks("").parent / generation / METADATA
    with suppress(OSError, ValueError):
        value = json.loads(path.read_bytes())
        if isinstance(value, dict):
            return value
    return {}
