"""The page in a real browser: upload, watch, look, share; pixels compared with the values."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import tifffile
from PIL import Image

from scientistcloud.streaming.colors import Look, paint
from tests.api.serving import Server, serving

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed"),
]
VOLUME = np.random.default_rng(0).integers(0, 4000, (20, 48, 64), np.uint16)
WORDS = Path(__file__).parents[2] / "src/scientistcloud/web/source/src/words"
SHARP = "body[data-state=sharp]"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mongo_url: str) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("page"), mongo_url) as running:
        worker = running.worker()
        yield running
        worker.terminate()
        worker.wait(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader",
                  "--enable-unsafe-swiftshader", "--disable-background-networking"],
        )  # fmt: skip
        yield found
        found.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    made = browser.new_page(viewport={"width": 1100, "height": 800})
    problems: list[str] = []
    made.on("pageerror", lambda error: problems.append(str(error)))
    made.on(
        "console",
        lambda message: problems.append(message.text) if message.type == "error" else None,
    )
    yield made
    made.close()
    assert not problems, problems


@pytest.fixture(scope="module")
def volume(server: Server) -> str:
    file = io.BytesIO()
    tifffile.imwrite(file, VOLUME)
    uuid = server.create(name="volume", files=1)
    form = [("files", ("volume.tif", file.getvalue()))]
    server.http.post(f"/api/v2/datasets/{uuid}/files", files=form)
    server.wait(uuid, "done")
    return uuid


def _canvas(page: Any, index: int = 0) -> np.ndarray:
    """What a canvas shows, as bytes of RGBA."""
    script = "(canvas) => canvas.toDataURL('image/png')"
    text = page.locator("canvas").nth(index).evaluate(script)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))))


def test_a_folder_is_dropped_watched_looked_into_and_shared(
    server: Server, page: Any, browser: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "scan"
    folder.mkdir()
    for index in range(4):
        tifffile.imwrite(folder / f"s_{index:02}.tif", VOLUME[index])
    page.goto(f"{server.address}/upload")
    page.set_input_files("input[type=file] >> nth=1", str(folder))
    page.click("button.main")
    page.wait_for_selector("section[data-stage=done]", timeout=60_000)
    page.click("section a.button >> nth=0")
    page.wait_for_selector(SHARP)
    assert re.search(r"/view/[0-9a-f-]{36}", page.url)
    uuid = re.search(r"/view/([0-9a-f-]{36})", page.url)[1]  # type: ignore[index]
    page.goto(server.address)
    page.wait_for_selector(f"li[data-uuid='{uuid}'] img")
    page.click(f"li[data-uuid='{uuid}'] button:has-text('Share')")
    page.click("dialog button.main")
    link = page.locator("[data-link]").get_attribute("data-link")
    stranger = browser.new_page()
    stranger.goto(link)
    stranger.wait_for_selector(SHARP)
    other = server.http.get(f"/api/v2/datasets?token={link.partition('token=')[2]}").json()
    assert [each["uuid"] for each in other["datasets"]] == [uuid]
    stranger.close()


def test_an_upload_is_looked_at_before_it_is_converted(
    server: Server, page: Any, tmp_path: Path
) -> None:
    """Another choice changes what would be made, and the pictures are those of the samples."""
    values = np.random.default_rng(2).random((6, 30, 50)).astype(np.float32)
    np.save(tmp_path / "film.npy", values)
    page.goto(f"{server.address}/upload")
    page.set_input_files("input[type=file] >> nth=0", str(tmp_path / "film.npy"))
    page.click("button[value=look]")
    page.wait_for_selector("form[data-inspected]", timeout=30_000)
    page.wait_for_selector("[data-glimpse='3'] img")
    uuid = page.locator("section[data-uuid]").get_attribute("data-uuid")
    document = server.find(uuid)
    assert (document or {})["status"] == "uploading", "it waits for the choices"
    cuts = (values[3], values[:, 15], values[:, :, 25])
    low = float(min(each.min() for each in cuts))
    high = float(max(each.max() for each in cuts))
    for index, plane in enumerate(cuts):
        picture = page.locator("[data-glimpse] img").nth(index).get_attribute("src")
        data = base64.b64decode(picture.partition(",")[2])
        shown = np.asarray(Image.open(io.BytesIO(data)))
        np.testing.assert_array_equal(shown, paint(plane, 1, Look(low, high)))
    page.select_option("[data-parameter=axes] select", "tyx")
    page.wait_for_selector("[data-glimpse='1'] img", timeout=30_000)
    page.wait_for_selector("form[data-inspected] td:has-text('6 timesteps')")
    assert page.locator("[data-parameter=axes] option").count() > 2, "one can choose again"
    page.click("form[data-inspected] button.main")
    page.wait_for_selector("section[data-stage=done]", timeout=60_000)
    found = server.http.get(f"/api/v2/datasets/{uuid}/description").json()
    assert (found["dims"], len(found["timesteps"])) == ([50, 30], 6)


@pytest.mark.parametrize("palette", ["viridis", "gray", "RdBu_r"])
@pytest.mark.parametrize("scale", ["linear", "log", "symlog"])
def test_pixels_have_the_colours_of_the_values(
    server: Server, page: Any, volume: str, palette: str, scale: str
) -> None:
    view = f"layout=plane&plane=0&at=1,2,7&c0=1~{palette}~{scale}~100~3000~00ff66"
    zoom = 8.0
    page.goto(f"{server.address}/view/{volume}#{view}&camera=32,24,{zoom:g}")
    page.wait_for_selector(SHARP)
    page.wait_for_timeout(200)
    assert page.locator("body").get_attribute("data-level") == str(6 + 6 + 5)
    shown = _canvas(page)
    height, width = shown.shape[:2]
    look = Look(100, 3000, palette, scale)  # type: ignore[arg-type]
    expected = paint(VOLUME[7], 1, look).astype(int)
    for y, x in ((2, 3), (24, 32), (40, 60), (10, 50)):
        at_x, at_y = (
            round(width / 2 + (x + 0.5 - 32) * zoom),
            round(height / 2 + (y + 0.5 - 24) * zoom),
        )
        if 0 <= at_x < width and 0 <= at_y < height:
            difference = np.abs(shown[at_y, at_x, :3].astype(int) - expected[y, x, :3])
            assert difference.max() <= 4, f"{(y, x)}: {shown[at_y, at_x]} {expected[y, x]}"


def test_keys_go_through_planes_and_the_link_keeps_the_view(
    server: Server, page: Any, volume: str
) -> None:
    page.goto(f"{server.address}/view/{volume}#layout=plane&at=5,6,7")
    page.wait_for_selector(SHARP)
    page.locator("canvas").first.focus()
    page.keyboard.press("PageUp")
    page.keyboard.press("PageUp")
    page.wait_for_url(re.compile("at=5%2C6%2C9"))
    page.reload()
    page.wait_for_selector(SHARP)
    assert "z = 9" in page.locator(".plane-name").first.inner_text()


def test_two_times_side_by_side_are_linked_and_in_the_link(
    server: Server, page: Any, tmp_path: Path
) -> None:
    film = np.random.default_rng(4).integers(0, 201, (3, 24, 32)).astype(np.uint8)
    np.save(tmp_path / "film.npy", film)
    body = {"name": "film", "files": 1, "parameters": {"axes": "tyx"}}
    uuid = server.create(**body)
    form = [("files", ("film.npy", (tmp_path / "film.npy").read_bytes()))]
    server.http.post(f"/api/v2/datasets/{uuid}/files", files=form)
    server.wait(uuid, "done")
    page.goto(f"{server.address}/view/{uuid}")
    page.wait_for_selector(SHARP)
    page.select_option("fieldset.beside select >> nth=0", uuid)
    page.select_option("fieldset.beside select >> nth=1", "2")
    page.wait_for_selector(f"{SHARP} .planes.two canvas >> nth=1")
    page.wait_for_url(re.compile("beside"))
    page.locator("canvas").first.focus()
    for key in ("+", "ArrowRight"):
        page.keyboard.press(key)
    page.wait_for_url(re.compile("camera"))
    page.wait_for_selector(SHARP)
    page.wait_for_timeout(1500)
    _has_colours(page, 0, film[0], film.min(), film.max())
    _has_colours(page, 1, film[2], film.min(), film.max())
    page.reload()
    page.wait_for_selector(f"{SHARP} .planes.two canvas >> nth=1")
    page.wait_for_timeout(1500)
    _has_colours(page, 1, film[2], film.min(), film.max())


def _has_colours(page: Any, index: int, plane: np.ndarray, low: float, high: float) -> None:
    """The canvas shows the samples where the camera of the link says that they lie."""
    camera = parse_qs(urlsplit(page.url).fragment)["camera"][0]
    x, y, zoom = map(float, camera.split(","))
    shown = _canvas(page, index)
    expected = paint(plane, 1, Look(low, high))
    height, width = shown.shape[:2]
    seen = 0
    for row, column in np.ndindex(plane.shape):
        at_x = round(width / 2 + (column + 0.5 - x) * zoom)
        at_y = round(height / 2 + (row + 0.5 - y) * zoom)
        if 0 <= at_x < width and 0 <= at_y < height:
            difference = np.abs(shown[at_y, at_x].astype(int) - expected[row, column])
            assert difference.max() <= 4, (row, column)
            seen += 1
    assert seen > plane.size // 4


def test_hostile_names_are_text(server: Server, page: Any, volume: str) -> None:
    name = '<script>alert(1)</script>\u202e"><img src=x onerror=alert(1)>'
    server.http.patch(f"/api/v2/datasets/{volume}", json={"name": name, "tags": ["<b>x</b>"]})
    for path in ("/", f"/view/{volume}"):
        page.goto(server.address + path)
        page.wait_for_selector("h1")
        page.wait_for_timeout(500)
        assert page.locator("img[src=x]").count() == 0
        assert page.locator("b").count() == 0
    server.http.patch(f"/api/v2/datasets/{volume}", json={"name": "volume", "tags": []})


@pytest.mark.parametrize("path", ["/", "/upload", "/system", "/view"])
@pytest.mark.parametrize("width", [320, 1280])
def test_no_page_scrolls_sideways(
    server: Server, browser: Any, volume: str, path: str, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 700})
    page.goto(server.address + (f"/view/{volume}" if path == "/view" else path))
    page.wait_for_selector("main")
    page.wait_for_timeout(500)
    wide = page.locator("html").evaluate("(html) => html.scrollWidth")
    page.close()
    assert wide <= width


@pytest.mark.parametrize("path", ["/", "/upload", "/system", "/view"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    server: Server, browser: Any, volume: str, path: str, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    # The checker is injected, which the page's own policy would not let in.
    page = browser.new_page(color_scheme=scheme, bypass_csp=True)
    page.goto(server.address + (f"/view/{volume}" if path == "/view" else path))
    page.wait_for_selector(SHARP if path == "/view" else "h1")
    page.wait_for_timeout(500)
    found = Axe().run(page)
    page.close()
    assert found.violations_count == 0, found.generate_report()


def test_the_words_of_both_languages_are_the_same_ones() -> None:
    import json

    folder = (
        Path(__file__).parents[2] / "src" / "scientistcloud" / "web" / "source" / "src" / "words"
    )
    english, german = (json.loads((folder / f"{name}.json").read_text()) for name in ("en", "de"))
    assert set(english) == set(german)
    for word, text in english.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", german[word])), word
