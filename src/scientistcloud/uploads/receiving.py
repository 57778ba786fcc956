"""The bytes of one request on their way to disk: hashed, compared, in bounded memory."""

from __future__ import annotations

import base64
import binascii
import hashlib
import threading
import zlib
from collections import OrderedDict
from typing import Any, Protocol

from scientistcloud.refusals import BadRequest, TooLarge, WrongChecksum
from scientistcloud.uploads.incoming import Part

ALGORITHMS = ("sha256", "sha1", "md5", "crc32")
_MOST_KEPT = 4096


class Digest(Protocol):
    """What hashlib's objects have."""

    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


class RunningHashes:
    """SHA-256 of uploads as far as they have come, in this process; the oldest are forgotten.

    What is not here is read again from disk when the file is whole.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[int, Any]] = OrderedDict()

    def take(self, upload_id: str, offset: int) -> Any:
        """The digest of the first `offset` bytes; None where it is not known."""
        if offset == 0:
            return hashlib.sha256()
        with self._lock:
            known, digest = self._kept.pop(upload_id, (-1, None))
        return digest if known == offset else None

    def keep(self, upload_id: str, offset: int, digest: Any) -> None:
        with self._lock:
            self._kept[upload_id] = (offset, digest)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)


class Receiver:
    """Takes the pieces of one request and appends them to an upload.

    Parameters
    ----------
    size_bytes : int or None
        Of the whole file: more than that is refused.
    checksum : str
        Of this request's bytes, ``<algorithm> <base64>``; empty for none.
    digest
        SHA-256 of what came before, or None.
    """

    def __init__(self, part: Part, size_bytes: int | None, checksum: str, digest: Any) -> None:
        self._part = part
        self._size_bytes = size_bytes
        self._start = part.offset
        self._expected, self._check = _parse_checksum(checksum)
        self.digest = digest
        if self._check is not None:
            part.doubt()

    @property
    def offset(self) -> int:
        return self._part.offset

    def write(self, data: bytes) -> None:
        """Raises `TooLarge`, `NoSpace`, `StorageUnavailable`."""
        if self._size_bytes is not None and self._part.offset + len(data) > self._size_bytes:
            raise TooLarge("More bytes came than were announced.")
        self._part.write(data)
        if self.digest is not None:
            self.digest.update(data)
        if self._check is not None:
            self._check.update(data)

    def end(self, *, is_whole: bool) -> None:
        """The request has ended; `is_whole` tells whether all of its bytes came.

        Raises
        ------
        WrongChecksum
            They are not what was sent; they are forgotten.
        """
        if self._check is None:
            return
        if is_whole and self._check.digest() == self._expected:
            self._part.trust()
            return
        self._part.cut(self._start)
        self.digest = None
        if is_whole:
            raise WrongChecksum(facts={"offset": self._start})


def _parse_checksum(text: str) -> tuple[bytes, Digest | None]:
    if not text:
        return b"", None
    name, _, value = text.partition(" ")
    if name not in ALGORITHMS:
        raise BadRequest(f"Checksums are: {', '.join(ALGORITHMS)}.")
    try:
        expected = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("The checksum is not written in base64.") from None
    return expected, _Crc32() if name == "crc32" else hashlib.new(name)
