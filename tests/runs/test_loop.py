"""The training loop: learns, resumes to the same bits after SIGKILL, refuses what does not fit."""

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from lightning_fabric import Fabric

from depnb.features.clips import ClipBatches
from depnb.models.sta_drn import STADRN, training_clip
from depnb.runs import loop, sharpness

SCRIPT = textwrap.dedent("""
    import sys
    from pathlib import Path
    import torch
    sys.path.insert(0, {root!r})
    from tests.runs.test_loop import train
    torch.set_num_threads(1)
    train(Path(sys.argv[1]), epochs=6, accumulate=int(sys.argv[2]), dropout=0.3,
          sharpness=float(sys.argv[3]), adaptive=True)
    print("done")
""")


def small(dropout=0.0):
    torch.manual_seed(0)
    return STADRN("attention_fusion", 2, (1, 1, 1, 1), features=4, stem_features=4, dropout=dropout)


def data():
    rng = np.random.default_rng(0)
    targets = rng.standard_normal(12)
    return [np.clip(rng.normal(120 + 40 * t, 20, (12, 32, 32, 3)), 0, 255).astype(np.uint8)
            for t in targets], targets


def train(folder, epochs=3, dropout=0.0, validate=None, data_at_hand="", **options):
    """Train a small STA-DRN on clips whose brightness is the target -> (model, history)."""
    folder.mkdir(parents=True, exist_ok=True)
    crops, targets = data()
    batches = ClipBatches(crops, targets, lambda n, r: training_clip(n, 8, r), 4, seed=0,
                          jitter=0.1)
    model = small(dropout)

    def loss(network, batch):
        return torch.nn.functional.mse_loss(network(batch[0])[:, 0], batch[1])

    def mae(network):
        return {"mae": float(np.mean([abs(float(network(x)[:, 0].mean() - t.mean()))
                                      for x, t in batches(1000)]))}

    recipe = loop.Recipe(epochs, **{"learning_rate": 3e-3, **options})
    history = loop.fit(model, loss, batches, validate or mae, recipe,
                       Fabric(accelerator="cpu", devices=1), folder, {"model": "sta_drn", "k": 2},
                       data=data_at_hand)
    return model, history


def outcome(folder):
    """Everything a run leaves that must not depend on interruptions."""
    history = pd.read_csv(folder / "history.csv").drop(columns="seconds").to_csv()
    return hashlib.sha256((folder / "checkpoint.safetensors").read_bytes()).hexdigest(), history


def test_training_lowers_the_loss_and_keeps_the_best_weights(tmp_path):
    model, history = train(tmp_path, epochs=8)
    assert history[-1]["train_loss"] < 0.7 * history[0]["train_loss"]
    assert len(history) == 8
    best = min(row["val_mae"] for row in history)
    again = small()
    loop.load_checkpoint(tmp_path / "checkpoint.safetensors", again, {"model": "sta_drn", "k": 2})
    for ours, stored in zip(model.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(ours, stored)
    assert best == min(pd.read_csv(tmp_path / "history.csv")["val_mae"])


def test_same_seed_same_bits(tmp_path):
    train(tmp_path / "a")
    train(tmp_path / "b")
    assert outcome(tmp_path / "a") == outcome(tmp_path / "b")


def test_a_training_that_was_begun_on_other_data_starts_anew_and_says_so(tmp_path, capsys):
    train(tmp_path / "a", 1, data_at_hand="one")
    train(tmp_path / "a", data_at_hand="two")
    assert capsys.readouterr().out == (
        "The training in a was begun on other features, labels or parts than those at hand; it "
        "starts anew.\n")
    train(tmp_path / "b", data_at_hand="two")
    assert outcome(tmp_path / "a") == outcome(tmp_path / "b")
    train(tmp_path / "c", 1, data_at_hand="two")
    before = (tmp_path / "c/state.safetensors").stat().st_mtime_ns
    _, history = train(tmp_path / "c", 1, data_at_hand="two")
    assert len(history) == 1
    assert (tmp_path / "c/state.safetensors").stat().st_mtime_ns == before
    assert capsys.readouterr().out == ""


# 5 does not divide the batches of an epoch: gradients are saved too
@pytest.mark.parametrize(("accumulate", "sharpness"), [
    (5, 0), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((1, 0), (1, 0.5)))])
