"""Multipart forms, piece by piece: fields in memory (bounded), files to wherever they belong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from typing import Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from scientistcloud.refusals import BadRequest, TooLarge

_MOST_FIELD_BYTES = 64 << 10
_MOST_FIELDS_BYTES = 4 << 20
_MOST_FIELDS = 100_000
_MOST_HEADER_BYTES = 8 << 10


class Sink(Protocol):
    """Where the bytes of one file go."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None:
        """All of them have come."""
        ...

    def give_up(self) -> None:
        """The rest will not come."""
        ...


OpenSink = Callable[[str, str, "FormFields"], Sink]
"""Called with the field's name and the file's name when a file begins."""


@dataclass
class FormFields:
    """The fields of a form so far, in the order in which they came."""

    values: dict[str, list[str]] = field(default_factory=dict)
    size_bytes: int = 0

    def get(self, name: str, default: str = "") -> str:
        """The last value of a field."""
        return self.values.get(name, [default])[-1]

    def add(self, name: str, value: str) -> None:
        self.size_bytes += len(name) + len(value)
        if self.size_bytes > _MOST_FIELDS_BYTES or len(self.values) > _MOST_FIELDS:
            raise TooLarge("The fields of the form are too large.")
        self.values.setdefault(name, []).append(value)


class FormReader:
    """Reads a form; each file goes to a sink of its own.

    Parameters
    ----------
    content_type : str
        Of the request.

    Raises
    ------
    BadRequest
        It is no form.
    """

    def __init__(self, content_type: str, open_sink: OpenSink) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not boundary:
            raise BadRequest("A form (multipart/form-data) is needed.")
        self.fields = FormFields()
        self._open_sink = open_sink
        self._headers: dict[str, str] = {}
        self._name, self._value = bytearray(), bytearray()
        self._field = ""
        self._text = bytearray()
        self._sink: Sink | None = None
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_part_data": self._data,
                "on_part_end": self._end_part,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
            },
        )

    def write(self, data: bytes) -> None:
        """The next piece of the body; raises `BadRequest`, `TooLarge` and what sinks raise."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise BadRequest("The form is damaged.") from error

    def close(self, *, is_whole: bool) -> None:
        """The body has ended; raises `BadRequest` where a part of it is missing."""
        if self._sink is not None:
            self._sink.give_up()
            self._sink = None
            is_whole = False
        if not is_whole:
            raise BadRequest("The form ended too early.", remedy="Send it again.")

    def _begin_part(self) -> None:
        self._headers = {}
        self._text = bytearray()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        self._bound(self._name)

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._bound(self._value)

    def _end_header(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value.decode("utf-8", "replace")
        self._name, self._value = bytearray(), bytearray()

    def _end_headers(self) -> None:
        message = Message()
        message["content-disposition"] = self._headers.get("content-disposition", "")
        self._field = str(message.get_param("name", header="content-disposition") or "")
        filename = _filename(self._headers.get("content-disposition", ""))
        if filename is not None:
            self._sink = self._open_sink(self._field, filename, self.fields)

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._sink is not None:
            self._sink.write(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > _MOST_FIELD_BYTES:
            raise TooLarge("A field of the form is too large.")

    def _end_part(self) -> None:
        if self._sink is not None:
            sink, self._sink = self._sink, None
            sink.close()
        else:
            self.fields.add(self._field, self._text.decode("utf-8", "replace"))

    @staticmethod
    def _bound(text: bytearray) -> None:
        if len(text) > _MOST_HEADER_BYTES:
            raise TooLarge("A header of the form is too large.")


def _filename(disposition: str) -> str | None:
    """The file's name, with folders if the client sends them; None where it is no file."""
    _, options = parse_options_header(disposition)
    if b"filename*" in options:
        from urllib.parse import unquote_to_bytes

        return unquote_to_bytes(options[b"filename*"].rpartition(b"'")[2]).decode(
            "utf-8", "replace"
        )
    found = options.get(b"filename")
    return None if found is None else found.decode("utf-8", "replace")
