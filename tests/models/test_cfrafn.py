"""CFRAFN and its baselines against the authors' code: numbers, sizes, keys, checkpoint.

The authors' own checkpoint may not be redistributed: the tests that need it run where
DEPNB_REFERENCE names a folder with `golden/` and `published/`, and are skipped elsewhere.
"""

import hashlib
import json
import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from depnb.features import importance
from depnb.models import cfrafn, reference
from depnb.scores import explain

# published sizes: code/main.py (our defaults), the published checkpoint, the class defaults
SIZES = {
    "main": {}, "checkpoint": {"transformed_width": 196, "conv_width": 178,
                               "classifier_width": 155},
    "class": {"transformed_width": 128, "conv_width": 64, "expansion": 4}}
AUTHORS_CLASSES = {"FeatureFusionFCNN": "feature_fusion", "LayerFusionFCNN": "layer_fusion",
                   "DCNN": "dual_cnn"}


def close(ours, theirs, tolerance=1e-5):
    torch.testing.assert_close(ours, torch.from_numpy(theirs), atol=tolerance, rtol=0)


def small(**more):
    torch.manual_seed(0)
    sizes = {"egemaps_features": 7, "vggish_features": 9, "transformed_width": 12, "conv_width": 10,
             "classifier_width": 5}
    return cfrafn.CFRAFN(**sizes | more)


def small_inputs(batch=6):
    random = torch.Generator().manual_seed(1)
    return {"egemaps": torch.randn(batch, 7, generator=random),
            "vggish": torch.randn(batch, 9, generator=random)}


@pytest.fixture(scope="module")
def case(golden):
    arrays, config = golden("cfrafn_a")
    state = {k.removeprefix("state/"): torch.from_numpy(v) for k, v in arrays.items()
             if k.startswith("state/")}
    return arrays, config, state


def load_case(case, **changes):
    arrays, config, state = case
    return reference.load("cfrafn", state, config | changes, arrays["input/feature_weights"])


def assert_outputs_are_the_authors(model, arrays, tolerance=1e-5):
    inputs = {name: torch.from_numpy(arrays[f"input/{name}"]) for name in ("egemaps", "vggish")}
    with explain.record(model, "egemaps_net", "vggish_net", "gate",
                        "gate.score") as seen, torch.inference_mode():
        logits, fused = model(**inputs), model.forward_features(**inputs)
    close(torch.sigmoid(logits), arrays["output/probability"][:, 0], tolerance)
    close(fused, arrays["output/fused"], tolerance)
    close(seen["gate"], arrays["output/alpha"], tolerance)
    close(seen["gate.score"], arrays["output/gate_logit"], tolerance)
    close(seen["egemaps_net"], arrays["output/egemaps_branch"], tolerance)
    close(seen["vggish_net"], arrays["output/vggish_branch"], tolerance)


def test_outputs_branches_and_gate_are_the_authors(case):
    assert_outputs_are_the_authors(load_case(case), case[0])


@pytest.fixture(scope="module")
def baselines(golden):
    """Arrays, config, and the weights drawn again from their seeds: all but those that rounding
    might tip on another CPU.
    """
    arrays, config = golden("cfrafn_baselines_a")
    states = {}
    for name, drawn in config["weights"].items():
        random, state = torch.Generator().manual_seed(drawn["seed"]), {}
        for key, shape in drawn["shapes"].items():
            spread = 0.2 if key.endswith("bias") else 1.5 * np.prod(shape[1:]) ** -0.5
            state[key] = (torch.randn(shape, generator=random) * spread * 256).round()
        flat = torch.cat([value.flatten() for value in state.values()])
        flat[torch.from_numpy(arrays[f"near_tie/{name}/index"]).long()] = torch.from_numpy(
            arrays[f"near_tie/{name}/value"]).float()
        assert hashlib.sha256(flat.numpy().astype("<i2").tobytes()).hexdigest() == drawn["sha256"]
        parts = flat.div(256).split([value.numel() for value in state.values()])
        states[name] = {key: part.view(value.shape)
                        for (key, value), part in zip(state.items(), parts, strict=True)}
    # their file holds these twice
    for key in [key for key in states["DCNN"] if "_conv_layers." in key]:
        states["DCNN"][key.replace("_conv_layers.", "_branch.0.")] = states["DCNN"][key]
    return arrays, config, states


