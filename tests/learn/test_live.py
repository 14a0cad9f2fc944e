"""A lesson in a kernel that has a reader: its slider draws at every move. The same with a browser,
in JupyterLab: tests/test_lab.py.
"""

import json
import re
import time

import pytest
from jupyter_client.manager import start_new_kernel

from tests.paths import ROOT

WIDGET = "application/vnd.jupyter.widget-view+json"


def cells(lesson):
    """Code of a lesson as far as its first slider."""
    notebook = json.loads((ROOT / f"notebooks/learn/{lesson}.ipynb").read_text(encoding="utf-8"))
    code = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    last = next(i for i, source in enumerate(code) if re.search(r"^slider\(", source, re.MULTILINE))
    return code[:last + 1]


@pytest.fixture(scope="module")
def client():
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(ROOT))
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    manager.cleanup_resources()


def messages(client, request):
    """What the kernel published until it was done with a request."""
    until, published = time.monotonic() + 600, []
    while time.monotonic() < until:
        message = client.get_iopub_msg(timeout=600)
        if message["parent_header"].get("msg_id") == request:
            published.append(message)
            if message["content"].get("execution_state") == "idle":
                return published
    raise TimeoutError("the kernel did not answer")


def states(published):
    """The widgets that messages open or change: state by model."""
    state = {}
    for message in published:
        content = message["content"]
        if message["msg_type"] in ("comm_open", "comm_msg") and "state" in content["data"]:
            state[content["comm_id"]] = state.get(content["comm_id"], {}) | content["data"]["state"]
    return state


def run(client, code):
    """Run a cell as a front end with a reader does -> what it published, the widgets of a slider.

    Widgets are models by what they are: picture, control, words, errors.
    """
    published = messages(client, client.execute(code, allow_stdin=True))
    assert not [m["content"] for m in published if m["msg_type"] == "error"]
    results = [m["content"]["data"] for m in published if m["msg_type"] == "execute_result"]
    if not results or WIDGET not in results[0]:
        return published, {}
    assert "text/html" not in results[0]                # the page's form was not drawn
    children = states(published)[results[0][WIDGET]["model_id"]]["children"]
    return published, dict(zip(("picture", "control", "words", "errors"),
                               (c.removeprefix("IPY_MODEL_") for c in children), strict=True))


def move(client, control, value):
    """Move a slider as a front end does -> what the kernel published."""
    message = client.session.msg("comm_msg", {"comm_id": control, "data": {
        "method": "update", "state": {"value": value}, "buffer_paths": []}})
    client.shell_channel.send(message)
    return messages(client, message["header"]["msg_id"])


def test_the_first_slider_of_a_lesson_draws_when_it_is_moved(client):
    for code in cells("attention"):
        published, slider = run(client, code)
    at_first = states(published)
    assert at_first[slider["control"]]["description"] == "temperature"
    moved = states(move(client, slider["control"], 0))
    (source, alt), (new_source, new_alt) = (
        re.search(r'src="([^"]+)" alt="([^"]+)"', state[slider["picture"]]["value"]).groups()
        for state in (at_first, moved))
    assert source != new_source
    assert re.search(r": 1, weighted mean [\d.]+$", alt)
    assert re.search(r": 0\.1, weighted mean [\d.]+$", new_alt)
    assert new_alt.rpartition(": ")[2] in moved[slider["words"]]["value"]


def test_what_goes_wrong_at_a_move_is_shown_below_the_slider(client):
    _, slider = run(client, "import numpy as np\nfrom depnb.book import slider\n"
                    "grey = np.zeros((4, 4, 3), np.uint8)\nslider.slider(lambda x: "
                    "(grey, f'{6 / x:.0f}'), [1, 0, 2], 'x', 'A square')")
    published = move(client, slider["control"], 1)
    assert [m["content"]["ename"] for m in published if m["msg_type"] == "error"] == [
        "ZeroDivisionError"]
    assert states(published)[slider["errors"]]["msg_id"] == ""      # it was listening until then
    assert ">3</output>" in states(move(client, slider["control"], 2))[slider["words"]]["value"]
