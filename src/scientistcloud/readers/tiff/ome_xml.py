"""OME-XML: what it says about images, read without following anything that it names.

The schema is http://www.openmicroscopy.org/Schemas/OME/2016-06; older ones differ in nothing that
is used here. A document with a DTD is refused: OME-XML has none, and entities are only an attack.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from scientistcloud.errors import CorruptSource

_MICROMETRE = {"µm", "\u03bcm", "um", "micron", "micrometer", "micrometre"}
_LETTERS = {"angle": "A", "phase": "P", "tile": "R", "lifetime": "H", "lambda": "E"}
_MAX_PLANES = 10_000_000

Split = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class PlaneRun:
    """Consecutive planes of one file.

    Attributes
    ----------
    first : int
        The first plane, counted in the order of the image's axes.
    count : int or None
        How many; None for as many as the file has pages.
    page : int
        The first page.
    uuid, file : str
        Which file; both empty for the one that holds the XML.
    """

    first: int
    count: int | None
    page: int
    uuid: str = ""
    file: str = ""


@dataclass(frozen=True)
class OmeImage:
    """One image of the document.

    Attributes
    ----------
    axes, shape : str, tuple of int
        Of Z, C and T, slowest first; C counts channels, not samples. One of them may be split: A
        angle, P phase, R tile, H lifetime, E wavelength or Q other follow the axis that they are
        counted along (the 6D extension of OME-TIFF, ModuloAlong).
    samples : int
        Samples of a pixel, 3 for RGB.
    size : tuple of int
        Rows and columns.
    spacing : dict
        Physical size by axis (``X``, ``Y``, ``Z``) and time step (``T``), with their units.
    """

    name: str
    axes: str
    shape: tuple[int, ...]
    size: tuple[int, int]
    samples: int
    runs: tuple[PlaneRun, ...]
    channels: tuple[str, ...]
    spacing: dict[str, tuple[float, str]]

    @property
    def planes(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class OmeDocument:
    """What a document says.

    Attributes
    ----------
    uuid : str
        Of the file that holds it.
    companion : str
        The file that holds the real metadata, where this one only refers to it (BinaryOnly).
    """

    uuid: str
    images: tuple[OmeImage, ...]
    companion: str = ""


def parse_ome(text: str, name: str) -> OmeDocument:
    """Read OME-XML.

    Parameters
    ----------
    name : str
        Of the file, for messages.

    Raises
    ------
    CorruptSource
        It is not well-formed, has a DTD, or lacks what the schema demands.
    """
    if re.search(r"<!\s*(DOCTYPE|ENTITY)", text, re.I):
        raise CorruptSource(
            f"The OME-XML of {name} declares entities, which OME-XML does not have.",
            remedy="Save the file again with a program that writes plain OME-TIFF.",
        )
    try:
        root = ElementTree.fromstring(text)
        splits = dict(_splits(root))
        images = tuple(_image(e, splits) for e in _children(root, "Image"))
        companion = next((e.get("MetadataFile", "") for e in _children(root, "BinaryOnly")), "")
        return OmeDocument(root.get("UUID", ""), images, companion)
    except (ElementTree.ParseError, KeyError, ValueError, IndexError, OverflowError) as error:
        raise CorruptSource(f"The OME-XML of {name} cannot be understood: {error}.") from error


def _image(element: ElementTree.Element, splits: Mapping[str, Split]) -> OmeImage:
    pixels = next(_children(element, "Pixels"), None)
    if pixels is None:
        raise ValueError("an Image has no Pixels")
    axes = pixels.attrib["DimensionOrder"][:1:-1]
    if sorted(axes) != ["C", "T", "Z"]:
        raise ValueError(f"DimensionOrder {pixels.attrib['DimensionOrder']!r}")
    sizes = {a: int(pixels.attrib["Size" + a]) for a in "XYZCT"}
    channels = list(_children(pixels, "Channel"))
    samples = int(channels[0].get("SamplesPerPixel", 1)) if channels else 1
    sizes["C"] = max(1, sizes["C"] // max(1, samples))
    shape = tuple(sizes[a] for a in axes)
    if min(shape) < 1 or math.prod(shape) > _MAX_PLANES:
        raise ValueError(f"it claims {shape} planes")
    names = tuple(c.get("Name") or c.get("Fluor") or "" for c in channels)
    references = [r.get("ID", "") for r in element.iter() if _tag(r) == "AnnotationRef"]
    split_axes, split_shape = _split(axes, shape, [splits[r] for r in references if r in splits])
    return OmeImage(
        element.get("Name", ""),
        split_axes,
        split_shape,
        (sizes["Y"], sizes["X"]),
        samples,
        tuple(_runs(pixels, axes, shape)),
        names if len(names) == sizes["C"] and split_axes == axes else (),
        dict(_spacing(pixels)),
    )


def _splits(root: ElementTree.Element) -> Iterator[tuple[str, Split]]:
    """For each annotation that splits an axis: that axis, the letter of the new one, its length."""
    for annotation in root.iter():
        if not annotation.get("Namespace", "").endswith("modulo"):
            continue
        for along in annotation.iter():
            axis = _tag(along).removeprefix("ModuloAlong")
            if axis not in ("Z", "T", "C"):
                continue
            length = sum(_tag(child) == "Label" for child in along)
            if "Start" in along.attrib:
                start, end = float(along.attrib["Start"]), float(along.attrib["End"])
                length = round((end - start) / float(along.get("Step", 1))) + 1
            yield annotation.get("ID", ""), (axis, _LETTERS.get(along.get("Type", ""), "Q"), length)


def _split(
    axes: str, shape: tuple[int, ...], splits: Sequence[Split]
) -> tuple[str, tuple[int, ...]]:
    for axis, letter, length in splits:
        i = axes.find(axis)
        if i < 0 or length < 1 or shape[i] % length:
            continue
        rest = shape[i] // length
        axes = axes[: i + 1] + letter + axes[i + 1 :]
        shape = (*shape[:i], rest, length, *shape[i + 1 :])
    return axes, shape


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _runs(pixels: ElementTree.Element, axes: str, shape: tuple[int, ...]) -> Iterator[PlaneRun]:
    for data in _children(pixels, "TiffData"):
        page = int(data.get("IFD", 0))
        count = int(data.get("PlaneCount", data.get("NumPlanes", 1 if "IFD" in data.attrib else 0)))
        first = 0
        for axis, length in zip(axes, shape, strict=True):
            index = int(data.get("First" + axis, 0))
            if not 0 <= index < length:
                break
            first = first * length + index
        else:
            uuid = next(_children(data, "UUID"), None)
            if page < 0 or count < 0:
                raise ValueError("a TiffData has a negative number")
            yield PlaneRun(
                first,
                count or None,
                page,
                (uuid.text or "").strip() if uuid is not None else "",
                uuid.get("FileName", "") if uuid is not None else "",
            )


def _spacing(pixels: ElementTree.Element) -> Iterator[tuple[str, tuple[float, str]]]:
    for key, name, unit in (
        ("X", "PhysicalSizeX", "µm"),
        ("Y", "PhysicalSizeY", "µm"),
        ("Z", "PhysicalSizeZ", "µm"),
        ("T", "TimeIncrement", "s"),
    ):
        try:
            value = float(pixels.get(name, ""))
        except ValueError:
            continue
        if value > 0 and math.isfinite(value):
            said = pixels.get(name + "Unit", unit)
            yield key, (value, "µm" if said in _MICROMETRE else said)


def _children(element: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    """Children called `tag`, whatever the version of the schema in their namespace."""
    for child in element:
        if _tag(child) == tag:
            yield child