def test_killed_at_any_moment_and_resumed_gives_the_same_bits(tmp_path, accumulate, sharpness):
    root = os.fspath(__import__("tests").__path__[0] + "/..")
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(root=os.path.abspath(root)))

    def start(name):
        return subprocess.Popen([sys.executable, str(script), str(tmp_path / name), str(accumulate),
                                 str(sharpness)], stdout=subprocess.PIPE, text=True)

    uninterrupted = start("whole")
    assert "done" in uninterrupted.communicate()[0]
    rng, kills = np.random.default_rng(accumulate), 0
    while True:
        process = start("killed")
        state = tmp_path / "killed/state.safetensors"
        before = state.stat().st_mtime_ns if state.exists() else 0
        while process.poll() is None and (not state.exists() or state.stat().st_mtime_ns == before):
            time.sleep(0.005)       # until it has finished an epoch more
        if kills < 4:
            time.sleep(rng.uniform(0, 0.3))
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
        if "done" in process.communicate()[0]:
            break
    assert kills >= 2
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")
    # leftovers of a kill are never read
    assert not list((tmp_path / "killed").glob(".*.part")) or kills


def test_a_finished_training_is_not_repeated(tmp_path):
    _, first = train(tmp_path)
    changed = (tmp_path / "checkpoint.safetensors").stat().st_mtime_ns
    _, second = train(tmp_path)
    assert second == first
    assert (tmp_path / "checkpoint.safetensors").stat().st_mtime_ns == changed


def test_patience_stops_and_the_best_epoch_is_kept(tmp_path):
    scores = iter([3.0, 1.0, 2.0, 2.0, 5.0, 0.1])
    _, history = train(tmp_path, epochs=6, patience=3, validate=lambda model: {"mae": next(scores)})
    assert [row["val_mae"] for row in history] == [3.0, 1.0, 2.0, 2.0, 5.0]


def test_validation_only_every_so_often_and_at_the_end(tmp_path):
    _, history = train(tmp_path, epochs=5, validate_every=3, validate=lambda model: {"mae": 1.0})
    assert ["val_mae" in row for row in history] == [False, False, True, False, True]


def test_a_diverging_training_says_so_and_keeps_the_state(tmp_path):
    train(tmp_path, epochs=1, schedule="constant")
    state = (tmp_path / "state.safetensors").read_bytes()
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        train(tmp_path, epochs=3, schedule="constant", learning_rate=1e30)
    assert (tmp_path / "state.safetensors").read_bytes() == state


def test_schedules():
    cosine = loop.Recipe(10, 1.0)
    assert cosine.rate(0, 100, 0) == pytest.approx(0.2)
    assert cosine.rate(5, 100, 0) == pytest.approx(1.0)
    assert cosine.rate(100, 100, 9) == pytest.approx(0.0)
    restarts = loop.Recipe(200, 1.0, schedule="restarts")
    assert [round(restarts.rate(0, 1, e), 3) for e in (0, 25, 50, 100, 150)] == [1.0, 0.5, 1.0, 0.5,
                                                                                 1.0]
    assert loop.Recipe(1, 0.3, schedule="constant").rate(5, 10, 0) == 0.3
    decay = loop.Recipe(100, 1.0, schedule="decay")
    assert [decay.rate(0, 1, e) for e in (0, 9, 10, 20)] == pytest.approx([1, 1, 0.9, 0.81])
    with pytest.raises(ValueError, match="schedule 'linear': "
                       "choose cosine, constant, restarts or decay"):
        loop.Recipe(1, 1.0, schedule="linear").rate(0, 1, 0)


class TestCheckpoint:
    """A checkpoint of another model is refused in one sentence."""

    def test_other_variant(self, tmp_path):
        train(tmp_path, epochs=1)
        with pytest.raises(ValueError, match="a checkpoint of another model: "
                           "variant is not given there, temporal here"):
            loop.load_checkpoint(tmp_path / "checkpoint.safetensors", small(),
                                     {"model": "sta_drn", "variant": "temporal"})

    def test_other_size(self, tmp_path):
        train(tmp_path, epochs=1)
        with pytest.raises(ValueError, match="its weights do not fit STADRN"):
            loop.load_checkpoint(tmp_path / "checkpoint.safetensors",
                                 STADRN("temporal", features=4), {"k": 2})

    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError,
                           match=r"no such checkpoint. Give a run's checkpoint.safetensors"):
            loop.load_checkpoint(tmp_path / "none.safetensors", small(), {})

    def test_a_pickle(self, tmp_path):
        torch.save({"a": 1}, tmp_path / "weights.pth")
        with pytest.raises(ValueError, match="not a safetensors file"):
            loop.load_checkpoint(tmp_path / "weights.pth", small(), {})


