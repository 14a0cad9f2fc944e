"""A picture that follows a slider, and a sound with a name: alive in JupyterLab, still in a page.

Who has a kernel gets ipywidgets, and every move calls the function that draws. A page has no
kernel: there all pictures are drawn beforehand and a line of script exchanges them. One call makes
either, and both are moved by keyboard and named for a screen reader.
"""

import base64
import html
import io
import json
from typing import NamedTuple

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import soundfile
from IPython import get_ipython
from IPython.display import HTML
from matplotlib.figure import Figure
from PIL import Image

LARGEST = 600_000       # bytes of a whole slider in the page
MOVE = ("const f=this.closest('figure'),i=f.querySelector('img'),a=f.querySelector('audio'),"
        "[src,text,sound]=JSON.parse(f.dataset.positions)[this.value];"
        "i.src=src;i.alt=f.dataset.alt+': '+text;f.querySelector('output').value=text;"
        "if(a){a.src=sound;a.setAttribute('aria-label',text)}"
        "this.setAttribute('aria-valuetext',text)")
# ipywidgets gives its handle neither a name nor the words of its value: each new picture does
NAME = ("(function name(i){const b=i.closest('.depnb-slider'),"
        "h=b&&b.querySelector('[role=slider]');"
        "if(!h)return i.isConnected&&setTimeout(name,50,i);"
        "h.setAttribute('aria-label',i.dataset.name);"
        "h.setAttribute('aria-valuetext',i.dataset.label)})(this)")


class _Position(NamedTuple):
    """What a slider shows at one value: a PIL image, words, and the address of a sound or ""."""

    image: Image.Image
    label: str
    sound: str


def slider(draw, values, name, alt, start=0, fine=None):
    """A picture that follows a slider.

    Parameters
    ----------
    draw : function of a value -> picture, label and, where it is to be heard, (waveform, rate)
        Pictures are matplotlib Figures (closed afterwards) or (H, W, 3) uint8 arrays, all of one
        size; the label says in words where the slider stands ("frame 3, 0.1 s").
    values : sequence
        Where the slider can stand.
    name : str
        What it moves ("time").
    alt : str
        Description of the picture, to which the label is appended.
    start : int
        Number of the value shown first, in a page the only one without JavaScript.
    fine : sequence of numbers, optional
        In place of `values` where there is a kernel, which draws what a page has no room for.

    Returns
    -------
    ipywidgets.VBox where a reader has a kernel, else IPython.display.HTML

    Raises
    ------
    ValueError
        There is no such start, pictures do not fit together, or the page would be too large.
    """
    if not 0 <= start < len(values):
        raise ValueError(f"slider {name!r}: "
                         f"start {start} is none of its {len(values)} positions, counted from 0.")
    if not _has_reader():
        return HTML(_page([_position(draw, value, name) for value in values], name, alt, start))
    if fine is not None:
        start, values = int(np.abs(np.asarray(fine) - values[start]).argmin()), fine
    return _widget(draw, values, name, alt, start)


def player(waveform, rate, name):
    """A sound with its controls and a name, in a kernel as in a page.

    Parameters
    ----------
    waveform : (samples,) in [-1, 1]
    rate : Hz
    name : str

    Returns
    -------
    IPython.display.HTML
    """
    return HTML(_audio(_sound_url(waveform, rate), name))


def _has_reader():
    """Whether somebody sits at this kernel: a front end lets it ask for input, papermill does not.
    """
    request = getattr(get_ipython(), "get_parent", dict)()
    return request.get("content", {}).get("allow_stdin", False)


