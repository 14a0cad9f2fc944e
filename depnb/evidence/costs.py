"""What a model costs: parameters, multiply-adds, memory."""

import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import torch
from torch.utils.flop_counter import FlopCounterMode

from depnb.evidence import protocol


def multiply_adds(network, call):
    """Multiply-adds of call(network): matrix products and convolutions as PyTorch counts them, and what it does not.

    That is LSTMs, and what a module counts of itself in a method `multiply_adds` (of its inputs).
    """
    uncounted = []

    def recurrent(module, inputs, _):
        b, t, n = inputs[0].shape
        ways, h = 2 if module.bidirectional else 1, module.hidden_size
        uncounted.extend(b * t * ways * 4 * h * ((n if layer == 0 else ways * h) + h) for layer in range(module.num_layers))

    def own(module, inputs, _):
        uncounted.append(module.multiply_adds(*inputs))

    hooks = [m.register_forward_hook(recurrent) for m in network.modules() if type(m) is torch.nn.LSTM]
    hooks += [m.register_forward_hook(own) for m in network.modules() if hasattr(m, "multiply_adds")]
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        call(network.eval())
    for hook in hooks:
        hook.remove()
    return counter.get_total_flops() // 2 + sum(uncounted)


def model_costs(pipeline, people):
    """What one model costs, measured in a process of its own -> dict: parameters, multiply_adds (of one participant's
    recordings, on average) and memory_mb, what a training epoch and scoring take beyond the data (peak).
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        return alone.submit(_costs, pipeline, people).result()


def _costs(pipeline, people):
    torch.set_num_threads(1)
    rows = np.arange(len(pipeline.table))
    prepared, network = pipeline.prepare(rows, people), pipeline.build()
    targets = pipeline.targets(people, prepared)
    chosen = rows[:: max(1, len(rows) // 32)]
    adds = multiply_adds(network, lambda net: [pipeline.score(net, pipeline.inputs(chosen[i:i + 1], prepared), prepared)
                                               for i in range(len(chosen))])
    optimiser = torch.optim.Adam(network.train().parameters())

    def epoch():
        for batch in protocol.Batches(pipeline, rows, targets, prepared, 0)(0):
            pipeline.loss(network, *batch).backward()
            optimiser.step()
            optimiser.zero_grad()
        protocol.scored(pipeline, network.eval(), rows, prepared)

    memory = growth(epoch)
    units = len(rows) / pipeline.table["participant"].nunique()
    return {"parameters": sum(p.numel() for p in network.parameters()),
            "multiply_adds": float(adds / len(chosen) * units), "memory_mb": memory / 1e6}


def growth(call):
    """Bytes that a call takes at its peak beyond what the process held; NaN where the system (not Linux) does not tell."""
    if not Path("/proc/self/clear_refs").exists():
        call()
        return float("nan")
    Path("/proc/self/clear_refs").write_text("5")           # the peak so far is forgotten
    before = psutil.Process().memory_info().rss
    call()
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) - before