@pytest.mark.parametrize("name", AUTHORS_CLASSES)
def test_outputs_of_the_baselines_are_the_authors(baselines, name):
    arrays, config, states = baselines
    model = reference.load("cfrafn_baseline", states[name], config)
    assert type(model) is cfrafn.BASELINES[AUTHORS_CLASSES[name]]
    with torch.inference_mode():
        logits = model(egemaps=torch.from_numpy(arrays["input/egemaps"]),
                       vggish=torch.from_numpy(arrays["input/vggish"]))
    close(torch.sigmoid(logits), arrays[f"output/{name}"])


@pytest.mark.parametrize(("size", "total", "parts"), [
    ("main", 566_786, {"layer_norm": 512, "egemaps_transform": 22_784,
                       "egemaps_net": 295_808, "vggish_transform": 33_024,
                       "vggish_net": 197_760, "gate": 257, "classifier": 16_641}),
    ("checkpoint", 485_946, {"layer_norm": 392, "egemaps_transform": 17_444, "egemaps_net": 173_558,
                             "vggish_transform": 25_284, "vggish_net": 253_570,
                             "gate": 197, "classifier": 15_501}),
    ("class", 226_434, {})])
def test_parameter_counts_are_the_published_ones(size, total, parts):
    with torch.device("meta"):
        model = cfrafn.CFRAFN(**SIZES[size])
    assert sum(p.numel() for p in model.parameters()) == total
    for name, count in parts.items():
        assert sum(p.numel() for p in getattr(model, name).parameters()) == count, name


@pytest.mark.parametrize(("name", "count"), [("feature_fusion", 253_185), ("layer_fusion", 384_769),
                                             ("dual_cnn", 702_337)])
def test_parameter_counts_of_the_baselines_are_the_published_ones(name, count):
    with torch.device("meta"):
        assert sum(p.numel() for p in cfrafn.BASELINES[name]().parameters()) == count


