"""Figures: what several chapters draw, and a module for what one paper or the evidence alone needs.
"""

from depnb.figures import aafn, cfrafn, dynmultidep, evidence, sta_drn
from depnb.figures.common import (
    bars,
    before_after,
    classification_curves,
    confusion_matrix,
    dose_response,
    estimates,
    grouped_bars,
    histogram,
    matrices,
    predicted_vs_true,
    published_epochs,
    score_histogram,
    signed_bars,
    spectrograms,
    training_curve,
)
from depnb.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    WITHHELD,
    axes_or_new,
    corpus_label,
    nothing,
    show,
    use_house_style,
    withheld,
)
