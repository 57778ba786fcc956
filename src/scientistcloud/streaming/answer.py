"""What is sent back: bytes or a part of a file, with headers; made into a response elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Answer:
    """A body with its type and the protocol's own headers.

    Attributes
    ----------
    immutable : bool
        Whether the same address will always bring the same bytes: it names a generation.
    etag : str
        Changes whenever the body does; empty where nothing is known.
    of_blocks : bool
        Whether it holds stored blocks, which are never refused because others are slow: OpenVisus'
        client would show zeros.
    """

    body: bytes
    media_type: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    immutable: bool = False
    etag: str = ""
    status: int = 200
    of_blocks: bool = False
