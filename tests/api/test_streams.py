"""Streams of converted datasets, read by the clients of the field over HTTP."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from tests.api.serving import Server

CLIENT = """
import json, sys
import numpy as np
import OpenVisus as ov
url, local, mode = sys.argv[1:4]
remote, here = ov.LoadDataset(url), ov.LoadDataset(local)
access = {"access": remote.createAccessForBlockQuery()} if mode == "block" else {}
last = remote.getMaxResolution()
same = []
for field in here.getFields():
    for time in here.getTimesteps():
        for resolution in (last, last - 1, last - 4, 3):
            query = {"field": field, "time": time, "max_resolution": resolution}
            one = remote.read(**query, **access)
            same.append(bool(np.array_equal(one, here.read(**query))))
size = [int(n) for n in here.getLogicBox()[1]]
names = "xyz"[: len(size)]
box = {name: [n // 3, max(n // 3 + 1, n - 2)] for name, n in zip(names, size)}
same.append(bool(np.array_equal(remote.read(**box, **access), here.read(**box))))
print(json.dumps(same))
"""


def converted(server: Server, files: dict[str, NDArray[Any]], **more: Any) -> str:
    uuid = server.create(files=len(files), **more)
    form = []
    for name, samples in files.items():
        file = io.BytesIO()
        tifffile.imwrite(file, samples)
        form.append(("files", (name, file.getvalue())))
    assert server.http.post(f"/api/v2/datasets/{uuid}/files", files=form).status_code == 201
    document = server.wait(uuid, "done", "conversion failed")
    assert document["status"] == "done", document
    return uuid


@pytest.fixture(scope="module")
def volume(local: Server) -> tuple[str, NDArray[Any]]:
    rng = np.random.default_rng(0)
    samples = rng.integers(0, 60_000, (37, 70, 101), np.uint16)
    return converted(local, {"volume.tif": samples}), samples


@pytest.fixture(scope="module")
def picture(local: Server) -> tuple[str, NDArray[Any]]:
    samples = np.random.default_rng(1).integers(0, 256, (211, 300, 3), np.uint8)
    return converted(local, {"picture.tif": samples}), samples


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["box", "block", "static"])
@pytest.mark.parametrize("kind", ["volume", "picture"])
def test_openvisus_reads_what_lies_on_disk(
    local: Server, tmp_path: Path, mode: str, kind: str, request: pytest.FixtureRequest
) -> None:
    uuid, _ = request.getfixturevalue(kind)
    url = f"{local.address}/mod_visus?dataset={uuid}"
    if mode == "static":
        url = f"{local.address}/d/{uuid}/visus.idx"
    path = str(local.root / "converted" / uuid / "visus.idx")
    command = [sys.executable, "-c", CLIENT, url, path, mode]
    environment = local.environment() | {"VISUS_CACHE": str(tmp_path)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    same = json.loads(ended.stdout.splitlines()[-1])
    assert len(same) >= 5
    assert all(same)


@pytest.mark.parametrize(("version", "name"), [(3, "zarr"), (2, "zarr2")])
def test_zarr_reads_every_level(
    local: Server, volume: tuple[str, NDArray[Any]], version: int, name: str
) -> None:
    import zarr
    from zarr.storage import MemoryStore

    uuid, samples = volume
    store = MemoryStore()
    base = f"{local.address}/{name}/{uuid}"
    keys = ["zarr.json"] if version == 3 else [".zgroup", ".zattrs"]
    found = {key: local.http.get(f"{base}/{key}") for key in keys}
    attributes = json.loads(found[keys[-1]].content)
    attributes = attributes["attributes"]["ome"] if version == 3 else attributes
    levels = [each["path"] for each in attributes["multiscales"][0]["datasets"]]
    assert len(levels) >= 2
    for level in levels:
        key = f"{level}/{'zarr.json' if version == 3 else '.zarray'}"
        found[key] = local.http.get(f"{base}/{key}")
        facts = found[key].json()
        chunks = (
            facts["chunks"] if version == 2 else facts["chunk_grid"]["configuration"]["chunk_shape"]
        )
        for index in np.ndindex(*(-(-n // c) for n, c in zip(facts["shape"], chunks, strict=True))):
            text = "/".join(map(str, index))
            key = f"{level}/{text}" if version == 2 else f"{level}/c/{text}"
            found[key] = local.http.get(f"{base}/{key}")
    buffers = zarr.core.buffer.default_buffer_prototype().buffer

    async def fill() -> None:
        for key, answer in found.items():
            assert answer.status_code == 200, key
            await store.set(key, buffers.from_bytes(answer.content))

    asyncio.run(fill())
    group = zarr.open_group(store, mode="r", zarr_format=version)
    for number, level in enumerate(levels):
        step = 2**number
        np.testing.assert_array_equal(group[level][:], samples[::step, ::step, ::step])


def test_generations_are_kept_for_ever_and_plain_names_are_asked_again(
    local: Server, volume: tuple[str, NDArray[Any]]
) -> None:
    uuid, _ = volume
    plain = local.http.get(f"/d/{uuid}/visus.idx")
    assert "no-cache" in plain.headers["cache-control"]
    generation = local.http.get(f"/api/v2/datasets/{uuid}/description").json()["generation"]
    named = local.http.get(f"/d/{uuid}~{generation}/visus.idx")
    assert "immutable" in named.headers["cache-control"]
    again = local.http.get(f"/d/{uuid}/visus.idx", headers={"if-none-match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    part = local.http.get(f"/d/{uuid}/visus.idx", headers={"range": "bytes=2-8"})
    assert (part.status_code, part.content) == (206, plain.content[2:9])
    assert local.http.head(f"/d/{uuid}/visus.idx").status_code == 200
    assert plain.headers["access-control-allow-origin"] == "*"
    assert local.http.get(f"/d/{uuid}~{'0' * 16}/visus.idx").status_code == 404


def test_a_link_opens_its_dataset_by_every_protocol_and_no_other(
    local: Server, volume: tuple[str, NDArray[Any]], picture: tuple[str, NDArray[Any]]
) -> None:
    uuid, other = volume[0], picture[0]
    link = local.http.post(f"/api/v2/datasets/{uuid}/links", json={}).json()
    token = link["token"]
    ways = ("/d/{t}/{u}/visus.idx", "/zarr/{t}/{u}/zarr.json", "/zarr2/{t}/{u}/.zattrs",
            "/mod_visus/{t}?dataset={u}", "/mod_visus?dataset={u}&&token={t}",
            "/api/v2/datasets/{u}/box?token={t}", "/api/v2/datasets/{u}/preview?token={t}",
            "/api/v2/datasets/{u}?token={t}")  # fmt: skip
    for way in ways:
        assert local.http.get(way.format(t=token, u=uuid)).status_code == 200, way
        assert local.http.get(way.format(t=token, u=other)).status_code == 404, way
    deleted = local.http.delete(f"/api/v2/datasets/{uuid}?token={token}")
    assert deleted.status_code == 403
    local.http.delete(f"/api/v2/datasets/{uuid}/links/{link['link']['id']}")
    for way in ways:
        assert local.http.get(way.format(t=token, u=uuid)).status_code == 401, way


@pytest.mark.parametrize(
    "path",
    [
        "/d/{u}/%2e%2e/{u}/visus.idx", "/d/{u}/visus/0/data/0000/0000/0000/zzzz.bin",
        "/d/{u}/visus/99/data/0000/0000/0000/0000.bin", "/zarr/{u}/../../etc/passwd",
        "/zarr/{u}/0/c/9/9/9", "/zarr/{u}/99/zarr.json", "/d/{u}/metadata.json",
    ],
)  # fmt: skip
def test_what_is_not_there_is_404(
    local: Server, volume: tuple[str, NDArray[Any]], path: str
) -> None:
    assert local.http.get(path.format(u=volume[0])).status_code == 404


@pytest.mark.parametrize(
    "query",
    ["box=0,1", "box=a", f"box={'9' * 500}", "resolution=99", "field=absent", "time=77",
     "format=exe", "format=png&range=x&box=0,10,0,10,0,1",
     "palette=absent&format=png&box=0,10,0,10,0,1"],
)  # fmt: skip
def test_boxes_that_cannot_be_are_refused_in_words(
    local: Server, volume: tuple[str, NDArray[Any]], query: str
) -> None:
    answer = local.http.get(f"/api/v2/datasets/{volume[0]}/box?{query}")
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    "path",
    ["zarr/{}/²/zarr.json", "zarr2/{}/²/.zarray", "zarr/{}/" + "9" * 5000 + "/zarr.json",
     "zarr/{}/0/c/٣/0/0", "zarr2/{}/٣/0.0"],
)  # fmt: skip
def test_keys_that_no_store_has_are_not_found(
    local: Server, volume: tuple[str, NDArray[Any]], path: str
) -> None:
    assert local.http.get("/" + path.format(volume[0])).status_code == 404


@pytest.mark.parametrize(
    "asked", [b"bytes=\xb2-", b"bytes=" + b"9" * 5000 + b"-", b"bytes=-", b"x"]
)
def test_a_range_that_is_none_gets_all(
    local: Server, volume: tuple[str, NDArray[Any]], asked: bytes
) -> None:
    url = f"/d/{volume[0]}/visus.idx"
    whole = local.http.get(url)
    answer = local.http.get(url, headers=[(b"range", asked)])
    assert (answer.status_code, answer.content) == (200, whole.content)


def test_a_range_is_cut_from_the_body(local: Server, volume: tuple[str, NDArray[Any]]) -> None:
    url = f"/d/{volume[0]}/visus.idx"
    whole = local.http.get(url).content
    for asked, expected in {
        "bytes=0-0": whole[:1], "bytes=5-": whole[5:], "bytes=-7": whole[-7:],
        "bytes=3-999999": whole[3:],
    }.items():  # fmt: skip
        answer = local.http.get(url, headers={"range": asked})
        assert (answer.status_code, answer.content) == (206, expected)
    answer = local.http.get(url, headers={"range": f"bytes={10**17}-"})
    assert answer.status_code == 416


def test_so_many_blocks_at_once_that_headers_stay_small(
    local: Server, volume: tuple[str, NDArray[Any]]
) -> None:
    url = f"/mod_visus?action=rangequery&dataset={volume[0]}&block="
    answer = local.http.get(url + "+".join(["0"] * 16))
    assert answer.headers["response-compose-num"] == "16"
    assert sum(len(k) + len(v) + 4 for k, v in answer.headers.items()) < 4096
    assert local.http.get(url + "+".join(["0"] * 17)).status_code == 413


def test_a_description_with_another_name_is_told(
    local: Server, volume: tuple[str, NDArray[Any]]
) -> None:
    url = f"/api/v2/datasets/{volume[0]}"
    before = local.http.get(f"{url}/description")
    tag = {"if-none-match": before.headers["etag"]}
    assert local.http.get(f"{url}/description", headers=tag).status_code == 304
    assert local.http.patch(url, json={"name": "Another name"}).is_success
    after = local.http.get(f"{url}/description", headers=tag)
    assert (after.status_code, after.json()["name"]) == (200, "Another name")


def _answer_to(server: Server, head: bytes) -> bytes:
    """All that comes back for bytes that are sent at once, whatever they are."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(head)
        return b"".join(iter(lambda: line.recv(65536), b""))


@pytest.mark.parametrize("length", [70_000, 1 << 20, 8 << 20])
def test_a_line_that_is_too_long_is_answered(
    local: Server, volume: tuple[str, NDArray[Any]], length: int
) -> None:
    asked = f"/mod_visus?action=rangequery&dataset={volume[0]}&block=".encode()
    head = b"GET " + asked + b"1+" * (length // 2) + b" HTTP/1.1\r\nHost: localhost\r\n"
    answer = _answer_to(local, head + b"Connection: close\r\n\r\n")
    # 70 kB may come in one piece, and are refused when read.
    assert answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 ")), answer[:100]


def test_what_is_no_http_is_answered(local: Server) -> None:
    assert _answer_to(local, b"\x16\x03\x01 hello\r\n\r\n").startswith(b"HTTP/1.1 400 ")
