"""DynMultiDep against the authors' code: numbers, sizes, keys; gates, experts, padding and time."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from depnb.models import dynmultidep, reference
from depnb.models.dynmultidep import DynMultiDep
from depnb.scores import explain

SMALL = {"audio_features": 3, "visual_features": 5, "width": 16, "state_size": 4, "expansion": 2,
         "window": 5, "heads": 4, "feed_forward": 12}
SETTINGS = {  # every way of building one that a test should hold for
    "released": {}, "released, two layers": {"layers": 2}, "acoustic": {"modalities": "acoustic"},
    "visual": {"modalities": "visual"}, "mean": {"gate": "mean"},
    "own transitions": {"share_transition": False},
    "forward": {"directions": "forward"}, "causal": {"causal": True},
    "biases": {"projection_bias": True, "conv_bias": False, "average_directions": False},
    "paper": {"variant": "paper"}, "paper, two layers": {"variant": "paper", "layers": 2},
    "paper, short": {"variant": "paper", "experts": "short"},
    "paper, long": {"variant": "paper", "experts": "long"},
    "paper, sequence": {"variant": "paper", "router_level": "sequence"},
    "paper, causal": {"variant": "paper", "causal": True},
    "paper, visual": {"variant": "paper", "modalities": "visual"},
    "paper, F1": {"variant": "paper", "fusion_gate": "none"}}
every_setting = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
LENGTHS = (7, 23, 12)


def close(ours, theirs, tolerance=1e-5):
    torch.testing.assert_close(ours, torch.as_tensor(theirs), atol=tolerance, rtol=0)


def small(seed=0, **more):
    torch.manual_seed(seed)
    return DynMultiDep(**SMALL | more)


def small_inputs(lengths=LENGTHS, frames=None):
    """Vlogs of these lengths, padded with zeros: what `forward` takes."""
    random = torch.Generator().manual_seed(1)
    mask = (torch.arange(frames or max(lengths)) < torch.tensor(lengths)[:, None]).float()
    drawn = {name: torch.randn(*mask.shape, size, generator=random)
             for name, size in (("audio", 3), ("visual", 5))}
    return {name: x * mask[:, :, None] for name, x in drawn.items()} | {"mask": mask}


def soft(model):
    """With the gates it has set to soft."""
    model.gate = "mean" if model.gate == "mean" else "soft"
    model.fusion_gate = "none" if model.fusion_gate == "none" else "soft"
    return model


def only(inputs, vlog, frames):
    """One vlog of a batch, alone and without its padding."""
    return {name: x[vlog:vlog + 1, :frames] for name, x in inputs.items()}


@pytest.fixture(scope="module")
def case(golden):
    """case(name) -> (arrays, config, the authors' state)."""
    def load(name):
        arrays, config = golden(name)
        return arrays, config, {k.removeprefix("state/"): torch.from_numpy(v)
                                for k, v in arrays.items() if k.startswith("state/")}

    return load


class TestParity:
    """The authors' numbers."""

    @pytest.mark.parametrize("kind", ["hard", "soft"])
    def test_sequences_gate_and_logits_are_the_authors(self, case, kind):
        arrays, config, state = case("dynmultidep_a")
        model = reference.load("dynmultidep", state, config | {"hard_gate": kind == "hard"})
        inputs = {"audio": torch.from_numpy(arrays["input/audio"]),
                  "visual": torch.from_numpy(arrays["input/visual"])}
        mask = torch.from_numpy(arrays["input/padding_mask"])
        with torch.inference_mode():
            encoded, _, _ = model.encode(**inputs, mask=mask)
            logits, weights = model(**inputs, mask=mask, return_weights=True)
            fused, _ = model.forward_features(**inputs, mask=mask)
            without = model(**inputs)
        for name in ("audio", "visual"):
            close(encoded[name], arrays[f"output/{name}_encoded"])
            close(weights["pooled"][name], arrays[f"output/{name}_pooled"])
        close(weights["gate_logits"], arrays["output/gate_logits"])
        close(weights["gate_soft"], arrays["output/gate_weights_soft"])
        close(weights["gate"], arrays[f"output/gate_weights_{kind}"])
        close(fused, arrays[f"output/fused_{kind}"])
        close(logits, arrays[f"output/logit_{kind}"][:, 0])
        close(without, arrays[f"output/logit_{kind}_no_mask"][:, 0])

    def test_the_block_of_one_sequence_is_the_authors(self, case):
        arrays, config, state = case("bimamba_a")
        block = dynmultidep.BiMamba(config["d_model"], config["d_state"], config["expand"],
                                    config["d_conv"])
        block.load_state_dict(reference.dynmultidep.state_dict(state))
        with torch.inference_mode(), explain.record(block, "*_scan") as seen:
            close(block(torch.from_numpy(arrays["input/x"])), arrays["output/y"])
        for name in ("forward_scan", "backward_scan"):
            close(seen[name], arrays[f"output/{name}"])
        assert "in_proj.bias" not in block.state_dict()

    def test_the_block_of_two_modalities_is_the_authors(self, case):
        arrays, config, state = case("mm_bimamba_a")
        layer = DynMultiDep(width=config["d_model"], state_size=config["d_state"],
                            expansion=config["expand"]).layers[0]
        # the norms after the block are ours
        layer.load_state_dict(reference.dynmultidep.state_dict(state), strict=False)
        for name, stream in layer.streams.items():
            with torch.inference_mode(), explain.record(stream.mamba, "*_scan") as seen:
                y = stream.mamba(torch.from_numpy(arrays[f"input/{name}"]), layer.transition())
            close(y, arrays[f"output/{name}"])
            for direction in ("forward_scan", "backward_scan"):
                close(seen[direction], arrays[f"output/{name}_{direction}"])
        assert {key for key in layer.state_dict() if ".norm." not in key} == set(
            reference.dynmultidep.state_dict(state))

    @pytest.mark.parametrize(("sizes", "total", "parts"), [
        ({}, 1_947_715, {"input_proj.audio": 6_656, "input_proj.visual": 35_072,
                         "layers": 1_855_488 + 1_024,
                         "layers.0.streams.audio.norm": 512,
                         "layers.0.streams.visual.norm": 512, "modality_gate": 32_962,
                         "classifier": 16_513}),
        ({"audio_features": 128, "state_size": 16}, 2_015_043,
         {"input_proj.audio": 33_024, "input_proj.visual": 35_072,
          "layers": 1_896_448 + 1_024, "modality_gate": 32_962,
          "classifier": 16_513})], ids=["dvlog", "lmvd"])
    def test_parameter_counts_are_the_published_ones(self, sizes, total, parts):
        with torch.device("meta"):
            model = DynMultiDep(**sizes)
        assert sum(p.numel() for p in model.parameters()) == total
        for name, count in parts.items():
            assert sum(p.numel() for p in model.get_submodule(name).parameters()) == count, name

    def test_the_short_expert_has_as_many_parameters_as_the_released_class(self):
        with torch.device("meta"):
            model = DynMultiDep("paper")
        for stream in model.layers[0].streams.values():
            assert sum(p.numel() for p in stream.short.parameters()) == 789_760


class TestSpecialCase:
    """The paper's model holds the released one."""

    def test_with_the_long_expert_and_the_plain_sum_it_is_the_released_model(self):
        released, paper = (small(1).eval(),
                           small(2, variant="paper", experts="long", fusion_gate="none").eval())
        inputs = small_inputs()
        assert not torch.equal(paper(**inputs), released(**inputs))
        paper.load_state_dict(released.state_dict())
        assert torch.equal(paper(**inputs), released(**inputs))

    def test_a_router_and_a_fusion_gate_held_fast_give_the_released_model(self):
        released, paper = (small(1, gate="soft").eval(),
                           small(2, variant="paper", gate="soft").eval())
        paper.load_state_dict(released.state_dict(), strict=False)
        for stream in paper.layers[0].streams.values():
            stream.router.weight.data.zero_()
            stream.router.bias.data = torch.tensor([1e3, -1e3])
        paper.fusion_scores[3].weight.data.zero_()
        paper.fusion_scores[3].bias.data = torch.tensor([1.0, 0.0, 0.0])
        inputs = small_inputs()
        torch.testing.assert_close(paper(**inputs), released(**inputs))


class TestGates:
    """What the gates decide, and how their gradient flows."""

    def test_a_hard_gate_is_one_hot_in_value_and_soft_in_gradient(self):
        logits = torch.tensor([[0.3, -0.2], [-1.0, 2.0], [0.5, 0.5]], requires_grad=True)
        used, weights = dynmultidep.choose(logits, "hard", 0.7)
        assert used.tolist() == [[1, 0], [0, 1], [1, 0]]                    # the first of equals
        torch.testing.assert_close(weights, torch.softmax(logits / 0.7, 1))
        factors = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 4.0]])
        hard, = torch.autograd.grad((used * factors).sum(), logits)
        plain, = torch.autograd.grad((torch.softmax(logits / 0.7, 1) * factors).sum(), logits)
        torch.testing.assert_close(hard, plain)

    def test_gates_of_a_trained_model_can_be_set_but_not_to_anything(self):
        model, inputs = small(variant="paper").eval(), small_inputs()
        plain = small(variant="paper", gate="mean", fusion_gate="none").eval()
        plain.load_state_dict({key: value for key, value in model.state_dict().items()
                               if key in plain.state_dict()})
        model.gate, model.fusion_gate = "mean", "none"
        assert torch.equal(model(**inputs), plain(**inputs))
        model.gate = "gumbel"
        with pytest.raises(ValueError, match="gate 'gumbel': choose hard or soft"):
            model(**inputs)

    def test_a_hard_gate_passes_one_modality_and_nothing_of_the_other(self):
        model = small(gate="hard").eval()
        fused, weights = model.forward_features(**small_inputs())
        chosen = weights["gate_soft"].argmax(1)
        pooled = torch.stack(tuple(weights["pooled"].values()), 1)
        assert torch.equal(fused, pooled[torch.arange(3), chosen])

    def test_a_soft_gate_weighs_and_the_mean_has_no_gate(self):
        inputs = small_inputs()
        fused, weights = small(gate="soft").eval().forward_features(**inputs)
        a, v = weights["pooled"].values()
        torch.testing.assert_close(fused, weights["gate"][:, :1] * a + weights["gate"][:, 1:] * v)
        torch.testing.assert_close(weights["gate"].sum(1), torch.ones(3))
        model = small(gate="mean").eval()
        fused, weights = model.forward_features(**inputs)
        torch.testing.assert_close(fused, sum(weights["pooled"].values()) / 2)
        assert (weights["gate"] == 0.5).all()
        assert not any(key.startswith("modality_gate") for key in model.state_dict())

    def test_temperature_sharpens(self):
        model, inputs = small(gate="soft").eval(), small_inputs()
        _, weights = model(**inputs, return_weights=True)
        model.temperature = 0.1
        _, sharp = model(**inputs, return_weights=True)
        torch.testing.assert_close(sharp["gate"], torch.softmax(weights["gate_logits"] / 0.1, 1))
        assert (sharp["gate"].max(1).values > weights["gate"].max(1).values).all()

    def test_the_fusion_gate_chooses_among_three(self):
        model, inputs = small(variant="paper", gate="soft").eval(), small_inputs()
        for chosen in range(3):
            model.fusion_scores[3].bias.data = 1e3 * F.one_hot(torch.tensor(chosen), 3).float()
            fused, weights = model.forward_features(**inputs)
            assert (weights["fusion"].argmax(1) == chosen).all()
            assert weights["fusion"].sum(1).tolist() == [1, 1, 1]
            a, v = weights["pooled"].values()
            first, second = weights["gate"][:, :1] * a, weights["gate"][:, 1:] * v
            expected = (first + second, model.candidates.pair(torch.cat((first, second), 1)),
                        F.layer_norm(model.candidates.audio(a) * model.candidates.visual(v), (16,),
                                     eps=1e-6))[chosen]
            torch.testing.assert_close(fused, expected)

    def test_the_router_weighs_the_experts_at_every_frame(self):
        model, inputs = small(variant="paper", router_temperature=0.5).eval(), small_inputs()
        x, (router,), _ = model.encode(**inputs)
        stream, start = model.layers[0].streams["audio"], model.input_proj["audio"](inputs["audio"])
        long = start + stream.norm(stream.mamba(start, model.layers[0].transition()))
        short = stream.short(start, inputs["mask"].bool())
        weights = torch.softmax(stream.router(start) / 0.5, 2)
        assert weights.std(1).max() > 0
        torch.testing.assert_close(router["audio"], weights)
        torch.testing.assert_close(x["audio"], weights[..., :1] * long + weights[..., 1:] * short)

    def test_the_router_of_a_sequence_decides_once_from_its_real_frames(self):
        model, inputs = small(variant="paper", router_level="sequence").eval(), small_inputs()
        _, weights = model(**inputs, return_weights=True)
        for name, router in weights["router"].items():
            assert torch.equal(router, router[:, :1].expand_as(router))
            start = model.input_proj[name](only(inputs, 0, 7)[name])
            torch.testing.assert_close(router[0, 0], torch.softmax(
                model.layers[0].streams[name].router(start.mean(1)), 1)[0])

    def test_all_weights_are_observable(self):
        logits, weights = small(variant="paper")(**small_inputs(), return_weights=True)
        shapes = {name: tuple(value.shape) for name, value in weights.items()
                  if torch.is_tensor(value)}
        assert shapes == {"gate": (3, 2), "gate_soft": (3, 2), "gate_logits": (3, 2),
                          "fusion": (3, 3), "fusion_soft": (3, 3), "fusion_logits": (3, 3),
                          "extra_loss": ()}
        for name, shape in (("router", (3, 23, 2)), ("pooled", (3, 16))):
            assert {modality: tuple(value.shape) for modality, value in weights[name].items()} == {
                "audio": shape, "visual": shape}
        assert logits.shape == (3,)

    def test_extra_losses_are_nothing_unless_asked_for(self):
        inputs = small_inputs()
        assert small(variant="paper").eval()(**inputs, return_weights=True)[1]["extra_loss"] == 0
        model = small(variant="paper", balance_weight=1.0, layers=2).eval()
        for layer in model.layers:
            for stream in layer.streams.values():
                stream.router.weight.data.zero_()
                stream.router.bias.data = torch.tensor([math.log(3), 0.0])     # weights 3/4 and 1/4
        close(model(**inputs, return_weights=True)[1]["extra_loss"], torch.tensor(0.25))
        model = small(variant="paper", resource_weight=2.0, fusion_gate="soft").eval()
        _, weights = model(**inputs, return_weights=True)
        torch.testing.assert_close(weights["extra_loss"], 2 * (1 - weights["fusion"][:, 0]).mean())
        weights["extra_loss"].backward()
        assert model.fusion_scores[0].weight.grad.any()


