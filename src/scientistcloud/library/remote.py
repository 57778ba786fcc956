"""Datasets of a server of scientistcloud, read box by box."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from numpy.typing import NDArray

from scientistcloud.client.client import Client
from scientistcloud.errors import SourceNotFound
from scientistcloud.grid import Box, Shape
from scientistcloud.idx.geometry.bitmask import Bitmask, powers
from scientistcloud.idx.geometry.blocks import BlockLayout
from scientistcloud.idx.geometry.query import samples_inside
from scientistcloud.idx.headers.header import parse_header
from scientistcloud.library.dataset import Dataset

_ADDRESS = re.compile(r"(?P<base>.*)/(?:d/(?:(?P<token>sc[kl]_[\w-]+)/)?|view/)(?P<uuid>[\w.~-]+)")


class RemoteSamples:
    """Boxes that a server cuts."""

    def __init__(self, client: Client, uuid: str) -> None:
        self._client = client
        self._uuid = uuid
        text = client.get(f"d/{uuid}/visus.idx").text
        self.header = parse_header(text)
        self._layout = BlockLayout(Bitmask(self.header.bits), self.header.bits_per_block)

    def read(self, field: int, timestep: int, box: Box, resolution: int) -> NDArray[Any]:
        item = self.header.fields[field]
        pairs = zip(reversed(box.lo), reversed(box.hi), strict=True)
        query = {
            "field": item.name,
            "time": str(self.header.time_value(timestep)),
            "box": ",".join(f"{lo},{hi}" for lo, hi in pairs),
            "resolution": str(resolution),
        }
        body = self._client.get(f"api/v2/datasets/{self._uuid}/box", query).content
        components = () if item.components == 1 else (item.components,)
        found = np.frombuffer(body, item.dtype.newbyteorder("<"))
        return found.reshape(self.shape_of(box, resolution) + components).astype(item.dtype)

    def described(self) -> dict[str, Any]:
        """What the server says of the result, its times among it."""
        found = self._client.get(f"api/v2/datasets/{self._uuid}/description").json()
        return found if isinstance(found, dict) else {}

    def shape_of(self, box: Box, resolution: int) -> Shape:
        return samples_inside(self._layout, box, resolution).shape

    def brick(self) -> Shape:
        bitmask = self._layout.bitmask
        return powers(
            bitmask.counts(bitmask.length - self.header.bits_per_block + 1, bitmask.length)
        )

    def close(self) -> None:
        self._client.close()


def open_remote(url: str, token: str = "") -> Dataset:
    """Open the dataset that an address names; raises as `open` does."""
    parts = urlsplit(url)
    found = _ADDRESS.fullmatch(parts.path.removesuffix("/visus.idx").rstrip("/"))
    if found is None:
        raise SourceNotFound(
            "The address names no dataset.", remedy="It looks like https://HOST/d/<uuid>/visus.idx."
        )
    sent = token or found["token"] or parse_qs(parts.query).get("token", [""])[0]
    base = f"{parts.scheme}://{parts.netloc}{found['base']}"
    samples = RemoteSamples(Client(base, sent), found["uuid"])
    return Dataset(url, samples, record=samples.described())
