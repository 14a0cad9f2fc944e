"""Seconds from a kernel's start until a lesson has answered to its first slider, in JupyterLab.

python benchmarks/lab.py                        # all lessons, once each
python benchmarks/lab.py state_space --rounds 5 --save benchmarks/results/lab.csv

JupyterLab as `make lab` starts it, on a copy of the notebooks, and a Chromium: the lesson is
opened, which starts its kernel, and with that the clock; its cells are run as far as its first
slider; an arrow key moves that, and the clock stops when its picture has changed.
"""

import argparse
import contextlib
import json
import os
import re
import secrets
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
from playwright.sync_api import sync_playwright

from depnb import runs
from depnb.book import pdf
from depnb.files import write_atomically

ROOT = Path(__file__).parents[1]
LESSONS = sorted(path.stem for path in (ROOT / "notebooks/learn").glob("*.ipynb"))
PATIENCE = 180_000                              # ms: only what hangs takes so long
READY = """path => {
    const notebook = window.jupyterapp?.shell.currentWidget;
    return notebook?.context?.path == path
        && notebook.sessionContext.session?.kernel?.connectionStatus == 'connected';
}"""
RUN_TO = """async number => {
    const {shell, commands} = window.jupyterapp;
    shell.currentWidget.content.activeCellIndex = number;
    await commands.execute('notebook:run-all-above');
    await commands.execute('notebook:run-cell');
}"""


def make_lab():
    """The arguments that `make lab` gives to jupyter lab, without the folder."""
    recipe = re.search(r"^lab:.*\n\t\$\(BIN\)/jupyter lab notebooks(.*)$",
                       (ROOT / "Makefile").read_text(), re.MULTILINE)
    return shlex.split(recipe[1])


@contextlib.contextmanager
def jupyter_lab(folder):
    """JupyterLab on a copy of the notebooks, with its settings and its log, all in a folder.

    Yields
    ------
    str, its address with a token
    """
    folder = Path(folder)
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token, log = secrets.token_hex(16), folder / "lab.txt"
    command = [sys.executable, "-m", "jupyter", "lab", str(folder / "notebooks"), *make_lab(),
               "--no-browser", "--expose-app-in-browser", "--allow-root", "--ip=127.0.0.1",
               f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    own = {name: str(folder / "settings") for name in
           ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    with log.open("w") as file:
        server = subprocess.Popen(command, stdout=file, stderr=file, env=os.environ | own)
    address = f"http://127.0.0.1:{port}/"
    try:
        while not _answers(f"{address}api?token={token}"):
            if server.poll() is not None:
                raise RuntimeError(f"JupyterLab has ended: {log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield f"{address}?token={token}"
    finally:
        server.terminate()
        server.wait()


def _answers(address):
    try:
        with urllib.request.urlopen(address, timeout=10):
            return True
    except (urllib.error.URLError, OSError):
        return False


@contextlib.contextmanager
def browser_page(address):
    """A page in Chromium on which JupyterLab is ready, and which reaches its own machine alone.

    Yields
    ------
    page, the addresses elsewhere that it asked for
    """
    elsewhere = []

    def local(route):
        if urlsplit(route.request.url).hostname in ("127.0.0.1", None):
            return route.continue_()
        elsewhere.append(route.request.url)
        return route.abort()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=pdf.chromium(),
                                             args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(PATIENCE)
        page.route("**/*", local)
        page.goto(address)
        page.wait_for_function(READY, arg="START.ipynb")
        yield page, elsewhere
        browser.close()


def first_slider(lesson):
    """Number of the cell with the first slider of a lesson."""
    cells = json.loads((ROOT / f"notebooks/learn/{lesson}.ipynb").read_text())["cells"]
    return next(i for i, cell in enumerate(cells) if cell["cell_type"] == "code"
                and re.search(r"^slider\(", "".join(cell["source"]), re.MULTILINE))


def react(page, lesson):
    """Open a lesson, run it to its first slider and move that by keyboard.

    Returns
    -------
    seconds from the kernel's start to the changed picture, the slider's box as a locator
    """
    path = f"learn/{lesson}.ipynb"
    with page.expect_request(lambda r: r.method == "POST" and r.url.split("?")[0].endswith(
            "/api/sessions")):
        page.evaluate("path => jupyterapp.commands.execute('docmanager:open', {path})", path)
    start = time.perf_counter()
    page.wait_for_function(READY, arg=path)
    page.evaluate(RUN_TO, first_slider(lesson))
    box = page.locator(".widget-vbox.depnb-slider:visible")
    picture, handle = box.locator("img"), box.get_by_role("slider")
    before = picture.get_attribute("src")
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("([image, before]) => image.isConnected ? image.src != before : true",
                           arg=[picture.element_handle(), before])
    return time.perf_counter() - start, box


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", nargs="*", default=LESSONS, help="all, if none is named")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--save", type=Path, help="write the results here as CSV")
    a = parser.parse_args()
    rows = []
    for lesson in a.lessons:
        seconds = []
        for _ in range(a.rounds):
            with (tempfile.TemporaryDirectory() as folder, jupyter_lab(folder) as address,
                  browser_page(address) as (page, _)):
                seconds.append(react(page, lesson)[0])
        rows.append({"lesson": lesson, "seconds": f"{statistics.median(seconds):.1f}",
                     "lowest to highest": f"{min(seconds):.1f} to {max(seconds):.1f}",
                     "rounds": a.rounds, "machine": runs.hardware("cpu")["device"],
                     "date": date.today().isoformat()})
        print(rows[-1])
    if a.save:
        write_atomically(a.save, pd.DataFrame(rows).to_csv(index=False))


if __name__ == "__main__":
    main()
