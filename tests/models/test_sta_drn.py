"""STA-DRN against the authors' code: numbers, sizes, seeds, clips, scores."""

import json

import numpy as np
import pytest
import torch

from depnb.models import reference, sta_drn
from depnb.scores import explain
from tests.paths import GOLDEN

CLIPS = json.loads((GOLDEN / "sta_drn_clips_a.json").read_text())


@pytest.fixture(scope="module", params=list(reference.sta_drn.VARIANTS))
def case(request, golden):
    arrays, config = golden(f"sta_drn_{request.param}_a")
    state = {k.removeprefix("state/"): torch.from_numpy(v) for k, v in arrays.items()
             if k.startswith("state/")}
    return request.param, arrays, config, state


def close(ours, theirs, tolerance):
    torch.testing.assert_close(ours, torch.from_numpy(theirs), atol=tolerance, rtol=0)


def test_outputs_stages_and_attention_are_the_authors(case):
    variant, arrays, config, state = case
    model = reference.load("sta_drn", state, config)
    clips = torch.from_numpy(arrays["input/clips"])
    with explain.record(model, "layer_?", "layer_1.0.conv2*",
                        "layer_4.1.conv2*") as seen, torch.inference_mode():
        prediction = model(clips)
        pooled = model.forward_features(clips)
    close(prediction, arrays["output/prediction"], 1e-5)
    close(63 * prediction.clamp(min=0), arrays["output/score"], 5e-4)
    close(pooled, arrays["output/pooled"], 1e-5)
    for stage in range(1, 5):
        close(seen[f"layer_{stage}"], arrays[f"output/layer_{stage}"], 5e-5)
    compared = 0
    for block, ours in (("first", "layer_1.0.conv2"), ("last", "layer_4.1.conv2")):
        close(seen[ours], arrays[f"output/{block}_block_attention_block_output"], 5e-5)
        for kind in ("temporal", "spatial"):
            if f"output/{block}_block_{kind}_attention" in arrays:
                close(seen[f"{ours}.{kind}.share"].unflatten(1, (config["k"], -1)),
                      arrays[f"output/{block}_block_{kind}_attention"], 1e-5)
                compared += 1
    assert compared == (4 if variant.startswith("stanet") else 2)


def test_seeded_initialisation_draws_the_same_numbers(case):
    variant, _, config, _ = case
    facts = config["seeded_initialisation"]
    torch.manual_seed(facts["seed"])
    model = sta_drn.STADRN(reference.sta_drn.VARIANTS[variant], config["k"], config["layers"],
                           config["features"])
    parameters = dict(model.named_parameters())
    assert sum(p.numel() for p in parameters.values()) == config["parameters"]
    total = float(sum(p.detach().double().abs().sum() for p in parameters.values()))
    assert total == pytest.approx(facts["sum_of_absolute_values_of_all_parameters"], rel=1e-12)
    for name, values in facts["first_three_values"].items():
        assert parameters[name].flatten()[:3].tolist() == values[:parameters[name].numel()], name


@pytest.mark.parametrize(("k", "features", "single", "fused"),
                         [(2, 16, 6_600_385, 7_822_785), (1, 16, 6_244_545, 7_465_025),
                          (4, 16, 7_312_065, 8_538_305), (8, 16, 8_735_425, 9_969_345),
                          (2, 32, 26_387_649, 31_269_569), (2, 64, 104_835_009, 124_347_329)])
def test_parameter_counts_are_the_published_ones(k, features, single, fused):
    with torch.device("meta"):
        counts = [sum(p.numel() for p in sta_drn.STADRN(v, k, features=features).parameters())
                  for v in sta_drn.VARIANTS]
    assert counts == [single, single, fused, fused]


def test_released_state_has_the_published_number_of_entries():
    with torch.device("meta"):
        assert [len(sta_drn.STADRN(v).state_dict()) for v in sta_drn.VARIANTS] == [
            442, 442, 586, 586]


@pytest.mark.parametrize("case", CLIPS["validation"],
                         ids=lambda c: f"{c['files_in_folder']}/{c['sample_interval']}")
def test_evaluation_clips_are_the_released_ones(case):
    clips = sta_drn.evaluation_clips(case["frames_after_sampling"], case["frame_len"])
    assert len(clips) == case["number_of_clips"]
    if "clip_starts_after_sampling" in case:
        assert [c[0] for c in clips] == case["clip_starts_after_sampling"]
        assert all(c == list(range(c[0], c[0] + case["frame_len"])) for c in clips)
    else:
        assert clips[0] == case["repeated_frame_positions"]
    # the file lists the first and last six
    listed = clips if len(clips) <= 12 else clips[:6] + clips[-6:]
    step = case["sample_interval"]
    assert [[c[0] * step, c[-1] * step] for c in listed] == case["first_and_last_file_of_each_clip"]


