"""neuroglancer, in a real browser, draws a dataset from nothing but its address."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.api.serving import Server, serving
from tests.idx.written import write_idx

UUID = "drawn"
BROWSER = shutil.which("chromium")
SIZE = {"width": 800, "height": 600}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, mongo_url: str) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("drawn"), mongo_url) as running:
        z, y, x = np.mgrid[-1:1:96j, -1:1:128j, -1:1:160j]
        ball = (4000 * np.exp(-4 * (x**2 + y**2 + z**2))).astype(np.uint16)
        write_idx(Path(running.root) / "converted" / UUID, {"data": ball[None]}, 3)
        running.datasets.insert_one(
            {"uuid": UUID, "name": "n", "user": "me", "status": "done", "is_public": True}
        )
        yield running


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
@pytest.mark.parametrize(("name", "kind"), [("zarr", "zarr3"), ("zarr2", "zarr2")])
def test_neuroglancer_draws_the_volume(drawn: Server, name: str, kind: str) -> None:
    neuroglancer = pytest.importorskip("neuroglancer", reason="neuroglancer is not installed")
    from playwright.sync_api import sync_playwright

    source = f"{drawn.address}/{name}/{UUID}/|{kind}:"
    shader = "#uicontrol invlerp n(range=[0, 4000])\nvoid main() { emitGrayscale(n()); }"
    viewer = neuroglancer.Viewer()
    with viewer.txn() as state:
        state.layers["data"] = neuroglancer.ImageLayer(source=source, shader=shader)
        state.layout = "xy"
    arguments = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader",
                 "--enable-unsafe-swiftshader"]  # fmt: skip
    try:
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=BROWSER, args=arguments)
            page = browser.new_page(viewport=SIZE)
            page.goto(viewer.get_viewer_url())
            for _ in range(60):
                page.wait_for_timeout(500)
                picture = page.screenshot()
                grays = _grays(picture)
                if grays.max() > 230:
                    break
            browser.close()
    finally:
        neuroglancer.stop()
    assert grays.max() > 230, "the middle of the ball is not bright"
    assert grays.min() < 20, "the corner beside the ball is not dark"
    assert len(np.unique(grays)) > 50


def _grays(picture: bytes) -> NDArray[np.uint8]:
    """The pixels without colour (lines of axes and boxes have some) around the middle."""
    colors = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))[262:384, 355:445]
    return colors[np.ptp(colors, axis=-1) == 0][:, 0]
