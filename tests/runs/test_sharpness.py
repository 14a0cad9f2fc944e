"""SAM and adaptive SAM against the authors' code, and what they leave behind."""

import pytest
import torch
from torch import nn

from depnb.runs import sharpness


@pytest.mark.parametrize("kind", ["asam", "sam"])
def test_steps_are_those_of_the_authors(golden, kind):
    arrays, config = golden("aafn_training_a")
    case = config[kind]
    entries = {key: torch.as_tensor(value) for key, value in arrays.items()}
    model = nn.Sequential(nn.Linear(case["in"], case["hidden"]), nn.Tanh(),
                          nn.Linear(case["hidden"], case["out"]))
    model.load_state_dict({name: entries[f"state/{kind}/{name}"] for name in model.state_dict()})
    optimiser = torch.optim.Adam(model.parameters(), case["lr"], weight_decay=case["weight_decay"])
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, case["lr_step_size"], case["lr_gamma"])

    def loss(step):
        return nn.functional.mse_loss(model(entries[f"input/{kind}_inputs"][step]),
                                      entries[f"input/{kind}_targets"][step])

    def compare(what):
        for name, value in model.named_parameters():
            torch.testing.assert_close(value.detach(), entries[f"output/{kind}/{what}/{name}"],
                                       atol=1e-6, rtol=1e-5)

    for step in range(case["steps"]):
        value = loss(step)
        value.backward()
        if not step:
            for name, weight in model.named_parameters():
                torch.testing.assert_close(weight.grad, entries[f"output/{kind}/gradient_1/{name}"],
                                           atol=1e-6, rtol=1e-5)
        steps = sharpness.ascend(model.parameters(), case["rho"], case["adaptive"])
        compare(f"perturbed_{step + 1}")
        optimiser.zero_grad()
        perturbed = loss(step)
        perturbed.backward()
        sharpness.descend(steps)
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        compare(f"after_{step + 1}")
        torch.testing.assert_close(value.detach(), entries[f"output/{kind}/loss_{step + 1}"])
        torch.testing.assert_close(perturbed.detach(),
                                   entries[f"output/{kind}/loss_at_perturbed_{step + 1}"])
        assert schedule.get_last_lr()[0] == pytest.approx(
            float(entries[f"output/{kind}/lr_after_{step + 1}"]))


def test_the_way_up_has_length_rho_and_the_way_back_ends_at_the_same_bits():
    torch.manual_seed(0)
    model = nn.Linear(5, 3)
    before = [w.detach().clone() for w in model.parameters()]
    model(torch.randn(4, 5)).square().sum().backward()
    steps = sharpness.ascend(model.parameters(), 0.3)
    moved = torch.stack([(w - b).norm()
                         for w, b in zip(model.parameters(), before, strict=True)]).norm()
    assert float(moved.detach()) == pytest.approx(0.3, rel=1e-5)
    sharpness.descend(steps)
    assert all(torch.equal(w, b) for w, b in zip(model.parameters(), before, strict=True))


def test_weights_without_a_gradient_stay():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    model[1].weight.requires_grad_(False)
    frozen = model[1].weight.clone()
    model(torch.ones(2, 3)).sum().backward()
    steps = sharpness.ascend(model.parameters(), 1.0, adaptive=True)
    assert len(steps) == 3
    assert torch.equal(model[1].weight, frozen)
    assert sharpness.ascend([frozen], 1.0) == []


def test_a_gradient_of_zero_moves_nothing():
    weight = nn.Parameter(torch.ones(2))
    (0 * weight).sum().backward()
    sharpness.descend(sharpness.ascend([weight], 2.0))
    sharpness.ascend([weight], 2.0)
    assert torch.equal(weight, torch.ones(2))


@pytest.mark.parametrize(("kinds", "moved"),
                         [(sharpness.BATCH_NORMS, [False, False]), (nn.BatchNorm2d, [True, False])])
def test_statistics_of_the_chosen_kinds_stay_but_passes_are_counted(kinds, moved):
    model = nn.Sequential(nn.BatchNorm2d(2), nn.Flatten(), nn.BatchNorm1d(2))
    one, two = model[2], model[0]
    with sharpness.still_statistics(model, kinds):
        model(torch.randn(8, 2, 1, 1, generator=torch.Generator().manual_seed(0)) + 3)
    assert [one.running_var.ne(1).any().item(), two.running_var.ne(1).any().item()] == moved
    assert int(one.num_batches_tracked) == int(two.num_batches_tracked) == 1
    assert one.momentum == two.momentum == 0.1


def test_momentum_comes_back_after_an_error():
    model = nn.BatchNorm1d(2)
    with pytest.raises(RuntimeError), sharpness.still_statistics(model):
        raise RuntimeError
    assert model.momentum == 0.1
