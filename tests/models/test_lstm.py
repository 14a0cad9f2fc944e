"""The LSTM of the last frame against PyTorch's in full."""

import pytest
import torch
from torch import nn

from depnb.models.lstm import LastFrameLSTM, from_torch


def pair(layers, dtype=torch.float32, features=5, hidden=4):
    torch.manual_seed(0)
    full = nn.LSTM(features, hidden, layers, batch_first=True, bidirectional=True).to(dtype)
    ours = LastFrameLSTM(features, hidden, layers).to(dtype)
    ours.load_state_dict(from_torch(full.state_dict()))
    return full, ours


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize(("layers", "batch", "frames"),
                         [(1, 3, 7), (2, 1, 6), (4, 2, 9), (3, 2, 1), (1, 1, 1)])
def test_output_and_all_gradients_are_those_of_the_full_lstm_at_the_last_frame(
    dtype, tolerance, layers, batch, frames):
    full, ours = pair(layers, dtype)
    x = torch.randn(batch, frames, 5, dtype=dtype, generator=torch.Generator().manual_seed(1),
                    requires_grad=True)
    weights = torch.randn(batch, 8, dtype=dtype, generator=torch.Generator().manual_seed(2))
    outcomes = []
    for output, network in ((full(x)[0][:, -1], full), (ours(x), ours)):
        gradients = torch.autograd.grad((output * weights).sum(), [x, *network.parameters()])
        named = dict(zip(["x", *(name for name, _ in network.named_parameters())], gradients,
                         strict=True))
        outcomes.append((output, named))
    (theirs, expected), (ours_last, gradients) = outcomes
    torch.testing.assert_close(ours_last, theirs, atol=tolerance, rtol=0)
    expected = from_torch({name: value for name, value in expected.items() if name != "x"}) | {
        "x": expected["x"]}
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], atol=tolerance, rtol=0, msg=name)


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_the_same_seed_draws_what_torch_draws(layers):
    torch.manual_seed(3)
    full = from_torch(nn.LSTM(5, 4, layers, bidirectional=True).state_dict())
    torch.manual_seed(3)
    ours = LastFrameLSTM(5, 4, layers).state_dict()
    assert ours.keys() == full.keys()
    assert all(torch.equal(ours[name], full[name]) for name in full)


def test_dropout_acts_between_layers_while_training_only():
    x = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    stack, single = LastFrameLSTM(5, 4, 3, dropout=0.5), LastFrameLSTM(5, 4, 1, dropout=0.5)
    assert not torch.equal(stack(x), stack(x))
    assert torch.equal(single(x), single(x))            # none after the top layer
    assert torch.equal(stack.eval()(x), stack(x))
    everything = LastFrameLSTM(5, 4, 2, dropout=1.0)    # the top layer then sees zeros
    assert torch.equal(everything(x), everything(torch.zeros_like(x)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_on_a_gpu_the_result_is_the_same_without_a_warning(precision):
    full, ours = pair(3)
    x = torch.randn(2, 20, 5)
    with torch.autocast("cuda", precision, enabled=precision is not torch.float32):
        ours_last = ours.cuda()(x.cuda())
    ours_last.float().sum().backward()
    torch.testing.assert_close(ours_last.float().cpu(), full(x)[0][:, -1],
                               atol=1e-5 if precision is torch.float32 else 2e-2, rtol=0)


def test_gradients_in_evaluation_do_without_cudnn_which_has_none():
    model, seen = LastFrameLSTM(4, 3, 2), []
    model.top.register_forward_pre_hook(lambda *_: seen.append(torch.backends.cudnn.enabled))
    x, before = torch.randn(2, 5, 4), torch.backends.cudnn.enabled
    model(x)
    model.eval()(x).sum().backward()
    with torch.inference_mode():
        model(x)
    assert seen == [before, False, before]
    assert torch.backends.cudnn.enabled is before
