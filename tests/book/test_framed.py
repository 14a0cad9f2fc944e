"""Pictures with their words: nothing is lost on the way into the page."""

import base64
import io

import matplotlib.pyplot as plt
from bs4 import BeautifulSoup
from PIL import Image

from depnb.book import framed


def test_every_picture_has_its_words_and_all_have_the_caption():
    drawn = {'a "line" & more': plt.subplots(figsize=(3, 2))[0], "dots": plt.subplots()[0]}
    page = BeautifulSoup(framed.pictures(drawn, "Below 5 < 6.").data, "html.parser")
    assert [img["alt"] for img in page.select("figure img")] == list(drawn)
    assert page.figcaption.get_text() == "Below 5 < 6."
    picture = page.img["src"].removeprefix("data:image/png;base64,")
    width, height = Image.open(io.BytesIO(base64.b64decode(picture))).size
    assert width * 2 == height * 3
    assert not plt.get_fignums()                # else a notebook would show them once more
