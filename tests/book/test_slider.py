"""The slider and the player: what is in a page, with and without JavaScript, what a kernel gets,
and what is refused.
"""

import base64
import io
import json
import re

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import soundfile
from bs4 import BeautifulSoup
from PIL import Image

from depnb.book.slider import LARGEST, player, slider

COLOURS = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200]], np.uint8)
PICTURES = [np.full((20, 30, 3), colour, np.uint8) for colour in COLOURS]
LABELS = ["frame 0", 'frame "1" & <2>', "frame 2"]
RATE = 16_000
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)


def square(i):
    return PICTURES[i], LABELS[i]


def heard(i):
    return PICTURES[i], LABELS[i], (TONE / (i + 1), RATE)


@pytest.fixture
def reader(monkeypatch):
    """Somebody sits at the kernel."""
    monkeypatch.setattr("depnb.book.slider._has_reader", lambda: True)


def parsed(text):
    return BeautifulSoup(text, "html.parser")


def page(draw=square, values=range(3), name="time", alt="A square", **others):
    return parsed(slider(draw, values, name, alt, **others).data)


def decoded(url):
    head, _, data = url.partition(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def loudness(url):
    head, _, data = url.partition(",")
    assert head == "data:audio/mpeg;base64"
    waveform, rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
    assert rate == RATE
    return np.abs(waveform).max()


def test_shows_the_picture_at_start_without_a_script():
    figure = page(start=1).figure
    assert np.abs(decoded(figure.img["src"]).astype(int) - PICTURES[1]).max() < 8
    assert figure.img["alt"] == 'A square: frame "1" & <2>'
    assert figure.output.text == figure.input["aria-valuetext"] == LABELS[1]
    assert figure.input["value"] == "1"


def test_holds_every_picture_with_its_label_in_order():
    figure = page().figure
    positions = json.loads(figure["data-positions"])
    assert [label for _, label, _ in positions] == LABELS
    for (source, _, sound), picture in zip(positions, PICTURES, strict=True):
        assert np.abs(decoded(source).astype(int) - picture).max() < 8
        assert sound == ""
    assert figure["data-alt"] == "A square"
    assert figure.audio is None


def test_holds_every_sound_where_there_are_sounds():
    figure = page(heard, start=1).figure
    sounds = [sound for _, _, sound in json.loads(figure["data-positions"])]
    assert [loudness(s) for s in sounds] == pytest.approx([0.5, 0.25, 0.167], abs=0.05)
    assert figure.audio["src"] == sounds[1]
    assert figure.audio["aria-label"] == LABELS[1]
    assert figure.audio.has_attr("controls")


def test_can_be_reached_by_keyboard_and_named_by_a_screen_reader():
    figure = page().figure
    control = figure.select_one("label input[type=range]")
    assert (control["min"], control["max"], control["step"]) == ("0", "2", "1")
    assert figure.label.text.strip() == "time"


@pytest.mark.parametrize("draw", [square, heard])
def test_asks_nothing_of_the_network_and_needs_no_id(draw):
    elements = page(draw)
    assert not re.search(r"//|@import", re.sub(r"base64,[A-Za-z0-9+/=]+", "", str(elements)))
    assert [e for e in elements.find_all() if e.get("id") or e.name in ("script", "link")] == []


def test_figures_are_closed_and_drawings_stay_small():
    def wave(shift):
        figure, ax = plt.subplots(figsize=(5, 3))
        ax.plot(np.sin(np.arange(300) / 9 + shift))
        return figure, str(shift)

    made = slider(wave, range(10), "phase", "A wave")
    assert plt.get_fignums() == []
    assert len(made.data) < 200_000
    assert decoded(parsed(made.data).img["src"]).shape == (300, 500, 3)


def test_a_player_is_named_and_plays_what_it_is_given():
    audio = parsed(player(TONE, RATE, 'A "tone"').data).audio
    assert audio["aria-label"] == 'A "tone"'
    assert audio.has_attr("controls")
    assert loudness(audio["src"]) == pytest.approx(0.5, abs=0.05)


@pytest.mark.usefixtures("reader")
class TestWithAReader:
    def test_draws_where_it_stands_and_again_at_every_move(self):
        drawn = []
        box = slider(lambda i: drawn.append(i) or heard(i), range(3), "time", "A square", start=1)
        picture, control, words, _ = box.children
        assert drawn == [1]                             # and not what nobody has asked for
        assert (control.min, control.max, control.value) == (0, 2, 1)
        for i in (2, 0, 2):
            control.value = i
            image, audio = parsed(picture.value).img, parsed(words.value).audio
            assert np.abs(decoded(image["src"]).astype(int) - PICTURES[i]).max() < 8
            assert image["alt"] == f"A square: {LABELS[i]}"
            assert parsed(words.value).output.text == audio["aria-label"] == LABELS[i]
            assert loudness(audio["src"]) == pytest.approx(0.5 / (i + 1), abs=0.05)
        assert drawn == [1, 2, 0, 2]

    def test_says_its_name_and_lets_the_picture_name_the_handle(self):
        picture, control, *_ = slider(square, range(3), "time", "A square").children
        assert control.description == parsed(picture.value).img["data-name"] == "time"
        assert parsed(picture.value).img["data-label"] == LABELS[0]
        assert "aria-label" in parsed(picture.value).img["onload"]

    def test_stands_between_the_positions_of_the_page(self):
        def level(x):
            return np.full((4, 4, 3), round(255 * x), np.uint8), f"{x:.2f}"

        box = slider(level, [0, 0.5, 1], "level", "Grey", start=1, fine=np.linspace(0, 1, 101))
        assert (box.children[1].max, box.children[1].value) == (100, 50)
        box.children[1].value = 37
        assert "0.37" in box.children[2].value

    def test_a_picture_that_cannot_be_drawn_at_first_stops_the_cell(self):
        with pytest.raises(IndexError):
            slider(square, range(3, 9), "time", "A square")

    def test_pictures_are_not_kept_so_that_their_number_is_free(self):
        noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
        box = slider(lambda i: (noise, "a"), range(1000), "time", "Noise")
        assert isinstance(box, ipywidgets.VBox)


@pytest.mark.parametrize(("pictures", "start", "sentence"), [
    ([], 0, "slider 'time': start 0 is none of its 0 positions"),
    (PICTURES, 3, "slider 'time': start 3 is none of its 3 positions"),
    ([PICTURES[0], PICTURES[1][:9]], 0, r"pictures of sizes \[\(30, 9\), \(30, 20\)\]"),
    ([PICTURES[0] / 255], 0,
     r"a picture of shape \(20, 30, 3\) and type float64; expected a matplotlib"),
    ([PICTURES[0][..., 0]], 0, r"a picture of shape \(20, 30\) and type uint8")])
def test_bad_pictures_are_refused_in_one_sentence(pictures, start, sentence):
    with pytest.raises(ValueError, match=sentence):
        slider(lambda i: (pictures[i], ""), range(len(pictures)), "time", "A square", start)


def test_too_much_for_a_page_is_refused_with_its_size():
    noise = np.random.default_rng(0).integers(0, 256, (2, 700, 700, 3), np.uint8)
    with pytest.raises(ValueError,
                       match=rf"slider 'time': \d+ kB, at most {LARGEST // 1000} fit in a page"):
        slider(lambda i: (noise[i], ""), range(2), "time", "Noise")