@pytest.mark.parametrize(("order", "frozen", "accumulate"),
                         [(torch.contiguous_format, False, 1), (torch.channels_last_3d, False, 1),
                          (torch.channels_last_3d, True, 1), (torch.channels_last_3d, False, 4)])
def test_a_run_stopped_after_any_epoch_ends_with_the_same_bits(tmp_path, order, frozen, accumulate):
    """Whatever the order of the weights in memory: a fused optimiser goes through weights and
    moments as they lie.
    """
    crops, targets = data()
    batches = ClipBatches(crops, targets, lambda n, r: training_clip(n, 8, r), 4, seed=0)
    fabric = Fabric(accelerator="cpu", devices=1)

    def go(folder, stop_after=None):
        folder.mkdir(exist_ok=True)
        model = small().to(memory_format=order)
        for parameter in model.conv_1.parameters() if frozen else ():
            parameter.requires_grad_(False)

        def stop(row):
            if row["epoch"] == stop_after:
                raise KeyboardInterrupt

        def better(_):      # every epoch is the best so far: the weights compared are the last ones
            done = folder / "history.csv"
            return {"mae": -float(len(done.read_text().splitlines()) if done.exists() else 0)}

        loop.fit(model, lambda m, b: m(b[0])[:, 0].sub(b[1]).square().mean(), batches, better,
                     loop.Recipe(3, 1e-2, accumulate=accumulate), fabric, folder, {}, stop)
        return [p.detach().clone() for p in model.parameters()]

    uninterrupted = go(tmp_path / "whole")
    for epoch in (0, 1):
        with pytest.raises(KeyboardInterrupt):
            go(tmp_path / "stopped", epoch)
    assert all(torch.equal(a, b) for a, b in zip(uninterrupted, go(tmp_path / "stopped"),
                                                 strict=True))


def test_trackers(tmp_path):
    assert loop.make_tracker("csv", tmp_path, "x", True) is None
    with pytest.raises(ValueError, match="tracker 'mlflow': choose csv, tensorboard or wandb"):
        loop.make_tracker("mlflow", tmp_path, "x", False)
    for kind, package in (("tensorboard", "tensorboard"), ("wandb", "wandb")):
        try:
            __import__(package)
        except ModuleNotFoundError:
            with pytest.raises(ModuleNotFoundError, match=f"tracker {kind}: .* is not installed"):
                loop.make_tracker(kind, tmp_path, "x", False)


def test_wandb_stays_on_the_machine_with_a_licensed_corpus(tmp_path, monkeypatch):
    begun = []
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(
        init=lambda **options: begun.append(options) or SimpleNamespace(log=print)))
    for mode in (None, "online", "shared"):
        monkeypatch.delenv("WANDB_MODE", raising=False) if mode is None else monkeypatch.setenv(
            "WANDB_MODE", mode)
        with pytest.raises(ValueError, match=r"the corpus is licensed\. Set WANDB_MODE=offline"):
            loop.make_tracker("wandb", tmp_path, "x", True)
        loop.make_tracker("wandb", tmp_path, "x", False)
    assert len(begun) == 3
    monkeypatch.setenv("WANDB_MODE", "offline")
    loop.make_tracker("wandb", tmp_path, "x", True)
    assert begun[-1]["mode"] == "offline"


@pytest.mark.parametrize("sharpness", [0.0, 0.05])
def test_mixed_precision_trains(tmp_path, sharpness):
    crops, targets = data()
    batches = ClipBatches(crops, targets, lambda n, r: training_clip(n, 8, r), 4, seed=0)
    history = loop.fit(small(), lambda m, b: m(b[0])[:, 0].float().sub(b[1]).square().mean(),
                       batches, lambda m: {"mae": 1.0}, loop.Recipe(1, 1e-3, sharpness=sharpness),
                       Fabric(accelerator="cpu", devices=1, precision="bf16-mixed"), tmp_path, {})
    assert np.isfinite(history[0]["train_loss"])