class TestPadding:
    """A vlog alone and in any batch."""

    @every_setting
    def test_padding_changes_nothing_once_it_takes_no_part(self, setting):
        model, inputs = soft(small(**setting, mask_scan=True).eval()), small_inputs(frames=41)
        together, weights = model(**inputs, return_weights=True)
        for vlog, frames in enumerate(LENGTHS):
            alone, own = model(**only(inputs, vlog, frames), return_weights=True)
            close(together[vlog:vlog + 1], alone.detach(), 1e-6)
            for name, pooled in own["pooled"].items():
                close(weights["pooled"][name][vlog:vlog + 1], pooled.detach(), 2e-6)
            unmasked = only(inputs, vlog, frames) | {"mask": None}
            close(model(**unmasked), alone.detach(), 1e-6)

    def test_it_changes_no_gradient_either(self):
        model, inputs = (soft(small(variant="paper", mask_scan=True).eval()),
                         small_inputs((7,), frames=29))
        grads = []
        for batch in (inputs, only(inputs, 0, 7)):
            model.zero_grad()
            model(**batch).sum().backward()
            grads.append([p.grad.clone() for p in model.parameters()])
        for padded, alone in zip(*grads, strict=True):
            torch.testing.assert_close(padded, alone, atol=1e-6, rtol=1e-4)

    def test_what_stands_in_padded_frames_does_not_matter(self):
        model, inputs = small(variant="paper", mask_scan=True).eval(), small_inputs()
        real = inputs["mask"][:, :, None] > 0
        other = inputs | {name: torch.where(real, inputs[name], 5.0)
                          for name in ("audio", "visual")}
        close(model(**other), model(**inputs).detach(), 1e-6)

    @pytest.mark.parametrize("setting", [{}, {"variant": "paper"}], ids=["released", "paper"])
    def test_as_released_the_same_vlog_gets_another_logit_in_another_batch(self, setting):
        model, inputs = soft(small(**setting).eval()), small_inputs((30,), frames=70)
        assert not model.mask_scan
        assert (model(**inputs) - model(**only(inputs, 0, 30))).abs().item() > 1e-4

    def test_scanned_forwards_alone_padding_at_the_end_never_mattered(self):
        model, inputs = small(directions="forward").eval(), small_inputs((30,), frames=70)
        close(model(**inputs), model(**only(inputs, 0, 30)).detach(), 1e-6)

    @pytest.mark.parametrize("mask_scan", [False, True])
    def test_a_frame_whose_features_sum_to_zero_is_no_padding(self, mask_scan):
        model, inputs = small(mask_scan=mask_scan).eval(), small_inputs((9,))
        inputs["audio"][0, 8], inputs["visual"][0, 8] = torch.tensor([1.0, -3, 2]), torch.zeros(5)
        _, weights = model(**inputs, return_weights=True)
        _, without = model(**inputs | {"mask": None}, return_weights=True)
        _, cut = model(**only(inputs, 0, 8), return_weights=True)
        close(weights["pooled"]["audio"], without["pooled"]["audio"].detach(), 1e-6)
        assert (weights["pooled"]["audio"] - cut["pooled"]["audio"]).abs().max() > 1e-3

    def test_a_window_without_a_real_frame_returns_its_input(self):
        torch.manual_seed(0)
        expert = dynmultidep.LocalTransformer(8, 4, 2, 6, 0.0, False).eval()
        x, real = torch.randn(1, 11, 8, requires_grad=True), torch.arange(11)[None] < 3
        y = expert(x, real)
        assert torch.equal(y[:, 4:], x[:, 4:])
        y.sum().backward()
        assert x.grad.isfinite().all()


