"""The slider: what is in the page, with and without JavaScript, and what is refused."""

import base64
import io
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from depnb.book.slider import LARGEST, slider

COLOURS = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200]], np.uint8)
PICTURES = [np.full((20, 30, 3), colour, np.uint8) for colour in COLOURS]
LABELS = ["frame 0", 'frame "1" & <2>', "frame 2"]


def page(*args, **kwargs):
    return BeautifulSoup(slider(*args, **kwargs).data, "html.parser")


def decoded(url):
    head, _, data = url.partition(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def test_shows_the_picture_at_start_without_a_script():
    figure = page(PICTURES, LABELS, "time", "A square", start=1).figure
    assert np.abs(decoded(figure.img["src"]).astype(int) - PICTURES[1]).max() < 8
    assert figure.img["alt"] == 'A square: frame "1" & <2>'
    assert figure.output.text == figure.input["aria-valuetext"] == LABELS[1]
    assert figure.input["value"] == "1"


def test_holds_every_picture_with_its_label_in_order():
    figure = page(PICTURES, LABELS, "time", "A square").figure
    shown = json.loads(figure["data-pictures"])
    assert [label for _, label in shown] == LABELS
    for (source, _), picture in zip(shown, PICTURES, strict=True):
        assert np.abs(decoded(source).astype(int) - picture).max() < 8
    assert figure["data-alt"] == "A square"


def test_can_be_reached_by_keyboard_and_named_by_a_screen_reader():
    figure = page(PICTURES, LABELS, "time", "A square").figure
    control = figure.select_one("label input[type=range]")
    assert (control["min"], control["max"], control["step"]) == ("0", "2", "1")
    assert figure.label.text.strip() == "time"


def test_asks_nothing_of_the_network_and_needs_no_id():
    found = page(PICTURES, LABELS, "time", "A square")
    assert "//" not in str(found).replace("data:image", "").split("base64")[0]
    assert [e for e in found.find_all() if e.get("id") or e.name in ("script", "link")] == []


def test_figures_are_closed_and_drawings_stay_small():
    figures = []
    for shift in range(10):
        figure, ax = plt.subplots(figsize=(5, 3))
        ax.plot(np.sin(np.arange(300) / 9 + shift))
        figures.append(figure)
    made = slider(figures, [str(i) for i in range(10)], "phase", "A wave")
    assert plt.get_fignums() == []
    assert len(made.data) < 200_000
    assert decoded(BeautifulSoup(made.data, "html.parser").img["src"]).shape == (300, 500, 3)


@pytest.mark.parametrize(("pictures", "labels", "start", "said"), [
    ([], [], 0, "slider 'time': 0 pictures, 0 labels"), (PICTURES, LABELS[:2], 0, "slider 'time': 3 pictures, 2 labels"),
    (PICTURES, LABELS, 3, "slider 'time': start 3 is none of its 3 positions"),
    ([PICTURES[0], PICTURES[1][:9]], LABELS[:2], 0, r"pictures of sizes \[\(30, 9\), \(30, 20\)\]"),
    ([PICTURES[0] / 255], ["a"], 0, r"a picture of shape \(20, 30, 3\) and type float64; expected a matplotlib"),
    ([PICTURES[0][..., 0]], ["a"], 0, r"a picture of shape \(20, 30\) and type uint8")])
def test_bad_pictures_are_refused_in_one_sentence(pictures, labels, start, said):
    with pytest.raises(ValueError, match=said):
        slider(pictures, labels, "time", "A square", start)


def test_too_much_for_a_page_is_refused_with_its_size():
    noise = np.random.default_rng(0).integers(0, 256, (2, 700, 700, 3), np.uint8)
    with pytest.raises(ValueError, match=rf"slider 'time': \d+ kB, at most {LARGEST // 1000} fit in a page"):
        slider(list(noise), ["a", "b"], "time", "Noise")
