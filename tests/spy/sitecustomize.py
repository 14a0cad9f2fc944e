"""On the path of a test's kernels: what every figure shows is written down, as numbers and text."""

import json
import os
from itertools import count
from pathlib import Path

if folder := os.environ.get("DEPNB_SPY"):
    import numpy as np
    from matplotlib.backend_bases import FigureCanvasBase
    from matplotlib.text import Text

    draw, number = FigureCanvasBase.print_figure, count()

    def print_figure(canvas, target, *arguments, **options):
        """Whether it is saved or shown in the notebook."""
        result = draw(canvas, target, *arguments, **options)
        told = {"figure": Path(target).stem if isinstance(target, str | Path) else "shown",
                "numbers": [], "texts": [t.get_text() for t in canvas.figure.findobj(Text)]}
        for ax in canvas.figure.axes:
            for line in ax.lines:
                told["numbers"] += [line.get_xdata(), line.get_ydata()]
            for drawn in ax.collections:
                told["numbers"] += [*np.asarray(drawn.get_offsets()).T]
                told["numbers"] += [axis for path in drawn.get_paths() for axis in path.vertices.T]
                if drawn.get_array() is not None:               # shades of a table
                    told["numbers"].append(np.ravel(drawn.get_array()))
            sizes = [(p.get_height(), p.get_width(), p.get_x(), p.get_y())
                     for p in ax.patches if hasattr(p, "get_x")]
            told["numbers"] += list(zip(*sizes, strict=True)) + [np.ravel(image.get_array())
                                                                 for image in ax.images]
            told["numbers"] += [ax.get_xlim(), ax.get_ylim()]
        told["numbers"] = [np.ma.filled(np.ma.asarray(row, float), np.nan).tolist()
                           for row in told["numbers"]]
        Path(folder, f"{os.getpid()}-{next(number)}.json").write_text(json.dumps(told))
        return result

    FigureCanvasBase.print_figure = print_figure