class TestTime:
    """Windows, directions and what may be seen."""

    @pytest.mark.parametrize("causal", [False, True])
    @pytest.mark.parametrize("gradient", [False, True])
    def test_windows_attend_within_themselves(self, causal, gradient):
        """Against each window given to PyTorch's layer alone, the last one shorter."""
        torch.manual_seed(0)
        expert = dynmultidep.LocalTransformer(8, 4, 2, 6, 0.0, causal).eval()
        x = torch.randn(2, 11, 8)
        mask = {4: nn.Transformer.generate_square_subsequent_mask(4),
                3: nn.Transformer.generate_square_subsequent_mask(3)}
        with torch.set_grad_enabled(gradient):
            parts = [expert.layer(w, src_mask=mask[w.shape[1]] if causal else None)
                     for w in x.split(4, 1)]
            torch.testing.assert_close(expert(x), torch.cat(parts, 1))

    def test_the_short_expert_is_the_layer_that_the_specification_names(self):
        """y = LN1(x + attention(x)), out = LN2(y + W2 ReLU(W1 y)), eight lines by hand."""
        torch.manual_seed(0)
        expert = dynmultidep.LocalTransformer(8, 5, 2, 6, 0.0, False).eval()
        layer, x = expert.layer, torch.randn(3, 5, 8)
        q, k, v = F.linear(x, layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias).chunk(
            3, 2)
        heads = zip(q.split(4, 2), k.split(4, 2), v.split(4, 2), strict=True)
        heads = [torch.softmax(a @ b.mT / 2, 2) @ c for a, b, c in heads]
        y = F.layer_norm(x + layer.self_attn.out_proj(torch.cat(heads, 2)), (8,), eps=1e-6)
        y = F.layer_norm(y + layer.linear2(F.relu(layer.linear1(y))), (8,), eps=1e-6)
        torch.testing.assert_close(expert(x), y)

    @pytest.mark.parametrize("setting", [{}, {"variant": "paper"},
                                         {"variant": "paper", "experts": "short"}, {"layers": 2}],
                             ids=["released", "paper", "short", "two layers"])
    def test_causal_means_that_no_later_frame_is_seen(self, setting):
        inputs = small_inputs((23,))
        changed = inputs | {name: x.clone() for name, x in inputs.items() if name != "mask"}
        changed["audio"][0, 12:] += 1.0                              # 12: in the middle of a window
        for causal in (True, False):
            model = small(**setting, causal=causal).eval()
            before, after = (model.encode(**batch)[0]["audio"][0, :12]
                             for batch in (inputs, changed))
            assert torch.equal(before, after) == causal

    def test_one_direction_has_no_parameters_of_the_other(self):
        both, forward = small(), small(directions="forward")
        assert not any("backward" in key for key in forward.state_dict())
        assert {key for key in both.state_dict() if "backward" not in key} == set(
            forward.state_dict())
        assert forward.layers[0].transition.A_log.shape == (1, 32, 4)

    def test_directions_are_averaged_or_summed_before_the_projection(self):
        torch.manual_seed(0)
        mean = dynmultidep.BiMamba(8, 4, 2)
        total = dynmultidep.BiMamba(8, 4, 2, average_directions=False)
        total.load_state_dict(mean.state_dict())
        x = torch.randn(2, 13, 8)
        torch.testing.assert_close(total(x), 2 * mean(x))