@pytest.mark.parametrize("case", CLIPS["training"],
                         ids=lambda c: f"{c['files_in_folder']}-{c['numpy_legacy_seed']}")
def test_training_clips_are_the_released_ones(case):
    rng = np.random.RandomState(case["numpy_legacy_seed"])
    clip = sta_drn.training_clip(case["frames_after_sampling"], case["frame_len"], rng,
                                 last_start=False)
    if "repeated_frame_positions" in case:
        assert clip == case["repeated_frame_positions"]
    else:
        (start,) = (v for k, v in case.items() if k.startswith("clip_start"))
        assert clip == list(range(start, start + case["frame_len"]))


def test_our_training_clip_reaches_the_last_start():
    starts = {sta_drn.training_clip(10, 8, np.random.default_rng(i))[0] for i in range(100)}
    assert starts == {0, 1, 2}


@pytest.mark.parametrize("case", CLIPS["loss"])
def test_loss_is_the_released_one(case):
    loss = sta_drn.released_loss(torch.tensor(case["network_outputs"]),
                                 torch.tensor(case["labels_in_BDI_points"]) / 63)
    assert float(loss) / case["accumulation_steps"] == pytest.approx(case["loss"], rel=1e-6)


@pytest.mark.parametrize("case", CLIPS["video_score"])
def test_score_of_a_video_is_the_released_one(case):
    scores = 63 * np.clip(case["network_outputs_per_clip"], 0, None)
    assert sta_drn.score_of_video(scores, case["clips_per_forward_pass"]) == pytest.approx(
        case["video_score"], abs=1e-5)
    assert sta_drn.score_of_video(scores) == pytest.approx(scores.mean())


@pytest.mark.parametrize("variant", sta_drn.VARIANTS)
@pytest.mark.parametrize(("k", "stem"), [(1, 64), (2, 8), (4, 4)])
def test_every_parameter_gets_a_gradient_or_cannot_matter(variant, k, stem):
    torch.manual_seed(0)
    model = sta_drn.STADRN(variant, k, (1, 1, 1, 1), features=4, stem_features=stem, outputs=2)
    out = model(torch.randn(2, 3, 8, 32, 32))
    assert out.shape == (2, 2)
    out.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name


def test_attention_over_groups_adds_up_to_one():
    weights = sta_drn.Share(4)(torch.randn(2, 8, 5, 1, 1)).unflatten(1, (4, -1))
    torch.testing.assert_close(weights.sum(1), torch.ones(2, 2, 5, 1, 1))


def test_k_that_does_not_divide_the_width_is_refused():
    with pytest.raises(ValueError, match="k=3 does not divide the width 16"):
        sta_drn.STADRN(k=3)


def test_unknown_variant_is_refused():
    with pytest.raises(ValueError, match=r"variant 'stanet': choose one of temporal"):
        sta_drn.STADRN("stanet")


class TestReference:
    """Loading what the authors publish."""

    @pytest.mark.parametrize(("name", "value", "message"), [
        ("k", 4, "k is 4, but the checkpoint's weights say 2"), ("features", 16, "features is 16"),
        ("layers", [2, 2, 2, 2], "layers is"), ("in_channels", 1, "in_channels is 1"),
        ("num_classes", 8, "num_classes is 8"),
        ("variant", "resnet", "variant is 'resnet'")])
    def test_a_contradiction_is_named(self, case, name, value, message):
        _, _, config, state = case
        with pytest.raises(ValueError, match=message.replace("[", r"\[")):
            reference.load("sta_drn", state, config | {name: value})

    def test_a_missing_entry_is_named(self, case):
        _, _, config, state = case
        with pytest.raises(ValueError, match="config: k missing"):
            reference.load("sta_drn", state, {k: v for k, v in config.items() if k != "k"})

    def test_missing_weights_are_named(self, case):
        _, _, config, state = case
        with pytest.raises(ValueError, match=r"1 missing \(first: layer_3.0.bn1.weight\)"):
            reference.load("sta_drn",
                           {k: v for k, v in state.items() if k != "layer_3.0.bn1.weight"}, config)

    def test_something_else_is_refused(self):
        with pytest.raises(ValueError, match=r"no conv_1.weight"):
            reference.load("sta_drn", {"weight": torch.zeros(3)}, dict.fromkeys(
                ("variant", "layers", "k", "features", "in_channels", "num_classes"), 1))

    def test_an_unknown_paper_is_refused(self):
        with pytest.raises(ValueError, match="choose one of sta_drn"):
            reference.load("resnet", {}, {})
