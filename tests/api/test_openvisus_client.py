"""OpenVisus' own client over HTTP reads random datasets and boxes as it reads them from disk.

The datasets are written by OpenVisus: block files and ARCO, blocks row-major and in HZ order, raw,
zip and lz4, several fields, times and components, sizes that are no power of two, blocks left out.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.serving import Server, serving
from tests.idx.test_reader import Case, cases, make

_SECONDS = 60
CLIENT = """
import json, sys
import numpy as np
import OpenVisus as ov

def read(dataset, access, query):
    try:
        return dataset.read(**query, **access)
    except Exception as error:
        return repr(error)

for line in sys.stdin:
    job = json.loads(line)
    here, wrong, compared = ov.LoadDataset(job["path"]), [], 0
    for url, mode in job["ways"]:
        there = ov.LoadDataset(url)
        access = {"access": there.createAccessForBlockQuery()} if mode == "block" else {}
        for query in job["queries"]:
            expected = read(here, {}, query)
            if not isinstance(expected, np.ndarray):
                continue
            found = read(there, access, query)
            compared += 1
            same = isinstance(found, np.ndarray) and found.dtype == expected.dtype
            if not same or found.tobytes() != expected.tobytes():
                wrong.append([mode, query, str(found)[:200]])
    print("ANSWER " + json.dumps([compared, wrong]), flush=True)
"""


class Client:
    """A process of OpenVisus that lives for all examples; a hang of it is an error."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", CLIENT], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._answers: queue.Queue[str] = queue.Queue()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def ask(self, job: dict[str, Any]) -> tuple[int, list[Any]]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        compared, wrong = json.loads(self._answers.get(timeout=_SECONDS))
        return compared, wrong

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._thread.join()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("ANSWER "):
                self._answers.put(line.removeprefix("ANSWER "))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, mongo_url: str) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("bare"), mongo_url) as running:
        yield running


@pytest.fixture(scope="module")
def client(bare: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("visus")
    running = Client(bare.environment() | {"VISUS_CACHE": str(folder), "HOME": str(folder)})
    yield running
    running.close()


def _query(case: Case, data: st.DataObject) -> dict[str, Any]:
    low = [data.draw(st.integers(-3, n - 1)) for n in reversed(case.shape)]
    high = [data.draw(st.integers(max(l, 0) + 1, n + 3))
            for l, n in zip(low, reversed(case.shape), strict=True)]  # fmt: skip
    bits = sum((n - 1).bit_length() for n in case.shape)
    return {
        "field": f"f{data.draw(st.integers(0, len(case.fields) - 1))}",
        "time": data.draw(st.integers(0, case.timesteps - 1)),
        "logic_box": [low, high],
        "max_resolution": data.draw(st.integers(0, bits)),
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@settings(
    max_examples=12, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(case=cases(), data=st.data())
def test_the_client_reads_over_http_what_lies_on_disk(
    bare: Server, client: Client, case: Case, data: st.DataObject
) -> None:
    number = len(list((bare.root / "converted").iterdir()))
    uuid = f"random-{number}"
    path = make(case, Path(bare.root) / "converted" / uuid)
    bare.datasets.insert_one({"uuid": uuid, "name": uuid, "user": "me", "status": "done"})
    query = f"{bare.address}/mod_visus?dataset={uuid}"
    ways = [(query, "box"), (query, "block"), (f"{bare.address}/d/{uuid}/visus.idx", "static")]
    whole = {"logic_box": [[0] * len(case.shape), list(reversed(case.shape))], "field": "f0"}
    queries = [whole, *(_query(case, data) for _ in range(6))]
    compared, wrong = client.ask({"path": str(path), "ways": ways, "queries": queries})
    assert not wrong, wrong
    assert compared >= len(ways), "the client read nothing from disk"
