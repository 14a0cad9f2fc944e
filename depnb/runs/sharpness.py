"""Sharpness-aware minimisation around any optimiser.

SAM (Foret et al. 2021) and adaptive SAM (Kwon et al. 2021). A step looks for weights whose
neighbourhood has a low loss: climb to the worst place nearby, take the gradient there, go back, and
step with that gradient. Four lines around a second backward pass on the same batch:

    loss(model, batch).backward()
    before = ascend(model.parameters(), rho); optimiser.zero_grad()
    with still_statistics(model): loss(model, batch).backward()
    descend(before); optimiser.step(); optimiser.zero_grad()
"""

from contextlib import contextmanager

import torch
from torch import nn

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@torch.no_grad()
def ascend(parameters, rho, adaptive=False):
    """Move weights W in place by rho g / |g|, g their gradient.

    The norm runs over all of them; those without a gradient stay.

    Parameters
    ----------
    parameters : of the model
    rho : length of the step
    adaptive : by rho W^2 g / ||W| g| instead, so that the step does not depend on the scale of the
        weights

    Returns
    -------
    what `descend` needs to undo it
    """
    moving = [w for w in parameters if w.grad is not None]
    if not moving:
        return []
    device = moving[0].device
    norm = torch.stack([(w.abs() * w.grad if adaptive else w.grad).norm().to(device)
                        for w in moving]).norm()
    before = [(w, w.clone()) for w in moving]
    for w in moving:
        scale = (rho / (norm + 1e-12)).to(w)
        w.add_(w.square() * w.grad * scale if adaptive else w.grad * scale)
    return before


@torch.no_grad()
def descend(before):
    """Put the weights back to where they were before `ascend`, to the bit."""
    for w, value in before:
        w.copy_(value)


@contextmanager
def still_statistics(model, kinds=BATCH_NORMS):
    """While inside, batch norms of these kinds leave their running statistics alone.

    Their momentum is 0; they still normalise by the batch and count it in num_batches_tracked. The
    authors of AAFN do so for BatchNorm2d only.
    """
    norms = [module for module in model.modules() if isinstance(module, kinds)]
    momenta = [module.momentum for module in norms]
    for module in norms:
        module.momentum = 0.0
    try:
        yield
    finally:
        for module, momentum in zip(norms, momenta, strict=True):
            module.momentum = momentum
