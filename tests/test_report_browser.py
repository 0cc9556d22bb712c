"""The page in a real browser: links lead, the language changes, with scripts and without, and nothing is asked for."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from neurovision_assets.surgery.report.html import render_html
from neurovision_assets.surgery.report.pictures import load_pictures
from neurovision_assets.surgery.report.texts import Words
from tests.report_fixture import operation
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",  # containers have 64 MB of shared memory, and Chromium stops when they are full
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as engine:
        running = engine.chromium.launch(executable_path=chromium, args=FLAGS, timeout=PATIENCE_S * 1000)
        try:
            yield running
        finally:
            kill_browser()
            running.close()


def kill_browser() -> None:
    """Asked to close, a browser that hangs does not answer, and Playwright waits for the answer for ever."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "chrom" in process.name():
                process.kill()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    report = operation().report()
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(render_html(report, load_pictures(report, operation().load_frame)))
    return Path(path).as_uri()


def opened(browser: Any, address: str, **settings: Any) -> tuple[Any, list[str]]:
    page = browser.new_context(viewport={"width": 1280, "height": 900}, **settings).new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("request", lambda request: told.append(request.url) if request.url.startswith("http") else None)
    page.goto(address)
    return page, told


def test_a_click_on_a_phase_shows_its_picture(browser: Any, address: str) -> None:
    page, told = opened(browser, address)
    segment = max(operation().report().phases, key=lambda item: item.duration_ms)
    page.locator(f'.chart[lang=en] a[*|href="#frame-{segment.key_frame}"]').first.click()
    figure = page.locator(f"#frame-{segment.key_frame}")
    page.wait_for_function("scrollY > 0")
    assert page.url.endswith(f"#frame-{segment.key_frame}")
    assert figure.bounding_box()["width"] > 800
    assert told == []


def test_the_language_changes(browser: Any, address: str) -> None:
    page, told = opened(browser, address)
    page.locator("label[for=lang-ru]").click()
    assert page.evaluate("document.documentElement.lang") == "ru"
    assert page.title().startswith(Words("ru").text("title"))
    assert page.locator("h2:visible").first.inner_text() == Words("ru").text("timeline")
    assert page.locator("img").first.get_attribute("alt").startswith("Кадр видео")
    assert told == []


def test_it_works_without_scripts(browser: Any, address: str) -> None:
    page, _ = opened(browser, address, java_script_enabled=False)
    assert page.locator("h2:visible").first.inner_text() == Words("en").text("timeline")
    page.locator("label[for=lang-ru]").click()
    assert page.locator("h2:visible").first.inner_text() == Words("ru").text("timeline")


def test_marks_can_be_hidden(browser: Any, address: str) -> None:
    page, _ = opened(browser, address)
    marks = page.locator("figure svg.marks").first
    assert marks.is_visible()
    page.locator("label[for=marks]").click()
    assert not marks.is_visible()


@pytest.mark.parametrize("width", [400, 768, 1280])
def test_nothing_runs_out_of_the_page(browser: Any, address: str, width: int) -> None:
    page, _ = opened(browser, address)
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
