"""AAFN against the authors' code: numbers, sizes, seeds, a training step; and a modality that is
missing.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from depnb.models import aafn, ordinal, reference
from depnb.runs import sharpness
from depnb.scores import explain

PARITY = ("iaff", "aff", "daf", "av_iaff")
SMALL = {"conv_width": 6, "lstm_width": 5, "visual_layers": 2, "audio_layers": 1, "text_layers": 1,
         "width": 4, "points": 7, "bands": 5, "embedding": 6, "heads": 3, "planes": 1,
         "base_width": 128, "dropout": 0.2}


def close(ours, theirs, tolerance=1e-5):
    torch.testing.assert_close(ours, torch.as_tensor(theirs), atol=tolerance, rtol=0)


def small(modalities=aafn.MODALITIES, fusion="sub_attention", **more):
    torch.manual_seed(0)
    return aafn.AAFN(modalities, fusion, **SMALL | more)


def small_inputs(modalities=aafn.MODALITIES, batch=6):
    random = torch.Generator().manual_seed(1)
    shapes = {"visual": (13, 7, 3), "audio": (5, 13), "text": (10, 6)}
    drawn = {name: torch.randn(batch, *shape, generator=random) for name, shape in shapes.items()}
    return {name: drawn[name] for name in modalities}


def drawn_weights(config):
    """The authors' freshly drawn networks in the released order, under their names, as {network:
    {key: tensor}}.

    Written from the specification with PyTorch's own layers, apart from our model.
    """
    def drawn_branch(size, visual):
        w, h, d = size["conv_hidden"], size["lstm_hidden"], config["feature_dim"]
        conv = (nn.Conv2d(size["input_dim"], w, (72, 3)) if visual
                else nn.Conv1d(size["input_dim"], w, 3))
        nn.init.uniform_(conv.weight, -(6 / conv.weight[0].numel()) ** 0.5,
                         (6 / conv.weight[0].numel()) ** 0.5)
        lstm = nn.LSTM(w, h, size["num_layers"], bidirectional=True)
        fc = nn.Linear(2 * h, d)
        nn.init.uniform_(fc.weight, -(6 / (2 * h)) ** 0.5, (6 / (2 * h)) ** 0.5)
        return {"conv.conv1.weight": conv.weight, "fc.fc.weight": fc.weight,
                **{f"lstm.{key}": value for key, value in lstm.state_dict().items()}}

    def drawn_head():
        widths = (config["feature_dim"] * len(config["modality_order"]), 256, 128, 64,
                  config["classes_resolution"])
        entries = {f"layer{i + 1}.weight": nn.Linear(widths[i], widths[i + 1]).weight
                   for i in range(4)}
        p, fuse = config["attention"]["hidden_dim"], config["attention"]["fuse_type"]
        w, c = int(p * config["attention"]["base_width"] / 64), 16 * p
        convs = {f"conv{i}": nn.Conv2d(*size, bias=False) for i, size in
                 enumerate(((1, w, 1), (w, w, 3), (w, c, 1), (c, w, 3), (w, 1, 1)), 1)}
        maps = {"DAF": (), "AFF": ("local_att", "global_att"),
                "iAFF": ("local_att", "global_att", "local_att2", "global_att2")}[fuse]
        for name in maps:
            first, second = (1, 4) if name.startswith("global") else (0, 3)
            convs |= {f"fuse_mode.{name}.{first}": nn.Conv2d(c, c // 4, 1),
                      f"fuse_mode.{name}.{second}": nn.Conv2d(c // 4, c, 1)}
        for conv in convs.values():
            nn.init.normal_(conv.weight, 0,
                            (2 / (conv.out_channels * conv.kernel_size[0] ** 2)) ** 0.5)
        used = {name: conv for name, conv in convs.items() if "global_att2" not in name}
        return entries | {f"attention.{name}.weight": conv.weight for name, conv in used.items()}

    torch.manual_seed(config["seed"])
    nets = {f"{name}_net": drawn_branch(config[name], name == "visual")
            for name in config["modality_order"]}
    heads = [drawn_head() for _ in range(config["num_subscores"])]
    nets["evaluator"] = {f"evaluator.{i}.{key}": value for i, head in enumerate(heads)
                         for key, value in head.items()}
    return {net: {key: value.detach() for key, value in entries.items()}
            for net, entries in nets.items()}


def golden_weights(config):
    """The drawn weights, scaled and rounded to bfloat16 as the golden files have them: before
    rounding, after rounding.
    """
    def scaled(key, value):
        value = value * (1.5 if key.startswith("lstm.") else 2 if key.endswith("layer1.weight")
                         else 1)
        rounded = value.bfloat16()
        return value, (5 * rounded.float()).bfloat16() if key.endswith("layer4.weight") else rounded

    return {net: {key: scaled(key, value) for key, value in entries.items()}
            for net, entries in drawn_weights(config).items()}


@pytest.fixture(scope="module")
def load_golden(golden):
    """load_golden(name) -> (arrays, config, state by network): weights drawn again from their seed,
    and stored entries.

    Weights that rounding might tip on another processor are stored too. Small entries lie one
    behind the other in `rounded` (bfloat16) and `full`, with their shapes in the config.
    """
    def load(name):
        arrays, config = golden(name)
        for kind in ("rounded", "full"):
            shapes = config.pop(kind)
            cuts = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
            parts = np.split(arrays.pop(kind, np.empty(0)), cuts)[:-1]
            arrays |= {key: part.reshape(shape)
                       for (key, shape), part in zip(shapes.items(), parts, strict=True)}
        arrays |= {key: np.array(value) for key, value in config.pop("counters").items()}
        weights = golden_weights(config)
        flat = torch.cat([rounded.flatten() for net in weights.values()
                          for _, rounded in net.values()]).view(torch.int16)
        flat[torch.from_numpy(arrays.pop("near_tie/index")).long()] = torch.from_numpy(
            arrays.pop("near_tie/value"))
        assert hashlib.sha256(flat.numpy().tobytes()).hexdigest() == config["weights_sha256"]
        counts = [rounded.numel() for net in weights.values() for _, rounded in net.values()]
        parts = iter(flat.view(torch.bfloat16).float().split(counts))
        state = {net: {key: next(parts).view(rounded.shape)
                       for key, (_, rounded) in entries.items()}
                 for net, entries in weights.items()}
        for key, value in arrays.items():
            if key.startswith("state/"):
                _, net, entry = key.split("/", 2)
                state[net][entry] = torch.from_numpy(value)
        return arrays, config, state

    return load


def inputs_of(arrays):
    return {key.removeprefix("input/"): torch.from_numpy(value) for key, value in arrays.items()
            if key.startswith("input/")}


def assert_outputs_are_the_authors(model, arrays):
    with explain.record(model, "*_branch", "heads.attention",
                        "heads.attention.fusion") as seen, torch.inference_mode():
        logits = model(**inputs_of(arrays))
    theirs = np.stack([arrays[f"output/head_{head}"] for head in range(8)], 1)
    close(logits.softmax(-1), theirs)
    for name in model.modalities:
        close(seen[f"{name}_branch"], arrays[f"output/{name}_features"])
    close(seen["heads.attention"], arrays["output/attended_features"][:, :, 0], 5e-5)
    close(seen["heads.attention.fusion"][:, 0], arrays["output/head_0_fused"], 2e-4)
    assert np.array_equal(logits.argmax(-1).numpy(), arrays["output/bins"])
    assert np.array_equal(ordinal.decode(logits, "released").sum(1).numpy(),
                          arrays["output/phq_score"])


@pytest.mark.parametrize("name", PARITY)
def test_outputs_branches_and_attention_are_the_authors(load_golden, name):
    arrays, config, state = load_golden(f"aafn_{name}_a")
    assert_outputs_are_the_authors(reference.load("aafn", state, config), arrays)


@pytest.mark.skipif("DEPNB_REFERENCE" not in os.environ,
                    reason="DEPNB_REFERENCE: a folder with golden/ and published/")
@pytest.mark.parametrize("name", PARITY)
def test_the_complete_golden_files_agree_too(load_golden, name):
    with np.load(Path(os.environ["DEPNB_REFERENCE"]) / f"golden/aafn_{name}_a.npz") as file:
        arrays = {key: file[key] for key in file.files}
    config, state = json.loads(str(arrays.pop("config"))), {}
    for key, value in arrays.items():
        if key.startswith("state/"):
            _, net, entry = key.split("/", 2)
            state.setdefault(net, {})[entry] = torch.from_numpy(value)
    assert_outputs_are_the_authors(reference.load("aafn", state, config), arrays)
    _, _, ours = load_golden(f"aafn_{name}_a")                # what we draw again is what they hold
    for net, entries in state.items():
        assert all("global_att2" in key or torch.equal(value, ours[net][key])
                   for key, value in entries.items())


@pytest.mark.parametrize("name", PARITY)
def test_a_seeded_model_has_the_weights_that_the_released_code_draws(golden, name):
    _, config = golden(f"aafn_{name}_a")
    nets = drawn_weights(config)
    if config["heads_have_batch_norm"]:
        nets["evaluator"] |= {f"evaluator.{head}.bn1.weight": torch.ones(256) for head in range(8)}
    torch.manual_seed(config["seed"])
    sizes = {k: config["audio"][v]
             for k, v in (("bands", "input_dim"), ("conv_width", "conv_hidden"),
                          ("lstm_width", "lstm_hidden"), ("audio_layers", "num_layers"))}
    model = aafn.AAFN(config["modality_order"], fuse=config["attention"]["fuse_type"].lower(),
                      visual_layers=2, text_layers=1, embedding=24, width=config["feature_dim"],
                      base_width=config["attention"]["base_width"], **sizes)
    ours = model.state_dict()
    drawn = reference.aafn.state_dict(nets, model.modalities, {})
    assert len(drawn) > 30
    for key, value in drawn.items():
        assert torch.equal(ours[key], value), key


class TestWidthsByModality:

    def test_each_branch_has_its_own(self):
        model = small(conv_width={"visual": 3, "audio": 4, "text": 7},
                      lstm_width={"visual": 2, "audio": 6, "text": 5})
        shapes = [(len(getattr(model, f"{name}_branch").conv.bias),
                   getattr(model, f"{name}_branch").fc.in_features) for name in aafn.MODALITIES]
        assert shapes == [(3, 4), (4, 12), (7, 10)]
        model(**small_inputs()).square().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())

    def test_a_modality_without_a_number_is_named(self):
        with pytest.raises(
            ValueError,
            match=r"lstm_width is given by modality, but not for audio; give a number for each"):
            small(("visual", "audio"), lstm_width={"visual": 3})


class TestSizes:
    """Numbers of parameters at the published size."""

    @staticmethod
    def count(module):
        return sum(p.numel() for p in module.parameters())

    def build(self, *arguments, **more):
        with torch.device("meta"):
            return aafn.AAFN(*arguments, **more)

    @pytest.mark.parametrize(("modalities", "fuse", "total"), [
        (aafn.MODALITIES, "iaff", 17_318_672),
        (aafn.MODALITIES, "aff", 17_282_064), (aafn.MODALITIES, "daf", 17_245_456),
        (("visual", "audio"), "iaff", 13_631_760), (("visual", "audio"), "aff", 13_595_152),
        (("visual", "audio"), "daf", 13_558_544)])
    def test_sub_attention(self, modalities, fuse, total):
        unused = 18_304 if fuse == "iaff" else 0      # the second global map, which we do not build
        assert self.count(self.build(modalities, fuse=fuse)) == total - unused

    def test_parts(self):
        model = self.build()
        branches = [self.count(getattr(model, f"{name}_branch")) for name in aafn.MODALITIES]
        assert branches == [6_082_048, 5_977_600, 3_155_456]
        assert self.count(model.heads) == 2_103_568 - 18_304
        assert self.count(model.heads.attention) == 8 * 21_954 - 18_304

    @pytest.mark.parametrize(("modalities", "fusion", "total"), [
        (aafn.MODALITIES, "attention", 17_157_826), (("visual", "audio"), "attention", 13_478_082),
        (aafn.MODALITIES, "concatenation", 17_135_872),
        (("visual", "audio"), "concatenation", 13_456_128),
        (aafn.MODALITIES, "median", 16_087_296), (("visual", "audio"), "product", 12_931_840),
        (("audio",), "concatenation", 6_849_792), (("visual",), "concatenation", 6_954_240),
        (("text",), "concatenation", 3_534_592)])
    def test_siblings(self, modalities, fusion, total):
        unused = 18_304 // 8 if fusion == "attention" else 0
        assert self.count(self.build(modalities, fusion)) == total - unused
        if total == 17_157_826:
            assert self.count(self.build(fusion="attention", bins=4)) == 17_143_266 - unused


class TestTrainingStep:
    """Two batches of the released script in 64 bits: adaptive SAM with rho 2, Adam, only the
    branches optimised.
    """

    def test_weights_and_statistics_are_the_authors(self, load_golden):
        arrays, config, state = load_golden("aafn_train_step_a")
        model = reference.load("aafn", state, config).double().train()
        trained = [p for name, p in model.named_parameters() if "_branch." in name]
        optimiser = torch.optim.Adam(trained, config["lr"], weight_decay=config["weight_decay"])
        losses = []
        for i in range(config["batches"]):
            batch = {name: torch.from_numpy(arrays[f"input/batch_{i}/{name}"]).double()
                     for name in model.modalities}
            # these stay in 32 bits
            targets = ordinal.soft_labels(torch.from_numpy(arrays[f"input/batch_{i}/subscores"]))

            def backward(batch=batch, targets=targets):
                loss = ordinal.kl_loss(model(**batch), targets)
                loss.backward()
                losses.append(loss.item())

            backward()
            ascent = sharpness.ascend(trained, 2.0, adaptive=True)
            optimiser.zero_grad()
            with sharpness.still_statistics(model, nn.BatchNorm2d):
                backward()
            sharpness.descend(ascent)
            optimiser.step()
            optimiser.zero_grad()
        np.testing.assert_allclose(losses, arrays["output/losses"], rtol=0, atol=1e-9)
        after = {}
        for key, value in arrays.items():
            if key.startswith("output/after/"):
                _, _, net, entry = key.split("/", 3)
                after.setdefault(net, {})[entry] = torch.from_numpy(value)
        expected, actual, compared = (reference.aafn.state_dict(after, model.modalities, {}),
                                      model.state_dict(), 0)
        for key, value in expected.items():
            torch.testing.assert_close(actual[key], value, atol=1e-9, rtol=0, msg=key)
            compared += value.numel()
        assert compared > 20_000
        before = reference.aafn.state_dict(state, model.modalities, {})
        assert all(torch.equal(actual[key].float(), before[key].float())
                   for key in actual if key not in expected)


@pytest.mark.parametrize(("modalities", "fusion"), [
    *((aafn.MODALITIES, fusion) for fusion in aafn.FUSIONS), (("visual", "text"), "sub_attention"),
    *(((name,), "concatenation") for name in aafn.MODALITIES)])
def test_every_parameter_gets_a_gradient_or_cannot_matter(modalities, fusion):
    model = small(modalities, fusion)
    logits = model(**small_inputs(modalities))
    assert logits.shape == (6, 3, 32)
    ordinal.kl_loss(logits,
                    ordinal.soft_labels(torch.tensor([[0.0, 1, 2], [3, 2, 1]] * 3))).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        if not name.endswith("top_reverse.weight_hh_l0"):       # meets the zero state only
            # a bias before a batch norm cannot matter
            assert parameter.grad.any() or name.endswith("bias"), name


@pytest.mark.parametrize("fusion", aafn.FUSIONS)
def test_mixed_precision_stays_close(fusion):
    model, inputs = small(fusion=fusion).eval(), small_inputs()
    present = torch.ones(6, 3, dtype=torch.bool)
    present[0, 2] = present[1, 1] = False
    exact = model(**inputs, present=present).softmax(-1)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(**inputs, present=present).float().softmax(-1)
        assert model(visual=inputs["visual"]).isfinite().all()
    torch.testing.assert_close(rough, exact, atol=5e-3, rtol=0)


def test_heads_do_not_see_each_other():
    model, inputs = small().eval(), small_inputs()
    before = model(**inputs)
    with torch.no_grad():
        for name, parameter in model.heads.named_parameters():
            one = len(parameter) // 3
            parameter[one:2 * one] += 0.3 if "bias" in name else 0.1
    changed = (model(**inputs) != before).any(-1).any(0)
    assert changed.tolist() == [False, True, False]


def test_attention_is_a_share_and_can_be_recorded():
    model = small().eval()
    with explain.record(model, "heads.*weights*") as seen:
        model(**small_inputs())
    assert list(seen) == ["heads.attention.fusion.weights1", "heads.attention.fusion.weights2"]
    for weights in seen.values():
        assert weights.shape == (6, 3, 16, 3, 4)
        assert ((weights > 0) & (weights < 1)).all()


def test_shared_attention_is_followed_by_plain_heads():
    model = small(fusion="attention").eval()
    with explain.record(model, "heads.*weights1", "heads.attention") as seen:
        model(**small_inputs())
    assert seen["heads.attention.fusion.weights1"].shape == (6, 1, 16, 3, 4)
    assert seen["heads.attention"].shape == (6, 1, 3, 4)
    assert not any(isinstance(module, aafn.HeadNorm) for module in model.modules())


def test_released_defaults_of_the_siblings_can_be_made_equal():
    def facts(*arguments, **more):
        model = small(*arguments, visual_layers=3, **more)
        branch = getattr(model, f"{model.modalities[0]}_branch").lstm
        return branch.dropout.p, any(isinstance(m, aafn.HeadNorm) for m in model.modules())

    assert facts() == (0.2, True)
    assert facts(("visual", "audio")) == (0.2, False)
    assert facts(fusion="mean") == (0.0, False)
    assert facts(fusion="mean", lstm_dropout=0.4, head_norm=True) == (0.4, True)
    assert facts(("visual",), "concatenation") == (0.2, False)
    assert facts(("text",), "concatenation", text_layers=2) == (0.0, False)
    assert [m.weight.shape[1] for m in small(("text",), "concatenation").heads.classifier
            if isinstance(m, aafn.HeadLinear)] == [128, 64, 64, 32]


class TestMissing:
    """A modality that is not there: for all windows, or for some."""

    @pytest.mark.parametrize("fusion", aafn.FUSIONS)
    def test_windows_that_lack_something_do_not_change_the_others(self, fusion):
        model, inputs = small(fusion=fusion).eval(), small_inputs()
        present = torch.ones(6, 3, dtype=torch.bool)
        present[1, 0] = present[4, 2] = present[4, 1] = False
        complete = model(**inputs)
        for i, name in enumerate(aafn.MODALITIES):
            inputs[name][~present[:, i]] = torch.nan            # what is missing is never read
        lacking, others = model(**inputs, present=present), [0, 2, 3, 5]
        torch.testing.assert_close(lacking[others], complete[others])
        torch.testing.assert_close(lacking[4:5], model(visual=inputs["visual"][4:5]))
        torch.testing.assert_close(lacking[1:2],
                                   model(audio=inputs["audio"][1:2], text=inputs["text"][1:2]))
        assert not model.features(**inputs, present=present)[~present].any()

    def test_batch_norms_see_only_windows_that_have_the_modality(self):
        model, inputs = small(), small_inputs()
        present = torch.ones(6, 3, dtype=torch.bool)
        present[4:, 1] = False
        model.features(**inputs, present=present)
        other = small()
        other.features(audio=inputs["audio"][:4])
        torch.testing.assert_close(model.audio_branch.bn.running_mean,
                                   other.audio_branch.bn.running_mean)

    @pytest.mark.parametrize(("fusion", "combine"), [
        ("mean", lambda f: f.mean(1)), ("max", lambda f: f.amax(1)), ("sum", lambda f: f.sum(1)),
        ("product", lambda f: f.prod(1)), ("median", lambda f: f.quantile(0.5, 1)),
        ("lower_median", lambda f: f.median(1).values)])
    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_present_features_are_combined(self, fusion, combine, count):
        features = torch.rand(5, 3, 4, generator=torch.Generator().manual_seed(2))
        present = torch.tensor([[True] * count + [False] * (3 - count)]).expand(5, -1)
        fused = aafn.combined(fusion, features, present[:, :, None])
        torch.testing.assert_close(fused, combine(features[:, :count]))

    def test_a_window_with_nothing_is_refused(self):
        model, inputs = small().eval(), small_inputs()
        present = torch.ones(6, 3, dtype=torch.bool)
        present[2] = False
        with pytest.raises(ValueError, match="window 2: all modalities are missing"):
            model(**inputs, present=present)
        with pytest.raises(ValueError, match="no modality is given; "
                           "pass at least one of visual, audio, text"):
            model()
        with pytest.raises(ValueError,
                           match=r"present is of shape \(6, 2\); expected .*, here \(6, 3\)"):
            model(**inputs, present=present[:, :2])

    def test_gradients_reach_the_branches_of_present_modalities_only(self):
        model, inputs = small(), small_inputs()
        present = torch.tensor([[True, False, True]]).repeat(6, 1)
        present[0, 2] = False
        model(**inputs, present=present).square().sum().backward()
        assert model.text_branch.conv.weight.grad.any()
        assert model.audio_branch.conv.weight.grad is None


@pytest.mark.parametrize(("arguments", "message"), [
    ({"modalities": ()}, "choose some of visual, audio, text, in this order"),
    ({"modalities": ("audio", "visual")}, "in this order"),
    ({"modalities": ("video",)}, "choose some of"),
    ({"fusion": "mixed"}, "fusion 'mixed': choose one of concatenation"),
    ({"fuse": "sum"}, "fuse 'sum': choose one of daf"),
    ({"modalities": ("text",)}, "text alone has nothing to fuse with; "
     "set fusion to concatenation")])
def test_what_cannot_be_built_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        small(**arguments)


@pytest.mark.parametrize(("inputs", "message"), [
    ({"visual": torch.zeros(2, 9, 68, 3)},
     r"visual is of shape \(2, 9, 68, 3\); expected \(windows, frames, 7, 3\)"),
    ({"audio": torch.zeros(2, 9, 5)},
     r"audio is of shape \(2, 9, 5\); expected \(windows, 5, frames\)"),
    ({"text": torch.zeros(2, 10)},
     r"text is of shape \(2, 10\); expected \(windows, sentences, 6\)"),
    ({"text": torch.zeros(2, 2, 6)}, "text has 2 steps in time; pooling needs at least 3"),
    ({"audio": torch.zeros(2, 5, 9), "text": torch.zeros(3, 10, 6)},
     "audio has 2, text has 3 windows; give equally many")])
def test_inputs_of_another_shape_are_refused(inputs, message):
    with pytest.raises(ValueError, match=message):
        small().eval()(**inputs)


def test_a_modality_that_the_model_lacks_is_refused():
    with pytest.raises(ValueError, match="text is given, but this model has visual, audio"):
        small(("visual", "audio")).eval()(**small_inputs())


@pytest.fixture(scope="module")
def av_case(load_golden):
    return load_golden("aafn_av_iaff_a")


def test_the_benchmark_compares_equal_losses(tmp_path):
    script = Path(__file__).parents[2] / "benchmarks/aafn_training_step.py"
    command = [sys.executable, str(script), "--quick", "--save", str(tmp_path / "result.csv")]
    finished = subprocess.run(command, capture_output=True, text=True,
                              env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert "recurrent, backward" in finished.stdout, finished.stderr
    assert "ratio" in (tmp_path / "result.csv").read_text()


class TestReference:
    """Loading what the authors publish."""

    def test_prefixes_further_entries_and_the_unused_map_do_not_matter(self, av_case):
        arrays, config, state = av_case
        wrapped = {net: {f"module.{key}": value for key, value in entries.items()}
                   for net, entries in state.items()}
        wrapped["evaluator"]["module.evaluator.0.attention.fuse_mode.global_att2.1.weight"] = (
            torch.zeros(16, 64, 1, 1))
        model = reference.load("aafn", wrapped | {"epoch": 3, "optimizer": {}, "best_acc": 81.2},
                               config)
        assert not model.training
        assert_outputs_are_the_authors(model, arrays)

    @pytest.mark.parametrize("name", ["modality_order", "feature_dim", "classes_resolution",
                                      "num_subscores", "heads_have_batch_norm", "visual", "audio",
                                      "attention"])
    def test_a_missing_entry_is_named(self, av_case, name):
        _, config, state = av_case
        with pytest.raises(ValueError, match=f"config: {name} missing"):
            reference.load("aafn", state,
                           {key: value for key, value in config.items() if key != name})

    @pytest.mark.parametrize("part", ["visual", "attention"])
    def test_a_missing_entry_of_a_part_is_named(self, av_case, part):
        _, config, state = av_case
        for name in (key for key in config[part] if key != "frames"):
            lacking = {k: v for k, v in config[part].items() if k != name}
            with pytest.raises(ValueError, match=rf"config: {part}\.{name} missing"):
                reference.load("aafn", state, config | {part: lacking})

    @pytest.mark.parametrize(
        "name", ["feature_dim", "classes_resolution", "num_subscores", "heads_have_batch_norm",
                 "audio.input_dim", "audio.conv_hidden", "audio.lstm_hidden", "audio.num_layers",
                 "attention.hidden_dim", "attention.base_width", "attention.fuse_type"])
    def test_a_contradiction_is_named(self, av_case, name):
        _, config, state = av_case
        part, _, key = name.rpartition(".")
        changed = config | ({part: config[part] | {key: 7}} if part else {key: 7})
        with pytest.raises(ValueError,
                           match=f"config: {name} is 7, but the checkpoint's weights say"):
            reference.load("aafn", state, changed)

    def test_networks_that_lack_or_are_left_over_are_named(self, av_case):
        _, config, state = av_case
        with pytest.raises(ValueError, match="state: audio_net missing"):
            reference.load("aafn", {net: v for net, v in state.items() if net != "audio_net"},
                           config)
        with pytest.raises(ValueError,
                           match=r"modality_order is .*, but the checkpoint has text_net"):
            reference.load("aafn", state | {"text_net": state["audio_net"]}, config)
        with pytest.raises(ValueError, match=r"state: no conv.conv1.weight in visual_net"):
            reference.load("aafn", state | {"visual_net": {"fc.weight": torch.zeros(3)}}, config)
        with pytest.raises(ValueError, match=r"state: no evaluator.0.layer1.bias in evaluator"):
            reference.load("aafn", state | {"evaluator": {"fc.weight": torch.zeros(3)}}, config)
        entries = {key: value for key, value in state["audio_net"].items() if key != "fc.fc.bias"}
        with pytest.raises(ValueError, match=r"1 missing \(first: audio_branch.fc.bias\)"):
            reference.load("aafn", state | {"audio_net": entries}, config)

    def test_a_fusion_that_weights_cannot_show_is_asked(self, av_case):
        heads = {"evaluator.0.layer1.weight": torch.zeros(256, 8)}
        with pytest.raises(ValueError, match="config: fusion missing"):
            reference.aafn.fusion(heads, av_case[1] | {"feature_dim": 8}, False, False)

    def test_siblings_load_too(self, av_case):
        """One attention block for all heads; the others: tests/papers/test_weights.py."""
        _, config, state = av_case
        model = aafn.AAFN(("visual", "audio"), "attention", conv_width=12, lstm_width=10,
                          visual_layers=2, audio_layers=2, width=8, bands=20, base_width=64).eval()
        heads, block = {}, {}
        for key, value in model.heads.state_dict().items():
            if key.startswith("classifier."):
                _, place, entry = key.split(".")
                heads |= {f"evaluator.{h}.layer{int(place) // 2 + 1}.{entry}": value[h]
                          for h in range(8)}
            else:
                key = key.removeprefix("attention.").replace("fusion.local1", "fuse_mode.local_att")
                key = key.replace("fusion.local2", "fuse_mode.local_att2")
                for ours, theirs in enumerate((1, 2, None, 4, 5)):
                    key = key.replace(f"fusion.global1.{ours}.", f"fuse_mode.global_att.{theirs}.")
                block[key] = value
        plain = config | {"heads_have_batch_norm": False}
        loaded = reference.load("aafn", state | {"evaluator": heads, "fusion_net": block}, plain)
        assert loaded.fusion == "attention"
        features = torch.rand(3, 2, 8)
        torch.testing.assert_close(loaded.fuse(features), model.fuse(features))

    @pytest.mark.parametrize("number", [np.float64(81.2), np.float32(0.5)])
    def test_a_checkpoint_with_a_numpy_score_is_read(self, tmp_path, number):
        """As NumPy 2 and, under another name of the same function, NumPy 1 have written it."""
        path = tmp_path / "best.pt"
        torch.save({"best_acc": number}, path, _use_new_zipfile_serialization=False)
        assert reference.read_checkpoint(path)["best_acc"] == number
        new, old = b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"
        path.write_bytes(path.read_bytes().replace(new, old))
        assert old in path.read_bytes()
        assert reference.read_checkpoint(path)["best_acc"] == number
