"""Training on the device: falling losses, the same bits twice and after a resume, the processor's
first gradients.
"""

import hashlib

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric

from depnb.models import aafn, cfrafn, dynmultidep, ordinal, sta_drn
from depnb.runs import loop

PAPERS = ("sta_drn", "cfrafn", "aafn", "dynmultidep")


def task(paper):
    """A small network, eight examples, and its loss: (network, inputs by name, targets,
    loss(output, targets)).
    """
    torch.manual_seed(0)
    labels = torch.arange(8.0) % 2
    if paper == "sta_drn":
        model = sta_drn.STADRN(features=4, stem_features=8, units=(1, 1, 1, 1))
        inputs = {"clips": torch.randn(8, 3, 8, 32, 32) + labels[:, None, None, None, None]}
        return model, inputs, labels, lambda y, t: F.mse_loss(y[:, 0], t)
    if paper == "cfrafn":
        inputs = {"egemaps": torch.randn(8, 88) + labels[:, None], "vggish": torch.randn(8, 128)}
        return cfrafn.CFRAFN(), inputs, labels, F.binary_cross_entropy_with_logits
    if paper == "aafn":
        model = aafn.AAFN(conv_width=16, lstm_width=16, width=16, base_width=64)
        inputs = {"visual": torch.rand(8, 60, 72, 3), "audio": torch.randn(8, 80, 60),
                  "text": torch.randn(8, 10, 512)}
        targets = ordinal.soft_labels(3 * labels[:, None].expand(8, 8))
        return model, inputs, targets, lambda y, t: ordinal.kl_loss(y, t, "batch")
    model = dynmultidep.DynMultiDep(width=32)
    inputs = {"audio": torch.randn(8, 50, 25) + labels[:, None, None],
              "visual": torch.randn(8, 50, 136)}
    return model, inputs, labels, F.binary_cross_entropy_with_logits


class Batches:
    """Two batches of four an epoch."""

    def __init__(self, inputs, targets, device):
        self.inputs, self.targets = ({name: x.to(device) for name, x in inputs.items()},
                                     targets.to(device))

    def __len__(self):
        return 2

    def __call__(self, epoch):
        for rows in (slice(0, 4), slice(4, 8)):
            yield {name: x[rows] for name, x in self.inputs.items()}, self.targets[rows]


def train(paper, folder, device, precision="32-true", epochs=4, compile=False):
    folder.mkdir(parents=True, exist_ok=True)
    model, inputs, targets, criterion = task(paper)
    for module in model.modules():                                # its draws differ between devices
        if isinstance(module, torch.nn.Dropout) and device.type == "cpu":
            module.p = 0.0
    fabric = Fabric(accelerator=device.type, devices=1, precision=precision)

    def loss(network, batch):
        return criterion(network(**batch[0]).float(), batch[1])

    history = loop.fit(model, loss, Batches(inputs, targets, device), lambda network: {"mae": 0.0},
                       loop.Recipe(epochs, 1e-3, schedule="constant"), fabric, folder,
                       {"paper": paper}, compile=compile)
    return [row["train_loss"] for row in history]


def outcome(folder):
    history = pd.read_csv(folder / "history.csv").drop(columns="seconds").to_csv()
    return hashlib.sha256((folder / "checkpoint.safetensors").read_bytes()).hexdigest(), history


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("paper", PAPERS)
def test_losses_fall(paper, precision, device, tmp_path):
    losses = train(paper, tmp_path, device, precision, epochs=30)
    assert sum(losses[-3:]) < sum(losses[:3])


@pytest.fixture(params=PAPERS)
def repeatable(request, device):
    """Papers that should give the same bits twice.

    On an H200 two did not, before `loop.fit` asked PyTorch for it.
    """
    if device.type == "cuda" and request.param in ("sta_drn", "aafn"):
        request.applymarker(pytest.mark.xfail(reason="not since seen on a GPU", strict=False))
    return request.param


def test_the_same_bits_twice(repeatable, device, tmp_path):
    for name in ("one", "other"):
        train(repeatable, tmp_path / name, device)
    assert outcome(tmp_path / "one") == outcome(tmp_path / "other")


def test_resumed_after_two_epochs_gives_the_same_bits(repeatable, device, tmp_path):
    train(repeatable, tmp_path / "straight", device)
    train(repeatable, tmp_path / "resumed", device, epochs=2)
    train(repeatable, tmp_path / "resumed", device)
    assert outcome(tmp_path / "straight") == outcome(tmp_path / "resumed")


@pytest.mark.parametrize("paper", PAPERS)
def test_the_first_loss_and_its_gradients_are_those_of_the_processor(paper, device, near):
    results = []
    for place in (device, torch.device("cpu")):
        model, inputs, targets, criterion = task(paper)
        model = model.to(place).eval()
        value = criterion(model(**{name: x.to(place) for name, x in inputs.items()}),
                          targets.to(place))
        value.backward()
        results.append((value, {name: p.grad for name, p in model.named_parameters()
                                if p.grad is not None}))
    near("loss", results[0][0], results[1][0], 1e-5)
    every = [torch.cat([g.flatten().cpu() for g in gradients.values()]) for _, gradients in results]
    near("gradients", every[0], every[1], 1e-3)