def test_27_per_cent_of_the_published_parameters_never_meet_data():
    with torch.device("meta"):
        model = cfrafn.CFRAFN(**SIZES["checkpoint"])
    convolutions = [m for m in model.modules() if isinstance(m, cfrafn.LengthOneConv)]
    idle = sum(m.weight.numel() * (m.kernel_size[0] - 1) // m.kernel_size[0] for m in convolutions)
    assert idle == 133_144
    assert round(100 * idle / 485_946) == 27


def test_without_a_change_of_width_the_shortcut_is_the_identity():
    assert not any("shortcut" in key for key in small(conv_width=12).state_dict())


@pytest.mark.parametrize("k", [1, 3, 5])
def test_middle_tap_equals_a_convolution_over_length_one(k):
    torch.manual_seed(0)
    layer = cfrafn.LengthOneConv(4, 6, k)
    x = torch.randn(3, 4)
    torch.testing.assert_close(layer(x), F.conv1d(x[:, :, None], layer.weight, layer.bias,
                                                  padding=(k - 1) // 2)[:, :, 0])


@pytest.mark.parametrize("fusion", cfrafn.FUSIONS)
def test_every_parameter_gets_a_gradient_or_cannot_matter(fusion):
    model = small(fusion=fusion)
    logits = model(**small_inputs())
    assert logits.shape == (6,)
    F.binary_cross_entropy_with_logits(logits, torch.tensor([0.0, 1, 0, 1, 1, 0])).backward()
    for name, parameter in model.named_parameters():
        if fusion == "equal" and name.startswith("gate."):
            assert parameter.grad is None
        else:
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.any(), name


@pytest.mark.parametrize("name", cfrafn.BASELINES)
def test_baselines_learn_and_return_one_logit_a_recording(name):
    torch.manual_seed(0)
    model = cfrafn.BASELINES[name](egemaps_features=24, vggish_features=32, width=16)
    random = torch.Generator().manual_seed(1)
    inputs = {"egemaps": torch.randn(5, 24, generator=random),
              "vggish": torch.randn(5, 32, generator=random)}
    model(**inputs).square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    assert model.eval()(**{k: v[:1] for k, v in inputs.items()}).shape == (1,)


@pytest.mark.parametrize(("fusion", "needed"), [("egemaps", "egemaps"), ("vggish", "vggish")])
def test_a_single_branch_needs_only_its_own_input(fusion, needed):
    model, inputs = small(fusion=fusion).eval(), small_inputs()
    torch.testing.assert_close(model(**{needed: inputs[needed]}), model(**inputs))


def test_equal_fusion_and_a_gate_fixed_at_one_half_are_one():
    model, equal, inputs = small().eval(), small(fusion="equal").eval(), small_inputs()
    equal.load_state_dict(model.state_dict())
    assert not torch.equal(model(**inputs), equal(**inputs))
    model.gate.fixed = 0.5
    torch.testing.assert_close(model(**inputs), equal(**inputs))
    with explain.record(model, "gate") as seen:
        model(**inputs)
    assert (seen["gate"] == 0.5).all()


def test_a_weight_is_the_same_as_scaling_the_column():
    weights, inputs = [1, 2, 0, 1, -1, 0.5, 1], small_inputs()
    weighted = small(feature_weights=weights).eval()(**inputs)
    inputs["egemaps"] = inputs["egemaps"] * torch.tensor(weights)
    torch.testing.assert_close(small().eval()(**inputs), weighted)


def test_feature_weights_travel_with_our_checkpoint():
    state = small(feature_weights=np.arange(7.0)).state_dict()
    model = small()
    model.load_state_dict(state)
    assert model.feature_weights.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert "feature_weights" not in dict(model.named_parameters())


@pytest.mark.parametrize("fusion", cfrafn.FUSIONS)
def test_a_first_layer_that_knows_the_columns_in_another_order_is_told_so(fusion):
    order, inputs = torch.tensor([3, 0, 6, 5, 1, 2, 4]), small_inputs()
    weights = torch.arange(1.0, 8)                                       # in the order of the table
    told = small(fusion=fusion, feature_weights=weights, column_order=order).eval()
    sorted_columns = inputs | {"egemaps": inputs["egemaps"][:, order]}
    torch.testing.assert_close(told(**inputs), small(
        fusion=fusion, feature_weights=weights[order]).eval()(**sorted_columns))
    fresh = small(fusion=fusion).eval()
    fresh.load_state_dict(told.state_dict())                      # as training.load_checkpoint does
    assert torch.equal(fresh(**inputs), told(**inputs))
    assert told.state_dict().keys() == small(fusion=fusion).state_dict().keys()


def test_a_loop_that_never_returns_to_training_mode_leaves_the_counters_at_one():
    """As the loop of d8b7961: train() once before the epochs, eval() in each.

    Beside it a loop with train() in each.
    """
    def trained(every_epoch):
        model, inputs = small(), small_inputs()
        optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
        model.train()
        for _ in range(6):
            if every_epoch:
                model.train()
            optimiser.zero_grad()
            F.binary_cross_entropy_with_logits(model(**inputs),
                                               torch.tensor([0.0, 1, 0, 1, 1, 0])).backward()
            optimiser.step()
            model.eval()
        norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm1d)]
        return ([int(m.num_batches_tracked) for m in norms],
                min(float(m.running_var.min()) for m in norms))

    counters, variance = trained(every_epoch=False)
    assert counters == [1, 1, 1]
    assert variance >= 0.9          # 0.9 of the initial 1, and a tenth of the variance of one batch
    counters, variance = trained(every_epoch=True)
    assert counters == [6, 6, 6]
    assert variance < 0.9


@pytest.mark.parametrize(("arguments", "message"), [
    ({"fusion": "sum"}, r"fusion 'sum': choose one of gate"),
    ({"kernel_size": 4}, "kernel_size 4 is even"),
    ({"gate_temperature": 0}, "gate_temperature 0: expected a positive"),
    ({"feature_weights": [1.0] * 6}, r"shape \(6,\); expected 7 finite"),
    ({"feature_weights": [float("nan")] * 7}, "expected 7 finite"),
    ({"column_order": [0, 1, 2, 3, 4, 5, 5]},
     "column_order: expected every number from 0 to 6 once")])
def test_what_cannot_be_built_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        small(**arguments)


@pytest.mark.parametrize("kind", [cfrafn.CFRAFN, *cfrafn.BASELINES.values()])
def test_inputs_of_another_width_are_refused(kind):
    model = kind(egemaps_features=8, vggish_features=9).eval()
    with pytest.raises(ValueError,
                       match=r"egemaps is of shape \(2, 5\); expected \(recordings, 8\)"):
        model(egemaps=torch.zeros(2, 5), vggish=torch.zeros(2, 9))
    with pytest.raises(ValueError, match=r"vggish is of shape \(9,\); expected \(recordings, 9\)"):
        model(egemaps=torch.zeros(2, 8), vggish=torch.zeros(9))


def test_a_missing_input_is_named():
    with pytest.raises(ValueError, match="vggish is missing"):
        small().eval()(egemaps=torch.zeros(2, 7))


class TestReference:
    """Loading what the authors publish."""

    @pytest.mark.parametrize("name", [*reference.cfrafn.SIZES, "temperature"])
    def test_a_missing_entry_is_named(self, case, name):
        arrays, config, state = case
        with pytest.raises(ValueError, match=f"config: {name} missing"):
            reference.load("cfrafn", state, {k: v for k, v in config.items() if k != name},
                           arrays["input/feature_weights"])

    @pytest.mark.parametrize("name", reference.cfrafn.SIZES)
    def test_a_contradiction_is_named(self, case, name):
        with pytest.raises(ValueError,
                           match=f"config: {name} is 7, but the checkpoint's weights say"):
            load_case(case, **{name: 7})

    def test_temperature_changes_the_gate(self, case):
        arrays, _, _ = case
        with explain.record(model := load_case(case, temperature=1.0),
                            "gate") as seen, torch.inference_mode():
            model(torch.from_numpy(arrays["input/egemaps"]),
                  torch.from_numpy(arrays["input/vggish"]))
        close(seen["gate"], 1 / (1 + np.exp(-arrays["output/gate_logit"])))

    def test_missing_feature_weights_are_an_error(self, case):
        _, config, state = case
        with pytest.raises(ValueError, match="checkpoint does not hold them; give 88 numbers"):
            reference.load("cfrafn", state, config)

    def test_weights_that_lack_or_are_left_over_are_named(self, case):
        arrays, config, state = case
        weights = arrays["input/feature_weights"]
        with pytest.raises(ValueError, match=r"1 missing \(first: gate.score.bias\)"):
            reference.load("cfrafn", {k: v for k, v in state.items()
                                      if k != "fusion.attention_layer.bias"}, config, weights)
        with pytest.raises(ValueError, match=r"1 unknown \(first: classifier.4.bias\)"):
            reference.load("cfrafn", state | {"classifier.4.bias": torch.zeros(1)}, config, weights)

    def test_something_else_is_refused(self, case):
        arrays, config, _ = case
        with pytest.raises(ValueError, match=r"state: no eGeMAPS_transform.weight"):
            reference.load("cfrafn", {"fc.weight": torch.zeros(3)}, config,
                           arrays["input/feature_weights"])

    def test_baselines_refuse_what_is_none_and_take_no_weights(self, baselines):
        _, config, states = baselines
        with pytest.raises(ValueError, match=r"state: none of layers.0.weight"):
            reference.load("cfrafn_baseline", {"fc.weight": torch.zeros(3)}, config)
        with pytest.raises(ValueError, match="input_dim_eGe missing"):
            reference.load("cfrafn_baseline", states["DCNN"], {"input_dim_VGGish": 32})
        with pytest.raises(ValueError, match=r"of another shape \(first: layers.0.weight\)"):
            reference.load("cfrafn_baseline", states["FeatureFusionFCNN"],
                           config | {"input_dim_eGe": 25})
        with pytest.raises(ValueError, match="cfrafn_baseline has none"):
            reference.load("cfrafn_baseline", states["DCNN"], config, np.ones(24))


@pytest.fixture(scope="module")
def published():
    folder = Path(os.environ["DEPNB_REFERENCE"])
    with np.load(folder / "golden/cfrafn_published_a.npz") as file:
        arrays = {key: file[key] for key in file.files}
    config = json.loads(str(arrays.pop("config")))
    state = torch.load(folder / "published/cfrafn/best_CFRAFN.pth", weights_only=True,
                       map_location="cpu")
    listed = importance.read_importances(folder / "published/cfrafn/sorted_feature_importance.csv")
    return arrays, config, state, listed


@pytest.mark.skipif("DEPNB_REFERENCE" not in os.environ,
                    reason="DEPNB_REFERENCE: a folder with golden/ and published/")
class TestPublishedCheckpoint:
    """The authors' own weights, which are not ours to pass on."""

    def load(self, published, alignment):
        arrays, config, state, listed = published
        columns = arrays["input/egemaps_column_names"].tolist()
        model = reference.load("cfrafn", state, config,
                               importance.feature_weights(alignment, columns, published=listed))
        return (model.read_columns_in(importance.list_order(columns, listed))
                if alignment == "columns_by_list" else model)

    def probabilities(self, published, alignment):
        inputs = {name: torch.from_numpy(published[0][f"input/{name}"])
                  for name in ("egemaps", "vggish")}
        with torch.inference_mode():
            return self.load(published, alignment)(**inputs).sigmoid()

    def test_the_released_weights_are_the_list_in_its_own_order(self, published):
        arrays, _, _, listed = published
        weights = self.load(published, "as_released").feature_weights
        close(weights, arrays["input/feature_weights"], 1e-9)
        assert list(listed.index) == arrays["input/feature_weight_names"].tolist()
        columns = arrays["input/egemaps_column_names"].tolist()
        # none meets its own column
        assert sum(a == b for a, b in zip(listed.index, columns, strict=True)) == 0
        by_name = self.load(published, "by_name").feature_weights
        assert np.corrcoef(weights, by_name)[0, 1] == pytest.approx(-0.27, abs=0.005)

    def test_outputs_are_the_authors(self, published):
        assert_outputs_are_the_authors(self.load(published, "as_released"), published[0])

    def test_the_list_keeps_all_88_functionals_up_to_an_importance_of_one(self, published):
        listed = published[3]
        names = (Path(os.environ["DEPNB_REFERENCE"])
                 / "published/cfrafn/eGe_feature_cumul1.txt").read_text().split()
        assert names == list(listed.index)
        assert len(names) == 88
        assert listed.sum() == pytest.approx(1)
        assert listed.is_monotonic_decreasing

    def test_batch_norm_saw_one_batch_as_the_loop_of_d8b7961_leaves_it(self, published):
        state = published[2]
        assert [int(v) for k, v in state.items() if k.endswith("num_batches_tracked")] == [1, 1, 1]
        variances = torch.cat([v for k, v in state.items() if k.endswith("running_var")])
        assert variances.min() >= 0.9
        assert variances.max() < 0.91

    def test_the_idle_taps_change_nothing(self, published):
        model = self.load(published, "as_released")
        inputs = {name: torch.from_numpy(published[0][f"input/{name}"])
                  for name in ("egemaps", "vggish")}
        with torch.inference_mode():
            before = model(**inputs)
            for module in model.modules():
                if isinstance(module, cfrafn.LengthOneConv) and module.kernel_size[0] == 3:
                    module.weight[:, :, [0, 2]] = 0
            assert torch.equal(model(**inputs), before)

    @pytest.mark.parametrize(("alignment", "low", "high", "moved"), [
        ("as_released", 0.490, 0.500, 0.015), ("by_name", 0.469, 0.482, 0.025),
        ("columns_by_list", 0.309, 0.321, 0.011)])
    def test_the_gate_changes_little_in_any_order_of_the_columns(
            self, published, alignment, low, high, moved):
        model = self.load(published, alignment)
        inputs = {name: torch.from_numpy(published[0][f"input/{name}"])
                  for name in ("egemaps", "vggish")}
        with explain.record(model, "gate") as seen, torch.inference_mode():
            free = model(**inputs).sigmoid()
        assert (float(seen["gate"].min()), float(seen["gate"].max())) == pytest.approx(
            (low, high), abs=6e-4)
        model.gate.fixed = 0.5
        with torch.inference_mode():
            assert float((model(**inputs).sigmoid() - free).abs().max()) == pytest.approx(
                moved, abs=6e-4)

    @pytest.mark.parametrize(("one", "other", "difference", "decisions"), [
        ("as_released", "by_name", 0.11, 1), ("as_released", "columns_by_list", 0.24, 1),
        ("by_name", "columns_by_list", 0.13, 0)])
    def test_three_orders_of_the_columns_give_three_probabilities(
            self, published, one, other, difference, decisions):
        one, other = (self.probabilities(published, alignment) for alignment in (one, other))
        assert len(one) == 8
        assert float((one - other).abs().mean()) == pytest.approx(difference, abs=0.005)
        assert int(((one >= 0.5) != (other >= 0.5)).sum()) == decisions

    def test_the_chapter_tells_these_differences(self, published):
        chapter = (Path(__file__).parents[2] / "notebooks/cfrafn.ipynb").read_text(encoding="utf-8")
        answers = {alignment: self.probabilities(published, alignment)
                   for alignment in ("as_released", "by_name", "columns_by_list")}
        for one, other in combinations(answers, 2):
            difference = float((answers[one] - answers[other]).abs().mean())
            decisions = int(((answers[one] >= 0.5) != (answers[other] >= 0.5)).sum())
            assert f"| `{one}` and `{other}` | {difference:.2f} | {decisions} |" in chapter

    def test_columns_by_list_is_the_released_product_on_a_table_in_the_order_of_the_list(
        self, published):
        arrays, _, _, listed = published
        order = importance.list_order(arrays["input/egemaps_column_names"], listed)
        with torch.inference_mode():
            released = self.load(published, "as_released")(
                torch.from_numpy(arrays["input/egemaps"][:, order]),
                torch.from_numpy(arrays["input/vggish"])).sigmoid()
        torch.testing.assert_close(released, self.probabilities(published, "columns_by_list"),
                                   atol=1e-6, rtol=0)
