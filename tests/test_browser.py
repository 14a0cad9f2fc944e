"""Every page of the built book in headless Chromium: offline, on a phone, in the dark, by keyboard,
by screen reader.

DEPNB_CHROMIUM names the browser where it is not on the path; DEPNB_BOOK a folder of built pages
(_build/html) to look at instead of the small book that the other tests build.
"""

import os
from pathlib import Path

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from depnb.book import pdf
from tests.paths import ROOT

PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
SLOW = 60_000                                   # ms: only a browser that hangs takes so long
FOCUSED = """() => {
    const e = document.activeElement, style = getComputedStyle(e);
    const ring = s => s.outlineStyle != 'none' && parseFloat(s.outlineWidth) > 0
        || s.boxShadow != 'none';
    return {what: e.outerHTML.slice(0, 120), href: e.getAttribute('href') || '',
            on: e !== document.body,
            seen: (ring(style) || ring(getComputedStyle(e, '::after')))
                && parseFloat(style.opacity) > 0
                  && e.getBoundingClientRect().width > 0,
            main: e.closest('main') !== null};
}"""
HIDDEN = f"""() => [...document.querySelectorAll(
        'a[href], button, input, summary, audio, [tabindex="0"]')]
    .filter(e => e.checkVisibility({{visibilityProperty: true}}) && e.tabIndex >= 0)
    .map(e => {{ e.focus({{preventScroll: true}}); return ({FOCUSED})(); }})
    .filter(here => here.on && !here.seen).map(here => here.what)"""
SAMPLES = """() => {      // marks three elements of every combination of letters and grounds
    const seen = {};
    for (const e of document.body.querySelectorAll('*')) {
        e.removeAttribute('data-sample');
        if (!e.checkVisibility() || ![...e.childNodes].some(
            n => n.nodeType == Node.TEXT_NODE && n.data.trim())) continue;
        const style = getComputedStyle(e);
        const key = [style.color, style.fontSize, style.fontWeight, style.opacity];
        for (let up = e; up; up = up.parentElement) key.push(getComputedStyle(up).backgroundColor);
        const look = key.filter(colour => colour != 'rgba(0, 0, 0, 0)').join();
        seen[look] = (seen[look] || 0) + 1;
        if (seen[look] <= 3) e.setAttribute('data-sample', '');
    }
}"""


