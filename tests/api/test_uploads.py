"""Files that come in: by tus, by form, by chunk; cut off, killed, hostile, over quota."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
import tifffile
from tusclient.client import TusClient

from tests.api.serving import OWNER, SECRET, STRANGER, Server, bearer, serving
from tests.site import until

TUS = "/api/v2/tus/"


def _metadata(**values: str) -> str:
    return ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in values.items())


def _begin(server: Server, uuid: str, size: int, **more: str) -> httpx.Response:
    metadata = _metadata(dataset=uuid, **{"filename": "a.bin", **more})
    headers = {"tus-resumable": "1.0.0", "upload-length": str(size), "upload-metadata": metadata}
    return server.http.post(TUS, headers=headers | bearer(OWNER))


def _patch(server: Server, place: str, offset: int, data: bytes, **more: str) -> httpx.Response:
    headers = {
        "tus-resumable": "1.0.0", "upload-offset": str(offset),
        "content-type": "application/offset+octet-stream", **more,
    }  # fmt: skip
    return server.http.patch(place, content=data, headers=headers | bearer(OWNER))


def _tiff(seed: int = 0) -> tuple[bytes, np.ndarray]:
    samples = np.random.default_rng(seed).integers(0, 60_000, (40, 50), np.uint16)
    file = io.BytesIO()
    tifffile.imwrite(file, samples)
    return file.getvalue(), samples


def test_a_tus_client_uploads_a_file_that_becomes_a_dataset(server: Server, tmp_path: Path) -> None:
    data, samples = _tiff()
    path = tmp_path / "scan.tif"
    path.write_bytes(data)
    uuid = server.create(bearer(OWNER), files=1)
    client = TusClient(server.address + TUS, headers=bearer(OWNER))
    metadata = {"dataset": uuid, "filename": "scan.tif", "relative_path": "sub/scan.tif"}
    with path.open("rb") as file:
        client.uploader(file_stream=file, chunk_size=1000, metadata=metadata).upload()
    document = server.wait(uuid, "done", "conversion failed")
    assert document["status"] == "done"
    assert (server.root / "upload" / uuid / "sub" / "scan.tif").read_bytes() == data
    assert document["total_size_bytes"] == len(data)
    box = server.http.get(f"/api/v2/datasets/{uuid}/box?format=npy", headers=bearer(OWNER))
    np.testing.assert_array_equal(np.load(io.BytesIO(box.content)), samples)
    listed = server.http.get(f"/api/v2/datasets/{uuid}/files", headers=bearer(OWNER)).json()
    assert [each["name"] for each in listed["files"]] == ["sub/scan.tif"]
    known = server.client[server.database]["sclib_files"].find_one({"uuid": uuid})
    assert known is not None
    assert known["sha256"] == hashlib.sha256(data).hexdigest()


def test_an_upload_goes_on_at_any_byte_after_the_server_was_killed(
    tmp_path: Path, mongo_url: str
) -> None:
    data = np.random.default_rng(1).bytes(3_000_017)
    with serving(tmp_path / "site", mongo_url, AUTH="token", SECRET_KEY=SECRET) as server:
        uuid = server.create(bearer(OWNER), files=1)
        place = _begin(server, uuid, len(data)).headers["location"]
        rounds = 0
        while True:
            head = {"tus-resumable": "1.0.0", **bearer(OWNER)}
            offset = int(server.http.head(place, headers=head).headers["upload-offset"])
            assert not (server.root / "upload" / uuid).exists(), "half a file is visible"
            if rounds == 3:
                break
            killer = threading.Timer(0.15, server.kill)

            def slowly(rest: bytes) -> object:
                for start in range(0, len(rest), 50_000):
                    yield rest[start : start + 50_000]
                    time.sleep(0.01)

            headers = {
                "tus-resumable": "1.0.0", "upload-offset": str(offset),
                "content-type": "application/offset+octet-stream",
            }  # fmt: skip
            killer.start()
            with pytest.raises(httpx.TransportError):
                httpx.patch(
                    server.address + place, content=slowly(data[offset:]),
                    headers=headers | bearer(OWNER), timeout=20,
                )  # fmt: skip
            killer.join()
            server.start()
            rounds += 1
        assert _patch(server, place, offset, data[offset:]).status_code == 204
        assert (server.root / "upload" / uuid / "a.bin").read_bytes() == data
        found = server.client[server.database]["sclib_files"].find_one({"uuid": uuid})
        assert found is not None
        assert found["sha256"] == hashlib.sha256(data).hexdigest()


def test_bytes_that_were_damaged_on_the_way_are_forgotten(server: Server) -> None:
    uuid = server.create(bearer(OWNER))
    place = _begin(server, uuid, 10).headers["location"]
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    refused = _patch(server, place, 0, b"01234", **{"upload-checksum": f"sha256 {wrong}"})
    assert (refused.status_code, refused.json()["code"]) == (460, "WrongChecksum")
    right = base64.b64encode(hashlib.sha1(b"01234").digest()).decode()
    taken = _patch(server, place, 0, b"01234", **{"upload-checksum": f"sha1 {right}"})
    assert (taken.status_code, taken.headers["upload-offset"]) == (204, "5")


def test_where_an_upload_stands_is_told_to_who_is_wrong_about_it(server: Server) -> None:
    uuid = server.create(bearer(OWNER))
    place = _begin(server, uuid, 10).headers["location"]
    assert _patch(server, place, 0, b"0123").status_code == 204
    wrong = _patch(server, place, 7, b"xyz")
    assert (wrong.status_code, wrong.json()["offset"]) == (409, 4)
    assert _patch(server, place, 4, b"0123456789").status_code == 413
    other = {"tus-resumable": "1.0.0", **bearer(STRANGER)}
    assert server.http.head(place, headers=other).status_code == 404
    ended = server.http.delete(place, headers={"tus-resumable": "1.0.0", **bearer(OWNER)})
    assert ended.status_code == 204
    assert _patch(server, place, 4, b"456789").status_code == 404


def test_parts_that_came_side_by_side_are_one_file(server: Server) -> None:
    uuid = server.create(bearer(OWNER), convert=False)
    own = {"tus-resumable": "1.0.0", **bearer(OWNER)}
    metadata = {"upload-metadata": _metadata(dataset=uuid, filename="joined.txt")}
    places = []
    for text in (b"first ", b"second"):
        headers = own | metadata | {"upload-concat": "partial", "upload-length": str(len(text))}
        place = server.http.post(TUS, headers=headers).headers["location"]
        assert _patch(server, place, 0, text).status_code == 204
        places.append(place)
    final = {"upload-concat": f"final;{' '.join(places)}"}
    assert server.http.post(TUS, headers=own | metadata | final).status_code == 201
    assert (server.root / "upload" / uuid / "joined.txt").read_bytes() == b"first second"


def test_a_form_of_many_files_keeps_their_folders_and_is_queued_once(server: Server) -> None:
    uuid = server.create(bearer(OWNER))
    pages = {f"deep/er/s_{index}.tif": _tiff(index) for index in range(12)}
    files = [("files", (name, data)) for name, (data, _) in pages.items()]
    answer = server.http.post(f"/api/v2/datasets/{uuid}/files", files=files, headers=bearer(OWNER))
    assert answer.status_code == 201, answer.text
    assert (server.find(uuid) or {})["status"] == "uploading"
    finished = server.http.post(f"/api/v2/datasets/{uuid}/finish", headers=bearer(OWNER))
    assert finished.json()["status"] in ("conversion queued", "converting", "done")
    document = server.wait(uuid, "done", "conversion failed")
    assert document["dimensions"] == "50x40x12", document
    assert document["conversion"]["history"][-1]["outcome"] == "done"
    assert len(document["conversion"]["history"]) == 1


def test_what_nobody_finishes_is_queued_once_it_is_quiet_and_not_before(server: Server) -> None:
    uuid = server.create(bearer(OWNER))
    data, _ = _tiff()
    place = _begin(server, uuid, 100, filename="late.bin").headers["location"]
    form = [("files", ("a.tif", data))]
    server.http.post(f"/api/v2/datasets/{uuid}/files", files=form, headers=bearer(OWNER))
    time.sleep(2.5)
    assert (server.find(uuid) or {})["status"] == "uploading", "in the middle of a file"
    server.http.delete(place, headers={"tus-resumable": "1.0.0", **bearer(OWNER)})
    server.wait(uuid, "done", seconds=20)


@pytest.mark.parametrize(
    "name",
    [
        "../a",
        "a/../../b",
        "/etc/passwd",
        "a\0b",
        "a\nb",
        "..",
        "x" * 300,
        "a/" * 80 + "b",
        " a",
    ],
)
def test_names_that_lead_elsewhere_are_refused_before_a_byte_comes(
    server: Server, name: str
) -> None:
    uuid = server.create(bearer(OWNER))
    answer = _begin(server, uuid, 10, filename=name)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] in ("UnusableName", "BadRequest")
    assert answer.json()["remedy"]


def test_two_uploads_at_once_do_not_pass_the_quota(tmp_path: Path, mongo_url: str) -> None:
    more = {"AUTH": "token", "SECRET_KEY": SECRET, "UPLOAD_QUOTA": "1MB"}
    with serving(tmp_path / "site", mongo_url, **more) as server:
        uuids = [server.create(bearer(OWNER)) for _ in range(8)]
        found: list[httpx.Response] = []
        threads = [
            threading.Thread(target=lambda uuid=uuid: found.append(_begin(server, uuid, 300_000)))
            for uuid in uuids
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = [each for each in found if each.status_code == 201]
        refused = [each for each in found if each.status_code == 413]
        assert len(taken) <= 3
        assert len(taken) + len(refused) == 8
        assert all(each.json()["code"] == "QuotaExceeded" for each in refused)
        assert refused[0].json()["quota_bytes"] == 1_000_000


def test_a_file_larger_than_the_disk_is_refused(server: Server) -> None:
    uuid = server.create(bearer(OWNER))
    answer = _begin(server, uuid, 9 * 1024**4)
    assert (answer.status_code, answer.json()["code"]) == (507, "NoSpace")


def test_files_for_a_dataset_that_is_queued_are_refused(server: Server) -> None:
    uuid = server.create(bearer(OWNER))
    server.datasets.update_one({"uuid": uuid}, {"$set": {"status": "converting"}})
    assert _begin(server, uuid, 10).status_code == 409
    server.datasets.delete_one({"uuid": uuid})


def test_the_server_holds_little_while_much_comes(server: Server) -> None:
    import psutil

    assert server.process is not None
    uuid = server.create(bearer(OWNER), convert=False)
    before = psutil.Process(server.process.pid).memory_info().rss
    size = 200 << 20
    place = _begin(server, uuid, size).headers["location"]

    def body() -> object:
        piece = os.urandom(1 << 20)
        for _ in range(size >> 20):
            yield piece

    headers = {
        "tus-resumable": "1.0.0", "upload-offset": "0",
        "content-type": "application/offset+octet-stream", "content-length": str(size),
    }  # fmt: skip
    peaks = [before]
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.02):
            peaks.append(psutil.Process(server.process.pid).memory_info().rss)

    watcher = threading.Thread(target=look)
    watcher.start()
    answer = httpx.patch(
        server.address + place, content=body(), headers=headers | bearer(OWNER), timeout=60
    )
    stop.set()
    watcher.join()
    assert answer.status_code == 204
    assert max(peaks) - before < 40 << 20


def test_imports_ask_no_address_of_a_private_network(server: Server) -> None:
    for url in (
        "https://127.0.0.1/a.tif", "https://169.254.169.254/latest", "https://[::1]/a",
        "https://localhost/a", "http://example.org/a", "file:///etc/passwd", "https://10.0.0.1/",
    ):  # fmt: skip
        body = {"source_type": "url", "source_config": {"url": url}, "dataset_name": "x",
                "sensor": "OTHER"}  # fmt: skip
        answer = server.http.post("/api/upload/initiate", json=body, headers=bearer(OWNER))
        assert answer.status_code in (400, 403), f"{url}: {answer.text}"


def test_the_portals_upload_of_three_files_of_one_dataset(tmp_path: Path, mongo_url: str) -> None:
    more = {"AUTH": "portal", "PORTAL_NETWORKS": "127.0.0.0/8", "UPLOAD_QUIET_SECONDS": "1"}
    folder = tmp_path / "temp"
    folder.mkdir()
    with serving(tmp_path / "site", mongo_url, UPLOAD_PATH_FOLDERS=str(folder), **more) as server:
        worker = server.worker()
        uuid = "0b0e7a4c-94f4-4c8a-8f0f-9b6e3c0d1a2b"
        pages = [_tiff(index) for index in range(3)]
        form = {"user_email": OWNER, "dataset_name": "Three", "sensor": "TIFF", "convert": "true",
                "dataset_identifier": uuid, "tags": "x,y", "relative_path": "in"}  # fmt: skip
        jobs = []
        for index in range(2):
            file = {"file": (f"s_{index}.tif", pages[index][0])}
            answer = server.http.post("/api/upload/upload", files=file, data=form)
            assert answer.status_code == 200, answer.text
            assert answer.json()["status"] == "queued"
            jobs.append(answer.json()["job_id"])
        source = folder / "upload_123_s_2.tif"
        source.write_bytes(pages[2][0])
        path = {**form, "file_path": str(source), "original_filename": "s_2.tif"}
        answer = server.http.post("/api/upload/upload-path", data=path)
        assert answer.status_code == 200, answer.text
        assert answer.json()["upload_type"] == "path"
        assert not source.exists()
        jobs.append(answer.json()["job_id"])
        outside = {**path, "file_path": "/etc/passwd"}
        assert server.http.post("/api/upload/upload-path", data=outside).status_code == 403

        def status(job: str) -> dict[str, object]:
            query = {"user_email": OWNER}
            found = server.http.get(f"/api/upload/status/{job}", params=query)
            assert found.status_code == 200
            return dict(found.json())

        until(lambda: all(status(job)["status"] == "completed" for job in jobs), 60)
        document = server.wait(uuid, "done")
        assert document["dimensions"] == "50x40x3"
        assert document["tags"] == "x,y"
        names = sorted(each.name for each in (server.root / "upload" / uuid / "in").iterdir())
        assert names == ["s_0.tif", "s_1.tif", "s_2.tif"]
        late = server.http.post(f"/api/upload/cancel/{jobs[0]}", params={"user_email": OWNER})
        assert late.json()["success"] is False
        assert (server.find(uuid) or {})["status"] == "done"
        worker.terminate()
        worker.wait(20)


def test_chunks_in_any_order(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom(1000)
    body = {"filename": "c.bin", "file_size": len(data), "dataset_name": "C", "sensor": "OTHER",
            "file_hash": hashlib.sha256(data).hexdigest(), "convert": False}  # fmt: skip
    begun = server.http.post("/api/upload/large/initiate", json=body, headers=bearer(OWNER)).json()
    base = "/api/upload/large"
    early = server.http.post(f"{base}/complete/{begun['upload_id']}", headers=bearer(OWNER))
    assert early.status_code == 409
    wrong = server.http.post(
        f"{base}/chunk/{begun['upload_id']}/0", files={"chunk": data},
        data={"chunk_hash": "0" * 64}, headers=bearer(OWNER),
    )  # fmt: skip
    assert wrong.status_code == 460
    sent = server.http.post(
        f"{base}/chunk/{begun['upload_id']}/0", files={"chunk": data},
        data={"chunk_hash": hashlib.sha256(data).hexdigest()}, headers=bearer(OWNER),
    )  # fmt: skip
    assert sent.json()["uploaded_chunks"] == 1
    done = server.http.post(f"{base}/complete/{begun['upload_id']}", headers=bearer(OWNER))
    assert done.status_code == 200, done.text
    assert (server.root / "upload" / begun["dataset_uuid"] / "c.bin").read_bytes() == data


def test_it_does_not_start_open_to_the_network_without_telling_people_apart(
    tmp_path: Path, mongo_url: str
) -> None:
    command = [sys.executable, "-m", "scientistcloud", "serve", "--host", "0.0.0.0"]
    environment = os.environ | {"MONGO_URL": mongo_url, "VISUS_DATASETS": str(tmp_path)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 2
    assert "AUTH=none" in ended.stderr
    assert "AUTH=token" in ended.stderr