class TestSharpness:
    """Two passes a batch: climb, step from there."""

    def fit(self, folder, model, epochs=1, **options):
        x, y = torch.randn(2, 8, 3, generator=torch.Generator().manual_seed(1)), torch.ones(2, 8)

        class Batches(list):
            def __call__(self, epoch):
                return iter(self)

        recipe = loop.Recipe(epochs, 0.01, **{"schedule": "constant", "sharpness": 0.5,
                                              "optimiser": "adam", "weight_decay": 0.1} | options)
        folder.mkdir(exist_ok=True)
        return loop.fit(model, lambda m, b: (m(b[0])[:, 0] - b[1]).square().mean(),
                        Batches(zip(x, y, strict=True)), lambda m: {"mae": 1.0}, recipe,
                        Fabric(accelerator="cpu", devices=1), folder, {})

    @staticmethod
    def network():
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4),
                                   torch.nn.Linear(4, 1))

    def by_hand(self, adaptive, kinds):
        model = self.network()
        optimiser = torch.optim.Adam(model.parameters(), 0.01, weight_decay=0.1)
        x = torch.randn(2, 8, 3, generator=torch.Generator().manual_seed(1))
        for batch in x:
            (model(batch)[:, 0] - 1).square().mean().backward()
            steps = sharpness.ascend(model.parameters(), 0.5, adaptive)
            optimiser.zero_grad()
            with sharpness.still_statistics(model, kinds):
                (model(batch)[:, 0] - 1).square().mean().backward()
            sharpness.descend(steps)
            optimiser.step()
            optimiser.zero_grad()
        return model

    @pytest.mark.parametrize("adaptive", [False, True])
    @pytest.mark.parametrize("still", ["all", "2d"])
    def test_steps_are_those_written_out_by_hand(self, tmp_path, adaptive, still):
        model, other = self.network(), self.by_hand(adaptive, loop.STILL[still])
        self.fit(tmp_path, model, adaptive=adaptive, still=still)
        for name, value in model.state_dict().items():
            torch.testing.assert_close(value, other.state_dict()[name], msg=name)
        assert not torch.equal(model[0].weight, self.network()[0].weight)

    def test_the_logged_loss_is_that_before_the_climb(self, tmp_path):
        plain = self.fit(tmp_path / "a", self.network(), sharpness=0.0)
        sharp = self.fit(tmp_path / "b", self.network(), sharpness=1e-6)
        assert sharp[0]["train_loss"] == pytest.approx(plain[0]["train_loss"], rel=1e-4)

    def test_frozen_parameters_stay_also_after_resuming(self, tmp_path):
        for epochs in (1, 3):
            model = self.network()
            model[2].weight.requires_grad_(False)
            history = self.fit(tmp_path, model, epochs)
        assert len(history) == 3
        assert torch.equal(model[2].weight, self.network()[2].weight)
        assert not torch.equal(model[2].bias, self.network()[2].bias)

    @pytest.mark.parametrize(("options", "message"), [
        ({"accumulate": 2}, "sharpness 0.5 with accumulate 2: .* set accumulate to 1"),
        ({"optimiser": "sgd"}, "optimiser 'sgd': choose adamw or adam"),
        ({"still": "1d"}, "still '1d': choose all or 2d")])
    def test_what_cannot_be_trained_is_refused(self, tmp_path, options, message):
        with pytest.raises(ValueError, match=message):
            self.fit(tmp_path, self.network(), **options)

    def test_a_gradient_scaler_is_refused(self):
        fabric = Fabric(accelerator="cpu", devices=1)
        fabric.strategy.precision.scaler = torch.amp.GradScaler("cpu")
        with pytest.raises(ValueError,
                           match=r"with precision 16-mixed: .* use bf16-mixed or 32-true"):
            loop.check_recipe(loop.Recipe(1, 0.1, sharpness=0.5), fabric)
        loop.check_recipe(loop.Recipe(1, 0.1), fabric)


def test_on_a_gpu_kernels_that_add_in_a_fixed_order_are_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *a, **k: asked.append((a, k)))
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    loop.add_in_a_fixed_order(torch.device("cpu"))
    assert not asked
    loop.add_in_a_fixed_order(torch.device("cuda"))
    assert asked == [((True,), {"warn_only": True})]
    assert torch.backends.cudnn.deterministic
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
