"""Golden files of the four models on the device: the authors' outputs, and the processor's
gradients. Those of AAFN's training and of DynMultiDep's block of two modalities are left out.
"""

import copy

import numpy as np
import pytest
import torch

from depnb.models import aafn, cfrafn, dynmultidep, reference
from tests.models.test_aafn import inputs_of as aafn_inputs
from tests.models.test_aafn import load_golden  # noqa: F401 (a fixture)
from tests.models.test_cfrafn import AUTHORS_CLASSES, baselines  # noqa: F401 (a fixture)

VARIANTS = [*reference.sta_drn.VARIANTS]
CASES = ([f"sta_drn {variant}" for variant in VARIANTS] + ["cfrafn"] + [f"cfrafn {name}"
                                                                        for name in AUTHORS_CLASSES]
         + [f"aafn {fuse}" for fuse in ("iaff", "aff", "daf", "av_iaff")]
         + ["dynmultidep hard", "dynmultidep soft", "bimamba"])


def state_of(arrays):
    return {key.removeprefix("state/"): torch.from_numpy(value) for key, value in arrays.items()
            if key.startswith("state/")}


@pytest.fixture(params=CASES)
def case(request, golden, load_golden, baselines):  # noqa: F811
    """(model, arguments of its forward pass, the authors' output, what makes it of ours)."""
    paper, _, kind = request.param.partition(" ")
    if paper == "sta_drn":
        arrays, config = golden(f"sta_drn_{kind}_a")
        model = reference.load("sta_drn", state_of(arrays), config)
        return model, {"clips": arrays["input/clips"]}, arrays["output/prediction"], lambda y: y
    if request.param == "cfrafn":
        arrays, config = golden("cfrafn_a")
        model = reference.load("cfrafn", state_of(arrays), config, arrays["input/feature_weights"])
        inputs = {name: arrays[f"input/{name}"] for name in ("egemaps", "vggish")}
        return model, inputs, arrays["output/probability"][:, 0], torch.sigmoid
    if paper == "cfrafn":
        arrays, config, states = baselines
        inputs = {name: arrays[f"input/{name}"] for name in ("egemaps", "vggish")}
        return (reference.load("cfrafn_baseline", states[kind], config), inputs,
                arrays[f"output/{kind}"], torch.sigmoid)
    if paper == "aafn":
        arrays, config, state = load_golden(f"aafn_{kind}_a")
        expected = np.stack([arrays[f"output/head_{head}"] for head in range(8)], 1)
        return (reference.load("aafn", state, config), aafn_inputs(arrays), expected,
                lambda y: y.softmax(-1))
    if paper == "dynmultidep":
        arrays, config = golden("dynmultidep_a")
        model = reference.load("dynmultidep", state_of(arrays),
                               config | {"hard_gate": kind == "hard"})
        inputs = {"audio": arrays["input/audio"], "visual": arrays["input/visual"],
                  "mask": arrays["input/padding_mask"]}
        return model, inputs, arrays[f"output/logit_{kind}"][:, 0], lambda y: y
    arrays, config = golden("bimamba_a")
    model = dynmultidep.BiMamba(config["d_model"], config["d_state"], config["expand"],
                                config["d_conv"])
    model.load_state_dict(reference.dynmultidep.state_dict(state_of(arrays)))
    return model.eval(), {"x": arrays["input/x"]}, arrays["output/y"], lambda y: y


def on(device, inputs, dtype=None):
    tensors = {name: torch.as_tensor(x).to(device) for name, x in inputs.items()}
    return {name: x.to(dtype) if x.is_floating_point() and dtype else x
            for name, x in tensors.items()}


def test_outputs_in_float32_are_the_authors(case, device, near):
    model, inputs, expected, answer = case
    with torch.inference_mode():
        y = answer(model.to(device)(**on(device, inputs)))
    # an H200 had 1.2e-4 with iAFF
    near("output", y, expected, 3e-4 if isinstance(model, aafn.AAFN) else 1e-4)


def test_outputs_in_bf16_are_near_the_authors(case, device, near):
    """Eight bits of mantissa through some tens of layers: per cents; STA-DRN `stanet` had 0.18 on
    an H200, 0.10 on a CPU.

    A gate that chooses is left out: it may tip.
    """
    model, inputs, expected, answer = case
    if getattr(model, "gate", None) == "hard":
        pytest.skip("a hard gate chooses: rounding may tip it")
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16):
        y = model.to(device)(**on(device, inputs))
    near("output", answer(y.float()), expected, 0.25)


def test_gradients_in_float64_are_those_of_the_processor(case, device, near):
    model, inputs, _, _ = case
    gradients = []
    for place in (device, "cpu"):
        moved = copy.deepcopy(model).to(place, torch.float64)
        moved(**on(place, inputs, torch.float64)).square().sum().backward()
        gradients.append({name: p.grad for name, p in moved.named_parameters()
                          if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    largest = max(float(g.norm()) for g in gradients[1].values())
    for name, g in gradients[1].items():
        if float(g.norm()) > 1e-9 * largest:                         # else rounding of what is zero
            near(name, gradients[0][name], g, 1e-7)


def test_all_models_are_among_the_cases():
    assert set(AUTHORS_CLASSES.values()) == set(cfrafn.BASELINES)
    assert {name.split()[0] for name in CASES} >= {"sta_drn", "cfrafn", "aafn", "dynmultidep"}
