"""`reference.load` on more than the golden files of one model's own tests.

Files are read by `depnb.papers.weights`, see tests/papers/test_weights.py.
"""

import numpy as np
import pytest
import torch

from depnb.models import reference, sta_drn
from tests import authors_files
from tests.authors_files import PlainAAFN, state_of


def test_a_width_for_each_modality():
    """Against a plain implementation of AAFN."""
    plain = PlainAAFN()
    config = {"modality_order": plain.senses, "feature_dim": 8, "classes_resolution": 32,
              "num_subscores": 8, "heads_have_batch_norm": True,
              "attention": {"hidden_dim": 1, "base_width": 128, "fuse_type": "iAFF"}}
    names = ("conv_hidden", "lstm_hidden", "num_layers")
    for sense, features in (("visual", 3), ("audio", 80), ("text", 512)):
        widths = dict(zip(names, authors_files.WIDTHS[sense], strict=True))
        config[sense] = {"input_dim": features, **widths}
    inputs = plain.inputs()
    with torch.inference_mode():
        answers = reference.load("aafn", plain.state(), config)(**inputs).softmax(-1)
    torch.testing.assert_close(answers, plain(**inputs), atol=1e-5, rtol=0)
    config["text"]["conv_hidden"] = 7
    message = r"config: text.conv_hidden is 7, but the checkpoint's weights say 9"
    with pytest.raises(ValueError, match=message):
        reference.load("aafn", plain.state(), config)


def test_a_released_score_is_63_times_the_output(golden):
    arrays, _ = golden("sta_drn_stanet_af_a")
    model = reference.load("sta_drn", *state_of(golden, "sta_drn_stanet_af_a"))
    with torch.inference_mode():
        outputs = model(torch.from_numpy(arrays["input/clips"]))[:, 0].clamp(min=0)
    scores = [sta_drn.score_of_video(63 * outputs[i:i + 1]) for i in range(len(outputs))]
    np.testing.assert_allclose(scores, arrays["output/score"].ravel(), atol=5e-4)
