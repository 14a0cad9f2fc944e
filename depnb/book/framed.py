"""Pictures with their words, for a page that shows what another page drew."""

import base64
import html
import io

import matplotlib.pyplot as plt
from IPython.display import HTML


def pictures(drawn, caption):
    """Pictures under one caption, side by side or, where there is no room, below each other.

    Parameters
    ----------
    drawn : mapping alternative text -> matplotlib Figure (closed afterwards)
    caption : str

    Returns
    -------
    IPython.display.HTML
    """
    images = []
    for alt, figure in drawn.items():
        file, width = io.BytesIO(), round(figure.get_figwidth() * figure.dpi)
        figure.savefig(file, format="png", dpi=1.6 * figure.dpi)
        plt.close(figure)
        data = base64.b64encode(file.getvalue()).decode()
        images.append(f'<img src="data:image/png;base64,{data}" alt="{html.escape(alt)}" '
                      f'style="flex: 1 1 19rem; min-width: 0; max-width: min(100%, {width}px)">')
    return HTML('<figure class="depnb-pictures"><div style="display: flex; flex-wrap: wrap; gap: '
                f'0.5rem; align-items: center; justify-content: center">{"".join(images)}</div>'
                f"<figcaption>{html.escape(caption)}</figcaption></figure>")
