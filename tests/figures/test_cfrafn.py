"""Pictures of CFRAFN's idea: labelled, nothing cut off, true to the tensors, nothing restricted."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex

from depnb import figures
from depnb.models import cfrafn
from tests.readable import assert_readable

LABEL = "simulated speech_folder, effect 1"
GATE = pd.DataFrame({"participant": ["a", "a", "a", "a", "a", "b"], "moved": 0.01,
                     "alpha": [0.48, 0.48, 0.48, 0.48, 0.48, 0.55]})
SCORES = pd.DataFrame({"cue": ["pitch", "pitch"], "network": ["trained", "untrained"],
                       "functionals": 3, "concentration": [2.0, 1.0]})

pytestmark = pytest.mark.usefixtures("house_style")


def pieces():
    """What `flow` draws, of an untrained network and four invented recordings."""
    torch.manual_seed(0)
    tiny = cfrafn.CFRAFN(transformed_width=6, conv_width=5, classifier_width=4).eval()
    inputs = {"egemaps": torch.randn(4, 88), "vggish": torch.randn(4, 128)}
    e, v = tiny.egemaps_branch(inputs["egemaps"]), tiny.vggish_branch(inputs["vggish"])
    alpha = tiny.gate(e, v)
    fused = alpha * e + (1 - alpha) * v
    return inputs, e, v, alpha, fused, torch.sigmoid(tiny.classifier(fused))


def column_table():
    """Importances of 88 columns in a table's order, and what a sorted list puts onto them."""
    names = [f"functional_{i}_sma3nz_amean" for i in range(88)]
    own = pd.Series(np.random.default_rng(0).dirichlet(np.ones(88)), pd.Index(names, name="column"))
    ranked = own.sort_values(ascending=False)
    return pd.DataFrame({"own": own, "by_position": ranked.to_numpy(), "listed": ranked.index})


CHARTS = {"flow": lambda: figures.cfrafn.flow(*pieces(), LABEL)["f"],
          "taps": lambda: figures.cfrafn.taps(torch.randn(3, 3), torch.randn(3, 1), LABEL)[0],
          "columns": lambda: figures.cfrafn.columns(column_table(), LABEL)[0],
          "gate": lambda: figures.cfrafn.gate(GATE, LABEL),
          "no gate": lambda: figures.cfrafn.gate(GATE[:0], LABEL),
          "concentration": lambda: figures.cfrafn.concentration(SCORES, LABEL),
          "nothing planted": lambda: figures.cfrafn.concentration(SCORES[:0], LABEL)}


@pytest.mark.parametrize("chart", CHARTS)
def test_says_what_it_is_of_and_can_be_read(chart):
    figure = CHARTS[chart]().figure
    assert_readable(figure)
    assert LABEL in (figure.get_suptitle(), *(ax.get_title() for ax in figure.axes))


def test_the_flow_writes_the_tensors_that_it_was_handed():
    inputs, e, v, alpha, fused, probability = pieces()
    axes = figures.cfrafn.flow(inputs, e, v, alpha, fused, probability, LABEL)
    for name, matrix in (("e", e), ("v", v), ("f", fused)):
        written = [float(text.get_text()) for text in axes[name].texts]
        np.testing.assert_allclose(written, matrix.detach().numpy().ravel(), atol=0.006)
    widths = [bar.get_width() for bar in axes["alpha"].patches]
    np.testing.assert_allclose(widths[:4], alpha.detach()[:, 0], rtol=1e-5)
    np.testing.assert_allclose(np.add(widths[:4], widths[4:]), 1)
    assert axes["vggish"].get_title() == "second description, 128 numbers"   # whichever it is


def test_outer_taps_meet_zeros_whatever_they_are():
    kernel = torch.nn.Conv1d(3, 3, 3, padding=1)
    one = torch.randn(1, 3, 1)
    with torch.no_grad():
        kernel.weight[:, :, [0, 2]] = 1000.0
    axes = figures.cfrafn.taps(kernel.weight[0], one[0], LABEL)
    product = np.asarray(axes[2].images[0].get_array())
    assert not product[:, [0, 2]].any()
    assert product.sum() + kernel.bias[0].item() == pytest.approx(kernel(one)[0, 0, 0].item(),
                                                                  abs=1e-6)
    assert [text.get_text() for text in axes[1].texts].count("1000") == 6


def test_what_preprocessing_takes_out_stands_on_grey():
    table = SCORES.assign(cue=["pitch", "pitch"])
    table = pd.concat([table, table.assign(cue="loudness"), table.assign(cue="pause_share")])
    ax = figures.cfrafn.concentration(table, LABEL, ("loudness", "pause_share"))
    bands = [patch for patch in ax.patches if patch.get_width() == 1]
    assert [patch.get_x() for patch in bands] == [0.5, 1.5]
    legend = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    assert legend.count("removed by preprocessing") == 1
    assert len(figures.cfrafn.concentration(table, LABEL).patches) == 6


def test_slanting_lines_lead_from_a_place_in_the_list_to_the_column_of_that_name():
    table = column_table()
    between = figures.cfrafn.columns(table, LABEL)[1]
    slanting = [line.get_xdata().tolist() for line in between.lines
                if to_hex(line.get_color()) == to_hex(figures.ORANGE)]
    assert slanting == [[place, list(table.index).index(name) + 1]
                        for place, name in enumerate(table["listed"][:3], start=1)]


def test_of_a_restricted_corpus_neither_length_nor_level_nor_a_bar_of_few_is_told():
    steps = {"recording": (np.full(24000, 0.25, np.float32), 16000)}
    table = figures.cfrafn.steps_table(steps, LABEL, restricted=True).to_html()
    assert "1.5" not in table
    assert "0.25" not in table
    assert table.count(figures.WITHHELD) == 2
    assert "1.5" in figures.cfrafn.steps_table(steps, LABEL).to_html()
    ax = figures.cfrafn.gate(GATE, LABEL, restricted=True)
    assert not any(bar.get_height() for bar in ax.patches)
