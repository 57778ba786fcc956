"""Looks at an upload before it is converted: by a real child process, over HTTP."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import tifffile
from PIL import Image

from scientistcloud.streaming.colors import Look, paint
from tests.api.serving import Server, serving

pytestmark = pytest.mark.slow
VOLUME = np.random.default_rng(3).integers(10, 4000, (12, 30, 40), np.uint16)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mongo_url: str) -> Iterator[Server]:
    """No service runs beside it: nothing is converted."""
    with serving(tmp_path_factory.mktemp("looks"), mongo_url) as running:
        yield running


def _upload(server: Server, name: str, data: bytes) -> str:
    uuid = server.create()
    form = [("files", (name, data))]
    assert server.http.post(f"/api/v2/datasets/{uuid}/files", files=form).status_code == 201
    return uuid


def _tiff(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, samples, photometric="minisblack")
    return file.getvalue()


def test_a_glimpse_has_the_colours_of_the_samples(server: Server) -> None:
    uuid = _upload(server, "a.tif", _tiff(VOLUME))
    found = server.http.post(f"/api/v2/datasets/{uuid}/glimpse").raise_for_status().json()
    assert (found["dims"], found["dtype"]) == ([40, 30, 12], "uint16")
    look = Look(*found["range"])
    cuts = (VOLUME[6], VOLUME[:, 15], VOLUME[:, :, 20])
    for told, plane in zip(found["planes"], cuts, strict=True):
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(told["png"]))))
        np.testing.assert_array_equal(shown, paint(plane, 1, look))
    document = server.find(uuid)
    assert (document or {})["status"] == "uploading", "nothing was converted or queued"


def test_an_inspection_names_choices_and_another_one_changes_what_is_made(
    server: Server, tmp_path: Path
) -> None:
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        for name, size in (("y", 8), ("x", 9)):
            file.createDimension(name, size)
        for name in ("salinity", "temperature"):
            file.createVariable(name, "f4", ("y", "x"))[:] = 1
    uuid = _upload(server, "a.nc", (tmp_path / "a.nc").read_bytes())
    url = f"/api/v2/datasets/{uuid}/inspect"
    found = server.http.post(url).raise_for_status().json()
    assert [each["name"] for each in found["datasets"][0]["fields"]] == ["salinity", "temperature"]
    body = {"parameters": {"variable": "salinity"}}
    found = server.http.post(url, json=body).raise_for_status().json()
    assert [each["name"] for each in found["datasets"][0]["fields"]] == ["salinity"]


def test_what_cannot_be_converted_is_refused_before_it_is_queued(server: Server) -> None:
    uuid = _upload(server, "notes.txt", b"not data\n")
    for route in ("inspect", "glimpse"):
        answer = server.http.post(f"/api/v2/datasets/{uuid}/{route}")
        assert (answer.status_code, answer.json()["code"]) == (422, "UnrecognizedFormat")
        assert answer.json()["remedy"]
    empty = server.create()
    answer = server.http.post(f"/api/v2/datasets/{empty}/inspect")
    assert (answer.status_code, answer.json()["code"]) == (422, "SourceNotFound")
