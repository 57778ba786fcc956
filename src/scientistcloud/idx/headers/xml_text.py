"""Headers as XML, which OpenVisus reads too, and which servers send: brought into the text form."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from scientistcloud.errors import CorruptSource, UnsafeSource

_ROOT = re.compile(r"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<dataset\b", re.DOTALL)
_KEYS = {
    "version": "version",
    "bitmask": "bits",
    "bitsperblock": "bitsperblock",
    "blocksperfile": "blocksperfile",
    "filename_template": "filename_template",
    "arco": "arco",
    "axis": "axis",
    "physic_box": "physic_box",
}


def is_xml(text: str) -> bool:
    """Whether a header begins as one in XML does."""
    return _ROOT.match(text) is not None


def parse_xml(text: str) -> ElementTree.Element:
    """The root of an XML text.

    Raises
    ------
    CorruptSource
        It is no XML.
    UnsafeSource
        It declares entities, by which a short text can stand for gigabytes or name other files.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise UnsafeSource("The XML declares entities, which are not followed.")
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise CorruptSource(f"The header is no XML: {error}.") from error


def text_of_xml(text: str) -> str:
    """The header in its text form; what is wrong with the values is found when that is parsed.

    Raises
    ------
    CorruptSource, UnsafeSource
    """
    idxfile = parse_xml(text).find("idxfile")
    if idxfile is None:
        raise CorruptSource("The XML describes no IDX dataset.")
    values = {e.tag: _one_line(e.get("value", "")) for e in idxfile}
    parts = {name: values[key] for key, name in _KEYS.items() if values.get(key)}
    numbers = values.get("box", "").split()
    # Half-open here, but with both ends included in the text form.
    parts["box"] = " ".join(_less_one(n) if i % 2 else n for i, n in enumerate(numbers))
    parts["fields"] = " + ".join(_field_line(e) for e in idxfile.iter("field"))
    if values.get("time_template"):
        spans = " ".join(_time_span(e) for e in idxfile.iter("timestep"))
        parts["time"] = f"{values['time_template']} {spans}"
    for entry in idxfile.iter("metadata"):
        parts.setdefault(_one_line(entry.get("key", "")), _one_line(entry.get("value", "")))
    return "".join(f"({key})\n{value}\n" for key, value in parts.items())


def _field_line(element: ElementTree.Element) -> str:
    names = ("default_compression", "default_layout", "default_value", "min", "max")
    given = {name: _one_line(element.get(name, "")) for name in names}
    options = " ".join(f"{name}({value})" for name, value in given.items() if value)
    return f"{_one_line(element.get('name', ''))} {_one_line(element.get('dtype', ''))} {options}"


def _time_span(element: ElementTree.Element) -> str:
    when = element.get("when")
    names = ("from", "to", "step") if when is None else ("when",)
    return f"({','.join(_one_line(element.get(name, '')) for name in names)})"


def _less_one(number: str) -> str:
    return str(int(number) - 1) if re.fullmatch(r"-?\d{1,20}", number) else number


def _one_line(text: str) -> str:
    return " ".join(text.split())