def _widget(draw, values, name, alt, start):
    """The slider of a kernel: draws at every move, and shows there what went wrong."""
    picture, words, errors = widgets.HTML(), widgets.HTML(), widgets.Output()
    control = widgets.IntSlider(start, 0, len(values) - 1, description=name, readout=False,
                                style={"description_width": "initial"}, layout={"width": "60%"})

    def show(_=None):
        position = _position(draw, values[control.value], name)
        picture.value = _picture(position, alt, f'data-name="{html.escape(name)}" data-label='
                                 f'"{html.escape(position.label)}" onload="{html.escape(NAME)}" ')
        words.value = _words(position)

    show()
    control.observe(errors.capture(clear_output=True)(show), "value")
    box = widgets.VBox([picture, control, words, errors], layout={"align_items": "center"})
    return box.add_class("depnb-slider")


def _page(positions, name, alt, start):
    """The slider of a page, all its pictures inside -> HTML."""
    sizes = {position.image.size for position in positions}
    if len(sizes) > 1:
        raise ValueError(f"slider {name!r}: pictures of sizes {sorted(sizes)}; "
                         "give all of them one size.")
    files = json.dumps([[_picture_url(p.image), p.label, p.sound] for p in positions])
    shown_first = positions[start]
    page = (f'<figure class="depnb-slider" style="margin: 0 0 1rem; text-align: center" '
            f'data-alt="{html.escape(alt)}" data-positions="{html.escape(files)}">'
            f'{_picture(shown_first, alt)}'
            f'<label style="display: block">{html.escape(name)} '
            f'<input type="range" min="0" max="{len(positions) - 1}" step="1" value="{start}" '
            f'autocomplete="off" aria-valuetext="{html.escape(shown_first.label)}" '
            f'oninput="{html.escape(MOVE)}" '
            f'style="vertical-align: middle; width: 16rem; max-width: 60%"></label>'
            f'{_words(shown_first)}</figure>')
    if len(page) > LARGEST:
        raise ValueError(f"slider {name!r}: {len(page) / 1000:.0f} kB, at most {LARGEST // 1000} "
                         "fit in a page; give fewer or smaller pictures.")
    return page


def _picture(position, alt, attributes=""):
    width, height = position.image.size
    return (f'<img src="{_picture_url(position.image)}" '
            f'alt="{html.escape(f"{alt}: {position.label}")}" width="{width}" height="{height}" '
            f'{attributes}style="display: block; margin: 0 auto; max-width: 100%; height: auto">')


def _words(position):
    return ('<output style="display: block; text-align: center">'
            f'{html.escape(position.label)}</output>'
            + (_audio(position.sound, position.label) if position.sound else ""))


def _audio(address, name):
    return (f'<audio controls preload="metadata" aria-label="{html.escape(name)}" src="{address}" '
            f'style="max-width: 100%"></audio>')


def _position(draw, value, name):
    picture, label, *sound = draw(value)
    return _Position(_image(picture, name), str(label), _sound_url(*sound[0]) if sound else "")


def _image(picture, name):
    """A Figure or (H, W, 3) uint8 array -> PIL image in RGB."""
    if isinstance(picture, Figure):
        file = io.BytesIO()
        picture.savefig(file, format="png")
        plt.close(picture)
        return Image.open(file).convert("RGB")
    array = np.asarray(picture)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(f"slider {name!r}: "
                         f"a picture of shape {array.shape} and type {array.dtype}; "
                         "expected a matplotlib Figure or an (H, W, 3) array of uint8.")
    return Image.fromarray(array)


def _picture_url(image):
    """The smaller of a PNG with few colours (drawings) and a JPEG (photographs)."""
    files = {"png": io.BytesIO(), "jpeg": io.BytesIO()}
    image.quantize(128, dither=Image.Dither.NONE).save(files["png"], "png", optimize=True)
    image.save(files["jpeg"], "jpeg", quality=80)
    kind = min(files, key=lambda k: files[k].tell())
    return f"data:image/{kind};base64,{base64.b64encode(files[kind].getvalue()).decode()}"


def _sound_url(waveform, rate):
    """As MP3, a fifth of a WAV, which every browser plays."""
    file = io.BytesIO()
    soundfile.write(file, waveform, rate, format="MP3")
    return f"data:audio/mpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
