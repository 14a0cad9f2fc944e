"""A slider over pictures that needs no kernel: it works in the static page, in JupyterLab and by keyboard."""

import base64
import html
import io
import json

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML
from matplotlib.figure import Figure
from PIL import Image

LARGEST = 400_000       # bytes of a whole slider in the page
MOVE = ("const f=this.closest('figure'),i=f.querySelector('img'),[src,text]=JSON.parse(f.dataset.pictures)[this.value];"
        "i.src=src;i.alt=f.dataset.alt+': '+text;f.querySelector('output').value=text;"
        "this.setAttribute('aria-valuetext',text)")


def slider(pictures, labels, name, alt, start=0):
    """One picture and a range input that exchanges it -> IPython.display.HTML.

    pictures: matplotlib Figures (closed afterwards) or (H, W, 3) uint8 arrays, all of one size; labels: what the slider
    shows at each ("frame 3, 0.1 s"); name: what it moves ("time"); alt: description of the picture, to which the
    label is appended; start: position shown first, the only one without JavaScript. Raises ValueError.
    """
    if not len(pictures) or len(pictures) != len(labels):
        raise ValueError(f"slider {name!r}: {len(pictures)} pictures, {len(labels)} labels; give one label a picture.")
    if not 0 <= start < len(pictures):
        raise ValueError(f"slider {name!r}: start {start} is none of its {len(pictures)} positions, counted from 0.")
    images = [_image(picture, name) for picture in pictures]
    sizes = {image.size for image in images}
    if len(sizes) > 1:
        raise ValueError(f"slider {name!r}: pictures of sizes {sorted(sizes)}; give all of them one size.")
    shown = [[_data_url(image), str(label)] for image, label in zip(images, labels, strict=True)]
    (source, label), (width, height) = shown[start], sizes.pop()
    page = (f'<figure class="depnb-slider" style="margin: 0 0 1rem; text-align: center" data-alt="{html.escape(alt)}" '
            f'data-pictures="{html.escape(json.dumps(shown))}">'
            f'<img src="{source}" alt="{html.escape(f"{alt}: {label}")}" width="{width}" height="{height}" '
            f'style="display: block; margin: 0 auto; max-width: 100%; height: auto">'
            f'<label style="display: block">{html.escape(name)} '
            f'<input type="range" min="0" max="{len(shown) - 1}" step="1" value="{start}" '
            f'autocomplete="off" aria-valuetext="{html.escape(label)}" oninput="{html.escape(MOVE)}" '
            f'style="vertical-align: middle; width: 16rem; max-width: 60%"></label>'
            f'<output style="display: block">{html.escape(label)}</output></figure>')
    if len(page) > LARGEST:
        raise ValueError(f"slider {name!r}: {len(page) / 1000:.0f} kB, at most {LARGEST // 1000} fit in a page; give fewer "
                         "or smaller pictures.")
    return HTML(page)


def _image(picture, name):
    """A Figure or (H, W, 3) uint8 array -> PIL image in RGB."""
    if isinstance(picture, Figure):
        file = io.BytesIO()
        picture.savefig(file, format="png")
        plt.close(picture)
        return Image.open(file).convert("RGB")
    array = np.asarray(picture)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(f"slider {name!r}: a picture of shape {array.shape} and type {array.dtype}; expected a matplotlib "
                         "Figure or an (H, W, 3) array of uint8.")
    return Image.fromarray(array)


def _data_url(image):
    """The smaller of a PNG with few colours (drawings) and a JPEG (photographs)."""
    files = {"png": io.BytesIO(), "jpeg": io.BytesIO()}
    image.quantize(128, dither=Image.Dither.NONE).save(files["png"], "png", optimize=True)
    image.save(files["jpeg"], "jpeg", quality=80)
    kind = min(files, key=lambda k: files[k].tell())
    return f"data:image/{kind};base64,{base64.b64encode(files[kind].getvalue()).decode()}"
