"""JupyterLab as `make lab` starts it, in Chromium: the page that says where to begin, and lessons
whose sliders follow the keyboard. The same without a browser: tests/learn/test_live.py.
"""

from urllib.parse import unquote

import pytest
from axe_playwright_python.sync_playwright import Axe

from benchmarks import lab
from depnb.book import pdf
from tests.learn.test_start import links

pytestmark = pytest.mark.slow


@pytest.fixture
def address(tmp_path):
    """A JupyterLab in which no notebook was opened before."""
    pytest.importorskip("jupyterlab", reason="no JupyterLab: make test-slow installs it")
    if pdf.chromium() is None:
        pytest.skip("no Chromium: install it (apt-get install chromium), "
                    "or name one in DEPNB_CHROMIUM")
    with lab.jupyter_lab(tmp_path) as address:
        yield address


def test_the_first_page_is_rendered_and_leads_to_every_notebook_it_names(address):
    with lab.browser_page(address) as (page, elsewhere):
        page.get_by_role("heading", name="Where to begin").wait_for()
        for title, target in links():
            page.locator(".jp-RenderedMarkdown").get_by_role("link", name=title).click()
            page.wait_for_function(
                "path => jupyterapp.shell.currentWidget?.context?.path == path", arg=target)
            heading = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)").get_by_role(
                "heading", level=1)
            heading.first.wait_for()
            assert title in heading.first.inner_text()
            page.evaluate("jupyterapp.commands.execute('application:close')")
            page.wait_for_function("jupyterapp.shell.currentWidget?.context?.path == 'START.ipynb'")
        assert unquote(page.url).endswith("/lab/tree/START.ipynb")
        assert elsewhere == []


@pytest.mark.parametrize("lesson", ["attention", "voice"])
def test_a_lesson_answers_to_its_first_slider(address, lesson, record_property):
    with lab.browser_page(address) as (page, elsewhere):
        seconds, box = lab.react(page, lesson)
        record_property(f"seconds to the first slider of {lesson}", round(seconds, 1))
        print(f"{lesson}: {seconds:.1f} s from the kernel's start to a changed picture")
        handle, words = box.get_by_role("slider"), box.locator("output")
        control = box.locator(".widget-hslider .widget-label").inner_text()
        assert handle.get_attribute("aria-label") == control
        for key in ("Home", "ArrowRight", "End"):
            before = words.inner_text()
            page.keyboard.press(key)
            page.wait_for_function("([output, text]) => !output.isConnected || "
                                   "output.innerText != text",
                                   arg=[words.element_handle(), before])
            label = words.inner_text()
            assert box.locator("img").get_attribute("alt").endswith(f": {label}")
            page.wait_for_function("([handle, label]) => handle.ariaValueText == label",
                                   arg=[handle.element_handle(), label])
        violations = Axe().run(page, {"include": [[".depnb-slider.widget-vbox"]]}).response[
            "violations"]
        assert [(v["id"], v["nodes"][0]["failureSummary"]) for v in violations
                if v["impact"] in ("serious", "critical")] == []
        assert elsewhere == []