class TestLearning:
    """Gradients, seeds, initial weights."""

    @every_setting
    def test_every_parameter_gets_a_gradient(self, setting):
        model = soft(small(**setting)).eval()
        logits, weights = model(**small_inputs(), return_weights=True)
        (F.binary_cross_entropy_with_logits(logits, torch.tensor([0.0, 1, 0]))
         + weights["extra_loss"]).backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.any(), name

    def test_a_modality_alone_does_not_need_the_other(self):
        inputs = small_inputs()
        for modality, name in (("acoustic", "audio"), ("visual", "visual")):
            model = small(modalities=modality).eval()
            logits, weights = model(**{name: inputs[name], "mask": inputs["mask"]},
                                    return_weights=True)
            torch.testing.assert_close(model(**inputs), logits)
            assert set(weights["pooled"]) == {name}
            assert "gate" not in weights

    def test_one_modality_never_enters_the_sequence_of_the_other(self):
        model, inputs = small(variant="paper").eval(), small_inputs()
        with_other = model.encode(**inputs
                                  | {"visual": torch.randn_like(inputs["visual"])})[0]["audio"]
        assert torch.equal(with_other, model.encode(**inputs)[0]["audio"])

    def test_a_single_frame_and_a_single_vlog_pass(self):
        for setting in ({}, {"variant": "paper"}):
            assert small(**setting)(audio=torch.randn(1, 1, 3),
                                    visual=torch.randn(1, 1, 5)).shape == (1,)

    def test_mixed_precision_stays_near(self):
        for setting in ({}, {"variant": "paper", "mask_scan": True}):
            model, inputs = soft(small(**setting).eval()), small_inputs()
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(**inputs)
                logits.float().sum().backward()
            close(logits.float(), model(**inputs).detach(), 0.05)
            assert all(p.grad.isfinite().all() for p in model.parameters())

    @pytest.mark.parametrize("variant", ["released", "paper"])
    def test_fresh_weights_are_spread_as_released(self, variant):
        bounds = {"mamba.in_proj.weight": 256**-0.5, "mamba.out_proj.weight": 1024**-0.5,
                  "x_proj.weight": 1024**-0.5, "dt_proj.weight": 16**-0.5, "conv.weight": 0.5,
                  "conv.bias": 0.5, "input_proj.audio.bias": 0.2,
                  "input_proj.audio.weight": (6 / (25 + 256))**0.5,             # Xavier
                  "modality_gate.0.weight": (6 / (512 + 64))**0.5,
                  "classifier.0.weight": (6 / (256 + 64))**0.5}
        torch.manual_seed(0)
        spread = 0
        for name, values in DynMultiDep(variant, layers=2).named_parameters():
            values = values.detach()
            if name.endswith("A_log"):
                torch.testing.assert_close(values.exp(), torch.arange(1.0, 13).expand_as(values))
            elif name.endswith("scan.D"):
                assert (values == 1).all()
            elif name.endswith("dt_proj.bias"):
                step = F.softplus(values)
                if variant == "released" and "backward" in name:       # which misses Mamba's steps
                    assert 0.57 < step.min() < 0.60 < 0.80 < step.max() < 0.83
                else:
                    assert 0.001 * 0.999 <= step.min() < step.max() <= 0.1 * 1.001
                    assert step.log().mean().item() == pytest.approx(math.log(0.01), abs=0.15)
            for end in (end for end in bounds if name.endswith(end)):
                assert values.abs().max() <= bounds[end] * 1.0001, name
                assert values.std().item() == pytest.approx(bounds[end] / 3**0.5, rel=0.12), name
                spread += 1
        assert spread == 4 * (2 + 2 * 4) + 4            # blocks, their directions; once each


