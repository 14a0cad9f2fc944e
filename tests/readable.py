"""What every figure must fulfil."""

import numpy as np


def assert_readable(figure, more=()):
    """No title, label or legend (nor any text of `more`) is cut off or drawn over another."""
    figure.canvas.draw()
    texts = [t for ax in figure.axes for t in (ax.title, ax.xaxis.label, ax.yaxis.label)
             if t.get_text()] + list(more)
    boxes = [t.get_window_extent() for t in texts] + [legend.get_window_extent()
                                                      for legend in figure.legends]
    for i, box in enumerate(boxes):
        assert min(box.x0, box.y0) >= 0, (i, texts)
        assert np.less_equal(box.max, figure.bbox.max).all(), (i, texts)
        assert not any(box.overlaps(other) for other in boxes[:i]), (i, texts)
