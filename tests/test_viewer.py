"""result.html and its small form: what they hold, how large they are, and that they live in a browser."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
import tomllib
import zlib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
from made_solution import FAR_M, NEAR_M, made_solution
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import dpcip
from dpcip.solver.solution import Solution
from dpcip.viewer.page import result_page

TOP = Path(__file__).resolve().parent.parent
VIEWER = Path(dpcip.__file__).parent / "viewer"
BYTES = 5_000_000


def page_of(solution: Solution) -> str:
    return result_page(solution._shown())


def held(html: str, name: str) -> str:
    found = re.search(rf'<script type="[^"]*" id="{name}">([^<]*)</script>', html)
    assert found
    return found[1]


def unpacked(text: str, shape: tuple[int, int]) -> np.ndarray:
    high, low = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(2, -1).astype(np.uint16)
    return np.cumsum((high << 8) + low, dtype=np.uint16).reshape(shape)


def test_vendored_files_are_those_that_are_told_of() -> None:
    rows = re.findall(r"^\| (\S+\.js) \| (\S+) \| (\S+) \| (\S+) \| (\w{64}) \|$", _vendor("README.md"), re.M)
    package = json.loads(_vendor("package.json"))
    assert {name: version for _, name, version, _, _ in rows} == package["dependencies"]
    assert {file for file, *_ in rows} == {path.name for path in VIEWER.glob("vendor/*.min.js")}
    for file, name, _, licence, digest in rows:
        assert hashlib.sha256((VIEWER / "vendor" / file).read_bytes()).hexdigest() == digest, file
        assert licence == "MIT" and "Permission is hereby granted" in _vendor(f"{name}.LICENSE")
        assert "</script" not in _vendor(file)  # it would end the page's script
        assert _vendor(f"{name}.LICENSE") in page_of(made_solution())  # who passes a page on passes on what it holds


def _vendor(name: str) -> str:
    return (VIEWER / "vendor" / name).read_text(encoding="utf-8")


def test_the_wheel_has_every_file_of_the_page() -> None:
    settings = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    patterns = settings["package-data"]["dpcip.viewer"]
    files = [path.relative_to(VIEWER).as_posix() for path in VIEWER.rglob("*") if path.is_file()]
    left_out = [f for f in files if not f.endswith((".py", ".pyc")) and not any(fnmatch(f, p) for p in patterns)]
    assert left_out == []


def test_depth_and_uncertainty_survive_the_packing() -> None:
    solution = made_solution()
    solution.depth_m[:] += np.linspace(0, 0.3, solution.depth_m.shape[1])
    html = page_of(solution)
    data = json.loads(held(html, "data"))
    (low, high), (least, most) = data["depth"]["range"], data["std"]["range"]
    levels = unpacked(held(html, "depth-packed"), solution.depth_m.shape)
    depth_m = 1 / (low + levels / data["depth"]["levels"] * (high - low))
    assert np.allclose(depth_m, solution.depth_m, rtol=5e-4)
    codes = unpacked(held(html, "std-packed"), solution.depth_m.shape)
    std = np.exp(least + codes / data["std"]["levels"] * (most - least)) / data["dioptresPerPsi"]
    assert np.allclose(std, solution.psi_std, rtol=0.01)


@pytest.mark.parametrize(
    "form",
    [
        {"height": 64, "width": 64, "channels": 1, "latent": 1},
        {"channels": 2, "latent": 1},
        {"channels": 2, "latent": 2},
        {"depth": "flat"},
        {"depth": "sky"},
        {"height": 200, "width": 64},
        {"photograph": {}},
        {"psf_bank": {}},
    ],
    ids=str,
)
def test_every_kind_of_result_has_a_page(form: dict) -> None:
    solution = made_solution(**form)
    html = page_of(solution)
    data = json.loads(held(html, "data"), parse_constant=pytest.fail)  # NaN is no JSON
    assert (data["height"], data["width"]) == solution.psi.shape
    assert len(html) < 1_000_000
    assert len(solution._repr_html_()) < 200_000


def test_a_large_or_noisy_photograph_is_shown_smaller_and_the_page_says_so() -> None:
    rng = np.random.default_rng(0)
    solution = made_solution(1024, 1024)
    html = page_of(solution)
    assert len(html.encode()) < BYTES and "<li>shown at" not in html  # a megapixel is whole
    solution = made_solution(1000, 1400)
    solution.sharp[:] = rng.random(solution.sharp.shape)
    solution.depth_m[:] = rng.uniform(0.5, 1.5, solution.depth_m.shape)
    html = page_of(solution)
    data = json.loads(held(html, "data"))
    assert 0.8 * BYTES < len(html.encode()) < BYTES
    assert data["width"] < 1400 and f"shown at {data['width']}x{data['height']} of 1400x1000 pixels" in html
    large = made_solution(300, 4400)
    html = page_of(large)
    assert json.loads(held(html, "data"))["width"] <= 4096 and len(html.encode()) < BYTES
    assert len(large._repr_html_().encode()) < 1_000_000


def test_a_name_is_no_markup() -> None:
    html = page_of(made_solution(photograph={"file": "<img src=x>.png"}))
    assert "<img src=x>" not in html and "&lt;img src=x&gt;.png" in html


def test_every_picture_has_words() -> None:
    solution = made_solution()
    for html in (page_of(solution), solution._repr_html_()):
        pictures = re.findall(r"<img [^>]*>", html)
        assert len(pictures) >= 2 and all(re.search(r'alt="[^"]+"', picture) for picture in pictures)
        assert all('src="data:image/webp;base64,' in picture for picture in pictures)
    canvases = re.findall(r"<canvas [^>]*>", html := page_of(solution))
    assert len(canvases) == 3 and all('aria-label="' in canvas for canvas in canvases)


# ---- in a browser ----

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
SOFTWARE_GRAPHICS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SOFTWARE_GRAPHICS)
        yield browser
        browser.close()


class Watched:
    """A page that notes every message and request but that for itself."""

    def __init__(self, browser: Browser, file: Path, **options: object) -> None:
        self.page: Page = browser.new_context(**options).new_page()
        self.noted: list[str] = []
        self.page.on("console", lambda message: self.noted.append(message.text))
        self.page.on("pageerror", lambda error: self.noted.append(str(error)))
        self.page.on("request", lambda request: self.noted.append(request.url))
        self.page.goto(file.resolve().as_uri())
        self.noted = [text for text in self.noted if not text.startswith(("data:", file.resolve().as_uri()))]

    def seen(self, selector: str) -> np.ndarray:
        """Pixels of an element, [H, W, 3]."""
        return np.asarray(Image.open(io.BytesIO(self.page.locator(selector).screenshot())).convert("RGB")).astype(float)

    def settled(self, selector: str) -> np.ndarray:
        """The same, once two pictures in a row are equal: a slide has come to its end."""
        if selector == "#refocus":
            self.page.wait_for_selector("#refocus[data-drawn=finely]")
        before = self.seen(selector)
        for _ in range(40):
            self.page.wait_for_timeout(100)
            now = self.seen(selector)
            if np.array_equal(now, before):
                return now
            before = now
        raise AssertionError(f"{selector} does not come to rest")

    def set(self, slider: str, value: float) -> None:
        self.page.locator(slider).fill(str(value))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("result")
    made_solution().save(folder)
    return folder / "result.html"


@needs_browser
@pytest.mark.slow
def test_the_page_lives(browser: Browser, result: Path) -> None:
    """From disk, without network or complaint: sliders, pointer and keys change what is shown."""
    watched = Watched(browser, result, viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = watched.page
    page.wait_for_selector("body[data-ready]")

    before = watched.settled("#compare")
    box = page.locator("#compare").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 10, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    assert np.abs(watched.settled("#compare") - before).mean() > 5

    probe = page.locator("#probe")
    box = probe.bounding_box()
    probe.hover(position={"x": box["width"] / 2 + 2, "y": box["height"] / 2 - 2})
    near, std = page.locator("#depth-at").text_content().split(" ± ")
    assert near == f"{NEAR_M:.3f} m" and 0.005 < float(std.removesuffix(" m")) < 0.012  # 0.2 rad at 0.6 m: 0.008 m
    probe.focus()
    for _ in range(4):
        page.keyboard.press("Shift+ArrowLeft")
    assert page.locator("#depth-at").text_content().startswith(f"{FAR_M:.3f} m")
    assert re.fullmatch("at column 24, row 4[78]", page.locator("#pixel-at").text_content())
    depth = watched.seen("#depth")
    page.locator("[value=std]").focus()
    page.keyboard.press("Space")
    assert np.abs(watched.seen("#depth") - depth).mean() > 5
    assert "rad" in page.locator("[data-of=std]").text_content()

    front = watched.settled("#space")
    assert front.std() > 10 and (front[..., 0] - front[..., 2]).max() > 50 < (front[..., 2] - front[..., 0]).max()
    page.locator("#space").focus()
    page.keyboard.press("ArrowLeft")
    turned = watched.settled("#space")
    assert np.abs(turned - front).mean() > 2
    watched.set("#stretch", 100)
    assert np.abs(watched.settled("#space") - turned).mean() > 1
    page.locator("#swing").click()
    page.wait_for_timeout(300)
    moving = watched.seen("#space")
    page.wait_for_timeout(300)
    assert np.abs(watched.seen("#space") - moving).mean() > 0.5
    page.locator("#front").click()
    assert page.locator("#swing").get_attribute("aria-pressed") == "false"

    page.locator(".enlarge").first.click()
    assert page.locator("#compare").bounding_box()["width"] > 700
    assert watched.noted == []


@needs_browser
@pytest.mark.slow
def test_refocusing_heeds_what_hides_what(browser: Browser, result: Path) -> None:
    """A pinhole shows the sharp image; a near square in focus stays sharp before a blurred wall, sheds no colour."""
    watched = Watched(browser, result, viewport={"width": 1280, "height": 900})
    watched.page.wait_for_selector("body[data-ready]")
    watched.set("#aperture", 0)
    pinhole = watched.settled("#refocus")
    encoded = watched.page.locator("#sharp").get_attribute("src").split(",")[1]
    size = pinhole.shape[1::-1]
    sharp = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).resize(size, Image.Resampling.BILINEAR))
    assert np.abs(pinhole - sharp).mean() < 3

    height, width = pinhole.shape[:2]
    inside = np.s_[height * 2 // 5 : height * 3 // 5, width * 2 // 5 : width * 3 // 5]
    beside = np.s_[height * 2 // 5 : height * 3 // 5, width * 27 // 100 : width * 31 // 100]
    watched.set("#aperture", 100)
    watched.set("#focus", 1000)
    near = watched.settled("#refocus")
    assert np.abs(near - pinhole)[inside].mean() < 3
    assert np.abs(near - pinhole)[: height // 4].mean() > 5
    assert near[beside][..., 0].mean() < pinhole[beside][..., 0].mean() + 15  # red is the square's
    watched.page.locator("#refocus").click(position={"x": 20, "y": 20})
    far = watched.settled("#refocus")
    assert watched.page.locator("#focus-at").text_content() == f"{FAR_M:.3f} m"
    assert np.abs(far - pinhole)[: height // 4].mean() < 3
    assert far[beside][..., 0].mean() > near[beside][..., 0].mean() + 20  # the blurred square lies over the wall
    assert watched.noted == []


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("form", [{"depth": "sky"}, {"depth": "flat", "channels": 2, "latent": 1}], ids=str)
def test_a_dark_phone_and_odd_depths(browser: Browser, form: dict, tmp_path: Path) -> None:
    file = tmp_path / "result.html"
    file.write_text(page_of(made_solution(**form)), encoding="utf-8")
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "color_scheme": "dark"}
    watched = Watched(browser, file, **phone)
    watched.page.wait_for_selector("body[data-ready]")
    watched.page.locator("#probe").tap(position={"x": 5, "y": 5})
    expected = "∞" if form["depth"] == "sky" else f"{NEAR_M:.3f} m"
    assert watched.page.locator("#depth-at").text_content().startswith(expected)
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert watched.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 21, 24)"
    for canvas in ("#refocus", "#space"):
        assert watched.settled(canvas).std() > 5, canvas
    assert watched.noted == []


@needs_browser
@pytest.mark.slow
def test_the_small_form_and_both_without_scripts(browser: Browser, result: Path, tmp_path: Path) -> None:
    html = made_solution()._repr_html_()
    file = tmp_path / "small.html"
    file.write_text(f"<!doctype html><body>{html}{html}", encoding="utf-8")  # two results in one notebook
    watched = Watched(browser, file)
    watched.page.wait_for_selector("img-comparison-slider.rendered")
    assert watched.noted == []
    for still, count in ((file, 6), (result, 2)):
        pictures = Watched(browser, still, java_script_enabled=False).page.locator("img")
        boxes = [pictures.nth(k).bounding_box() for k in range(count)]
        assert pictures.count() == count and all(box["width"] > 200 for box in boxes)
        frame = pictures.first.locator("xpath=..").bounding_box()
        assert boxes[1]["y"] >= boxes[0]["y"] + boxes[0]["height"]  # neither hides the other
        assert frame["y"] + frame["height"] >= boxes[1]["y"] + boxes[1]["height"] - 1  # nor does their frame
        assert boxes[0]["width"] / boxes[0]["height"] == pytest.approx(4 / 3, rel=0.02)
