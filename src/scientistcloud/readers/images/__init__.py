"""Images: PNG, JPEG, JPEG 2000 and WebP; the work is done in `images.open`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scientistcloud.errors import MissingLibrary
from scientistcloud.readers.base import Match, Selection, Source
from scientistcloud.readers.images.headers import image_format

_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jp2", ".j2k", ".j2c", ".jpf", ".jpx", ".webp")


class ImageReader:
    """Recognises images by their first bytes."""

    name = "image"

    def match(self, path: Path, head: bytes) -> Match:
        if image_format(head):
            return Match.CERTAIN
        return Match.POSSIBLE if path.name.lower().endswith(_SUFFIXES) else Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        """Open `files` as one image, stack or mosaic; see `image_open.open_images`."""
        try:
            from scientistcloud.readers.images.open import open_images
        except ImportError as error:
            raise MissingLibrary(f"Images need the library {error.name}.") from error
        return open_images(files, selection)


READER = ImageReader()
