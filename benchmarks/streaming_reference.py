"""Today's way: OpenVisus' reader behind FastAPI, and files as they lie; for `benchmarks.streaming`.

``uvicorn benchmarks.streaming_reference:app``, with the folder in BENCHMARK_FOLDER.
"""

from __future__ import annotations

import importlib
import os
import threading

import numpy as np
from fastapi import FastAPI
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles

FOLDER = os.environ["BENCHMARK_FOLDER"]
app = FastAPI()
_local = threading.local()


@app.get("/box/{uuid}")
def box(uuid: str, box: str) -> Response:
    """Raw samples of ``x1,x2,y1,y2[,z1,z2]``; each thread keeps its dataset open."""
    opened = _local.__dict__.setdefault("opened", {})
    if uuid not in opened:
        openvisus = importlib.import_module("OpenVisus")
        opened[uuid] = openvisus.LoadDataset(f"{FOLDER}/{uuid}/visus.idx")
    numbers = [int(each) for each in box.split(",")]
    samples = opened[uuid].read(logic_box=[numbers[0::2], numbers[1::2]])
    return Response(np.ascontiguousarray(samples).tobytes(), media_type="application/octet-stream")


app.mount("/files", StaticFiles(directory=FOLDER))