class TestRefusals:
    """What cannot be built or read."""

    @pytest.mark.parametrize(("arguments", "message"), [
        ({"variant": "published"}, "variant 'published': choose one of released, paper"),
        ({"gate": "gumbel"}, "gate 'gumbel': choose one of hard, soft, mean"),
        ({"experts": "both"},
         "variant \"released\" has experts \"long\" and fusion_gate \"none\", not 'both'"),
        ({"fusion_gate": "soft"}, "and 'soft'; choose variant \"paper\""),
        ({"modalities": "audio"}, "modalities 'audio': choose one of both, acoustic, visual"),
        ({"directions": "backward"}, "directions 'backward': choose"),
        ({"variant": "paper", "router_level": "vlog"}, "router_level 'vlog': choose"),
        ({"temperature": 0}, "temperature 0: expected a positive number"),
        ({"window": 0}, "window 0: expected a positive number"),
        ({"layers": 0}, "layers 0: expected a positive number"),
        ({"variant": "paper", "heads": 3}, "width 16 is no multiple of heads 3"),
        ({"variant": "paper", "causal": True, "router_level": "sequence"},
         "sees the whole sequence; with causal choose"),
        ({"variant": "paper", "modalities": "visual", "fusion_gate": "hard"},
         "a single modality has nothing to fuse")])
    def test_what_cannot_be_built_is_refused(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            small(**arguments)

    def test_features_of_another_width_are_named(self):
        model, inputs = small(), small_inputs()
        with pytest.raises(
            ValueError,
            match=r"audio has 5 features a frame; expected 3, as in training\. Are audio "
            r"and visual swapped\?"):
            model(audio=inputs["visual"], visual=inputs["audio"])
        with pytest.raises(ValueError,
                           match=r"visual has 4 features a frame; expected 5, as in training\.$"):
            model(audio=inputs["audio"], visual=inputs["visual"][:, :, :4])

    @pytest.mark.parametrize(("changes", "message"), [
        ({"visual": None}, "visual is missing"),
        ({"audio": torch.zeros(7, 3)}, r"audio is of shape \(7, 3\); expected \(vlogs"),
        ({"audio": torch.zeros(3, 0, 3)}, r"audio is of shape \(3, 0, 3\).*at least one frame"),
        ({"audio": torch.zeros(3, 22, 3)},
         r"differ: audio \(3, 22\), visual \(3, 23\), mask \(3, 23\)"),
        ({"mask": torch.ones(3, 22)}, r"mask \(3, 22\); cut both"),
        ({"mask": torch.ones(3, 23, 1)}, r"mask \(3, 23, 1\)"),
        ({"mask": torch.eye(3)[:, :1] * torch.ones(23)},
         "mask: vlog 1 of the batch has no real frame")])
    def test_inputs_that_do_not_fit_are_refused(self, changes, message):
        with pytest.raises(ValueError, match=message):
            small()(**small_inputs() | changes)


def authors_state(config, width=16, bias=False, backward=True):
    """Random weights under the names of the authors' file, as the specification lists them."""
    e, n, r, w = config["expand"] * width, config["d_state"], 1, config["d_conv"]
    shapes = {"classifier_layer.0": (64, width), "classifier_layer.3": (1, 64),
              "modality_gate.0": (64, 2 * width), "modality_gate.3": (2, 64)}
    plain = {}
    for m, features in (("a", config["audio_input_size"]), ("v", config["video_input_size"])):
        if features != width:
            shapes[f"mm_encoder.{m}_input_proj"] = (width, features)
    for i in range(config["num_layers"]):
        layer = f"mm_encoder.layers.{i}"
        for end in ("", "_b")[:1 + backward]:
            plain[f"{layer}.mamba.A{end}_log"] = (e, n)
            for m in "av":
                plain |= {f"{layer}.mamba.{m}_D{end}": (e,),
                          f"{layer}.mamba.{m}_x_proj{end}.weight": (r + 2 * n, e)}
                shapes |= {f"{layer}.mamba.{m}_dt_proj{end}": (e, r),
                           f"{layer}.mamba.{m}_conv1d{end}": (e, 1, w)}
        for m, number in (("a", 1), ("v", 2)):
            (shapes if bias else plain).update(
                {f"{layer}.mamba.{m}_{name}_proj{'' if bias else '.weight'}": shape
                 for name, shape in (("in", (2 * e, width)), ("out", (width, e)))})
            plain |= {f"{layer}.norm{number}.norm.weight": (width,),
                      f"{layer}.norm{number}.norm.bias": (width,)}
    for name, shape in shapes.items():
        plain |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    random = torch.Generator().manual_seed(3)
    return {key: 0.1 * torch.randn(shape, generator=random) for key, shape in plain.items()}


SIZES = {"audio_input_size": 3, "video_input_size": 5, "mm_output_sizes": [16], "num_layers": 1,
         "temp": 2.0, "hard_gate": False, "d_state": 4, "expand": 2, "d_conv": 3}


class TestReference:
    """Loading what the authors publish."""

    def test_module_prefixes_unused_weights_and_descriptive_names_are_no_matter(self, case):
        arrays, config, state = case("dynmultidep_a")
        assert any(".a_downsample." in key for key in state)
        model = reference.load("dynmultidep", {f"module.{k}": v for k, v in state.items()},
                               config | {"dataset": "dvlog"})
        assert not model.training
        assert not any("downsample" in key for key in model.state_dict())
        inputs = [torch.from_numpy(arrays[f"input/{name}"])
                  for name in ("audio", "visual", "padding_mask")]
        close(model(*inputs).detach(), arrays["output/logit_hard"][:, 0])
        flat = {**config, **config["mamba_config"]}
        del flat["mamba_config"]
        assert torch.equal(reference.load("dynmultidep", state, flat).classifier[0].weight,
                           model.classifier[0].weight)

    def test_settings_reach_the_model(self):
        model = reference.load("dynmultidep", authors_state(SIZES),
                               SIZES | {"dropout": 0.3, "if_devide_out": False})
        assert (model.gate, model.temperature, model.classifier[2].p) == ("soft", 2.0, 0.3)
        assert not model.layers[0].streams["audio"].mamba.average
        assert reference.load("dynmultidep", authors_state(SIZES),
                              SIZES | {"hard_gate": True}).gate == "hard"

    def test_each_entry_of_their_file_has_its_place(self):
        sizes = SIZES | {"num_layers": 2, "mm_output_sizes": [16, 16, 16], "dt_rank": "auto"}
        state = authors_state(sizes, bias=True)
        ours = reference.load("dynmultidep", state, sizes | {"bias": True}).state_dict()
        block, theirs = "layers.1.streams.visual.", "mm_encoder.layers.1."
        for key, value in {
            f"{block}mamba.backward_scan.conv.weight": state[f"{theirs}mamba.v_conv1d_b.weight"],
            f"{block}mamba.forward_scan.dt_proj.bias": state[f"{theirs}mamba.v_dt_proj.bias"],
            f"{block}mamba.backward_scan.D": state[f"{theirs}mamba.v_D_b"],
            f"{block}mamba.out_proj.bias": state[f"{theirs}mamba.v_out_proj.bias"],
            f"{block}norm.weight": state[f"{theirs}norm2.norm.weight"],
            "layers.1.streams.audio.norm.bias": state[f"{theirs}norm1.norm.bias"],
            "layers.1.transition.A_log": torch.stack([state[f"{theirs}mamba.A_log"],
                                                      state[f"{theirs}mamba.A_b_log"]]),
            "input_proj.visual.bias": state["mm_encoder.v_input_proj.bias"]}.items():
            assert torch.equal(ours[key], value), key
        assert sum(v.numel() for v in ours.values()) == sum(v.numel() for v in state.values())

    def test_features_as_wide_as_the_model_have_no_projection_in_the_file(self):
        sizes = SIZES | {"audio_input_size": 16}
        model = reference.load("dynmultidep", authors_state(sizes), sizes)
        assert model(audio=torch.randn(2, 6, 16), visual=torch.randn(2, 6, 5)).shape == (2,)

    @pytest.mark.parametrize("wish", [{"causal": True}, {"bidirectional": False}])
    @pytest.mark.parametrize("backward", [True, False])
    def test_one_direction_works_where_the_authors_code_fails(self, wish, backward):
        model = reference.load("dynmultidep", authors_state(SIZES, backward=backward), SIZES | wish)
        inputs = small_inputs((23,))
        changed = inputs | {"audio": torch.cat((inputs["audio"][:, :12], torch.randn(1, 11, 3)), 1)}
        assert torch.equal(model.encode(**inputs)[0]["audio"][:, :12],
                           model.encode(**changed)[0]["audio"][:, :12])

    @pytest.mark.parametrize("name", reference.dynmultidep.NAMES)
    def test_a_missing_entry_is_named(self, name):
        with pytest.raises(ValueError, match=f"config: {name} missing"):
            reference.load("dynmultidep", authors_state(SIZES),
                           {k: v for k, v in SIZES.items() if k != name})

    @pytest.mark.parametrize(("name", "value"), [
        ("audio_input_size", 7), ("video_input_size", 7),
        ("num_layers", 7), ("d_state", 7), ("expand", 7), ("d_conv", 7),
        ("dt_rank", 7), ("bias", True), ("conv_bias", False),
        ("mm_output_sizes", [12]), ("mm_output_sizes", [16, 8]),
        ("mm_output_sizes", [])])
    def test_a_contradiction_is_named(self, name, value):
        with pytest.raises(ValueError,
                           match=rf"config: {name} is .*, but the checkpoint's weights say"):
            reference.load("dynmultidep", authors_state(SIZES), SIZES | {name: value})

    def test_backward_weights_that_lack_are_named(self):
        with pytest.raises(ValueError,
                           match="bidirectional is True, but the checkpoint's weights say False"):
            reference.load("dynmultidep", authors_state(SIZES, backward=False), SIZES)

    def test_weights_that_lack_or_are_left_over_are_named(self):
        state = authors_state(SIZES)
        with pytest.raises(
            ValueError,
            match=r"1 missing \(first: layers.0.streams.visual.mamba.backward_scan.D\)"):
            reference.load("dynmultidep",
                           {k: v for k, v in state.items() if not k.endswith("v_D_b")}, SIZES)
        with pytest.raises(ValueError, match=r"1 unknown \(first: mm_encoder2.weight\)"):
            reference.load("dynmultidep", state | {"mm_encoder2.weight": torch.zeros(1)}, SIZES)

    def test_something_else_is_refused(self):
        with pytest.raises(ValueError, match=r"state: no mm_encoder.layers.0.mamba.A_log"):
            reference.load("dynmultidep", {"fc.weight": torch.zeros(3)}, SIZES)
        with pytest.raises(ValueError, match="feature_weights: dynmultidep has none"):
            reference.load("dynmultidep", authors_state(SIZES), SIZES, torch.ones(3))