@pytest.fixture(scope="module")
def browser():
    program = pdf.chromium()
    if program is None:
        pytest.skip("no Chromium: install it (apt-get install chromium), "
                    "or name one in DEPNB_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def book(browser, request):
    """Folder of the built pages."""
    return (Path(os.environ["DEPNB_BOOK"]) if "DEPNB_BOOK" in os.environ
            else request.getfixturevalue("built"))


@pytest.fixture(scope="module")
def visit(browser, book):
    """visit(name, query) -> a fresh page that is loaded and typeset, with what went wrong in
    `page.wrong`.
    """
    contexts = []

    def local(route, page):
        if route.request.url.startswith(("file:", "data:", "blob:")):
            return route.continue_()
        page.wrong.append(f"requests {route.request.url}")
        return route.abort()

    def load(name, query=""):
        while contexts:
            contexts.pop().close()
        context = browser.new_context(viewport=DESKTOP, color_scheme="light",
                                      reduced_motion="reduce")
        contexts.append(context)
        context.set_default_timeout(SLOW)
        page = context.new_page()
        page.wrong = []
        page.on("console", lambda message: page.wrong.append(message.text)
                if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.route("**/*", lambda route: local(route, page))
        page.goto((book / name).as_uri() + query)
        page.evaluate("() => window.MathJax?.startup?.promise?.then(() => true)")
        return page

    return load


def goes_wrong(page):
    return list(page.wrong)


def first_tab_does_not_lead_past_the_navigation(page):
    if page.url.endswith("search.html"):
        return []                               # where the search field has the focus
    page.keyboard.press("Tab")
    first = page.evaluate(FOCUSED)
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    then = page.evaluate(FOCUSED)
    return ([] if first["href"] == "#main-content" and first["seen"] and then["main"]
            else [first, then])


def focus_is_hidden(page):
    page.evaluate(pdf.UNFOLD)
    page.keyboard.press("Tab")              # who moves by keyboard gets a ring, who points does not
    return page.evaluate(HIDDEN)


def equation_is_not_typeset(page):
    return page.evaluate("() => [...document.querySelectorAll('mjx-merror, "
                         ".math:not(:has(mjx-container))')].map(e => e.outerHTML)")


def code_cell_cannot_be_copied(page):
    return page.evaluate("() => [...document.querySelectorAll('.cell_input .highlight')].filter(e "
                         "=> !e.querySelector('button.copybtn')).map(e => e.innerText.slice(0, "
                         "80))")


def slider_does_not_move_its_picture(page):
    wrong = []
    for figure in page.locator(".depnb-slider").all():
        handle, media = figure.locator("input[type=range]"), figure.locator("img, audio").all()
        handle.focus()
        sources = []                            # of the picture, and of the sound if there is one
        for key in ("Home", "ArrowRight", "End"):
            page.keyboard.press(key)
            sources.append([element.get_attribute("src") for element in media])
        box = handle.bounding_box()
        page.mouse.click(box["x"] + 2, box["y"] + box["height"] / 2)
        back = [element.get_attribute("src") for element in media] == sources[0]
        stops = min(3, 1 + int(handle.get_attribute("max")))
        if not back or any(len(set(each)) < stops for each in zip(*sources, strict=True)):
            wrong.append(media[0].get_attribute("alt"))
    return wrong


def is_wider_than_the_screen(page):
    beside = page.evaluate("() => document.documentElement.scrollWidth - "
                           "document.documentElement.clientWidth")
    return [f"{beside} px beside a screen of {page.viewport_size['width']} px"] if beside else []


def violates_a_rule_of_accessibility(page):
    page.wait_for_timeout(400)         # the theme looks for boxes that scroll 300 ms after a change
    result = axe(page, None, rules={"color-contrast": {"enabled": False}})["violations"]
    return [(v["id"], n["target"], n["failureSummary"]) for v in result
            if v["impact"] in ("serious", "critical") for n in v["nodes"]]


def has_too_little_contrast(page):
    page.evaluate(SAMPLES)                      # every letter of the code would take a minute
    result = axe(page, {"include": [["[data-sample]"]]}, runOnly=["color-contrast"])
    # what axe calls incomplete it could not judge, save for letters in the very colour of their
    # ground
    nodes = [n for kind in ("violations", "incomplete") for v in result[kind] for n in v["nodes"]]
    return [(n["target"], n["failureSummary"]) for n in nodes if n["any"][0]["data"]["messageKey"]
            == "equalRatio" or n["any"][0]["data"]["contrastRatio"]]


def axe(page, where, **options):
    return Axe().run(page, where, {"resultTypes": ["violations", "incomplete"],
                                   "preload": False} | options).response


LIGHT = (goes_wrong, first_tab_does_not_lead_past_the_navigation, focus_is_hidden,
         equation_is_not_typeset, code_cell_cannot_be_copied, slider_does_not_move_its_picture,
         is_wider_than_the_screen, violates_a_rule_of_accessibility, has_too_little_contrast,
         goes_wrong)
DARK = (focus_is_hidden, has_too_little_contrast)
# on a phone, of one page of each kind
SMALL = (violates_a_rule_of_accessibility, has_too_little_contrast)
OF_SPHINX = ["genindex", "py-modindex", "search"]


def pages():
    """Pages of the book, as the table of contents lists them, and those that Sphinx adds."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return [toc["root"],
            *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"]), *OF_SPHINX]


def first_of_their_kind():
    """One page of every folder, and one chapter, one page of evidence and one lesson of those that
    are executed.
    """
    return {"book/index", "book/guide/your_data", "book/_executed/sta_drn",
            "book/_executed/comparison", "book/evidence/claims", "book/_executed/learn/voice",
            "book/reference/api", "search"}


@pytest.mark.parametrize("name", pages())
def test_nothing_is_wrong_with(visit, name):
    """In the light, in the dark and on a phone; a page is loaded once."""
    page, faults = visit(f"{name}.html"), []

    def look(looks, where):
        faults.extend(f"{one.__name__} {where}: {what}" for one in looks for what in one(page))

    look(LIGHT, "in the light")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme == 'dark'")
    look(DARK, "in the dark")
    page.set_viewport_size(PHONE)
    look([is_wider_than_the_screen, *(SMALL if name in first_of_their_kind() else ())],
         "in the dark on a phone")
    assert not faults, "\n".join(faults)


def test_no_page_is_forgotten(book):
    built = {str(p.relative_to(book).with_suffix("")) for p in book.rglob("*.html")
             if "_static" not in p.parts}
    assert built - {"index"} == set(pages())  # the root of the book only forwards to its first page
    assert first_of_their_kind() <= set(pages())


def test_the_book_has_sliders(book):
    assert any('class="depnb-slider"' in page.read_text() for page in book.glob("book/**/*.html"))


def test_a_copy_button_takes_the_code_by_keyboard(visit):
    page = visit("book/_executed/sta_drn.html")
    block = page.locator(".cell_input .highlight:visible").first
    button = block.locator("button.copybtn")
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("e => e.classList.contains('success')", arg=button.element_handle())
    page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), {id: "
                  "'paste'}))")
    page.locator("#paste").focus()
    page.keyboard.press("Control+V")
    assert page.locator("#paste").input_value().strip() == block.locator("pre").inner_text().strip()


def test_search_finds_pages_and_opens_them(visit):
    page = visit("search.html", "?q=attention")
    results = page.locator("#search-results li a")
    results.filter(has_text="STA-DRN").first.click()
    page.wait_for_url("**/sta_drn.html*")
    assert "attention" in page.locator("article").inner_text().lower()
    assert page.wrong == []


LEDGER = "book/evidence/claims.html"


def rows(page):
    """What the ledger's filter counts, as text: "77 of 247 rows"."""
    return page.locator(".claim-filter output").inner_text()


def test_the_address_says_how_the_ledger_is_filtered(visit):
    page = visit(LEDGER)
    everything = rows(page)
    page.select_option("select[name=paper]", "aafn")
    page.select_option("select[name=code]", "inherited")
    page.fill("input[name=words]", '"second global"')
    assert rows(page).startswith("1 of ")
    assert page.url.endswith("?paper=aafn&code=inherited&words=%22second+global%22")
    again = page.url
    page.fill("input[name=words]", "pytest")                # stands in folded commands only
    assert rows(page).startswith("0 of ")
    assert page.locator(".claim-none").is_visible()
    page.click(".claim-filter button[type=reset]")
    page.wait_for_function("text => document.querySelector('.claim-filter output').value == text",
                           arg=everything)
    assert not page.locator(".claim-none").is_visible()
    assert page.url.endswith(LEDGER)
    page.goto(again)
    assert rows(page).startswith("1 of ")
    assert page.wrong == []


def test_who_comes_back_to_the_ledger_finds_it_filtered(visit):
    page = visit(LEDGER)
    page.select_option("select[name=paper]", "dynmultidep")
    filtered = rows(page)
    page.locator(".claim:visible a[href*='dynmultidep.html']").first.click()
    page.wait_for_url("**/dynmultidep.html*")
    page.go_back()
    page.wait_for_url("**/claims.html?paper=dynmultidep")
    assert page.input_value("select[name=paper]") == "dynmultidep"
    assert rows(page) == filtered


def test_a_link_to_what_the_ledgers_filter_hides_shows_it(visit):
    page = visit(LEDGER, "?paper=aafn")
    assert not page.locator("section#sta-drn").is_visible()
    page.locator(".bd-sidebar-secondary a[href='#sta-drn']").first.evaluate("link => link.click()")
    page.locator("section#sta-drn").wait_for(state="visible")
    page = visit(LEDGER, "?paper=aafn#claim-sta-drn-avec2014")
    assert page.locator("#claim-sta-drn-avec2014").is_visible()


def test_the_ledgers_filter_stays_in_sight(visit):
    page = visit(LEDGER)
    for row in (page.locator(".claim").first, page.locator(".claim").last):
        row.scroll_into_view_if_needed()
        assert 0 <= page.locator(".claim-filter").bounding_box()["y"] < DESKTOP["height"] / 2


def test_links_within_a_card_are_on_top_of_it(visit):
    page = visit("book/index.html")
    on_top = page.evaluate("""() => [
            ...document.querySelectorAll('.sd-card a:not(.sd-stretched-link)')].map(link => {
        link.scrollIntoView({block: 'center', behavior: 'instant'});
        const box = link.getClientRects()[0];
        const x = box.x + box.width / 2, y = box.y + box.height / 2;
        return link.contains(document.elementFromPoint(x, y));
    })""")
    assert len(on_top) >= 4
    assert all(on_top)


@pytest.mark.parametrize("name", ["_executed/sta_drn", "_executed/cfrafn", "_executed/aafn",
                                  "_executed/dynmultidep", "evidence/field"])
def test_nothing_of_a_table_of_what_others_said_is_cut_off(visit, name):
    page = visit(f"book/{name}.html")
    cut = page.evaluate("() => [...document.querySelectorAll('.told table')]"
                        ".map(t => t.scrollWidth - t.parentElement.clientWidth)")
    assert len(cut) >= 2
    assert max(cut) <= 1


def test_the_reader_can_switch_between_light_and_dark(visit):
    page = visit("book/index.html")
    seen = set()
    for _ in range(3):
        page.locator("button.theme-switch-button:visible").first.click()
        seen.add(page.evaluate("document.documentElement.dataset.theme"))
    assert seen == {"light", "dark"}


def test_the_keyboard_reaches_every_page(visit):
    page = visit("book/index.html")
    wanted = set(page.evaluate("[...document.querySelectorAll('.bd-links a, article .sd-card a')]"
                               ".map(a => a.getAttribute('href'))"))
    reached = []
    while not reached or reached[-1]["on"]:     # until the focus goes back to the browser
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED))
    assert len(wanted) > 10
    assert wanted - {element["href"] for element in reached} == set()
    assert [element["what"] for element in reached if element["on"] and not element["seen"]] == []
