"""Leica LIF (``.lif``) of confocal microscopes: every image a dataset, read by position."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scientistcloud.errors import InvalidOptions, UnsupportedLayout
from scientistcloud.readers.arrays.raw_grid import Volume
from scientistcloud.readers.arrays.volume_set import open_volumes
from scientistcloud.readers.base import Match, Selection, Source
from scientistcloud.readers.files.open_files import FilePool, handed_over
from scientistcloud.readers.microscopy.lif_file import read_images
from scientistcloud.readers.microscopy.lif_image import read_volumes

_MOST_IMAGES = 256


class LifReader:
    """Recognises and opens LIF files."""

    name = "lif"

    def match(self, path: Path, head: bytes) -> Match:
        if head[:4] == b"\x70\0\0\0" and head[8:9] == b"\x2a" and head[13:15] == b"<\0":
            return Match.CERTAIN
        return Match.POSSIBLE if path.suffix.lower() == ".lif" else Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        with handed_over(FilePool(selection.root)) as pool:
            volumes = [v for path in files for v in _volumes(path, pool, selection)]
            rule = "images of a microscope are datasets of their own"
            return open_volumes(
                volumes, "LIF", selection.parameters, pool, unless_told=("datasets", rule)
            )


READER = LifReader()


def _volumes(path: Path, pool: FilePool, selection: Selection) -> list[Volume]:
    name = pool.name(path)
    images = read_images(path, pool)
    wanted = selection.parameters.get("image")
    if wanted is not None:
        chosen = [i for i in images if wanted in (i.name, i.name.rpartition("/")[2])]
        if not chosen:
            raise InvalidOptions(
                f"The parameter image names {wanted!r}, which is no image of {name}.",
                remedy=f"Choose one of: {', '.join(i.name for i in images[:8])}.",
            )
        images = chosen
    if not images:
        raise UnsupportedLayout(f"{name} holds no images.")
    volumes = [v for image in images for v in read_volumes(image, path, name)]
    if len(volumes) > _MOST_IMAGES:
        raise UnsupportedLayout(
            f"{name} holds {len(volumes):,} images, more than {_MOST_IMAGES}.",
            remedy="Name one with the parameter image, or save them as several files.",
        )
    return volumes
