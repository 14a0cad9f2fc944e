"""What a model costs: parameters, multiply-adds, memory."""

import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import torch
from torch.utils.flop_counter import FlopCounterMode


def multiply_adds(network, call):
    """Multiply-adds of call(network): as PyTorch counts them, and what it does not.

    PyTorch counts matrix products and convolutions. To these come LSTMs (of every step, direction
    and layer four gates, each over input and state), and what a module counts of itself in a method
    `multiply_adds` (of its inputs).
    """
    uncounted = []

    def recurrent(module, inputs, _):
        b, t, n = inputs[0].shape
        ways, h = 2 if module.bidirectional else 1, module.hidden_size
        uncounted.extend(b * t * ways * 4 * h * ((n if layer == 0 else ways * h) + h)
                         for layer in range(module.num_layers))

    def own(module, inputs, _):
        uncounted.append(module.multiply_adds(*inputs))

    hooks = [m.register_forward_hook(recurrent) for m in network.modules()
             if type(m) is torch.nn.LSTM]
    hooks += [m.register_forward_hook(own) for m in network.modules()
              if hasattr(m, "multiply_adds")]
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        call(network.eval())
    for hook in hooks:
        hook.remove()
    return counter.get_total_flops() // 2 + sum(uncounted)


def model_costs(pipeline, people):
    """What one model costs, measured in a process of its own.

    Returns
    -------
    dict: parameters, multiply_adds (of one participant's recordings, on average) and memory_mb,
    what a training epoch and scoring take beyond the data (peak)
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        return alone.submit(_costs, pipeline, people).result()


def _costs(pipeline, people):
    torch.set_num_threads(1)
    asked, units = pipeline.paper, pipeline.labelled(people)
    rows = np.arange(len(units))
    state = asked.prepare(units, rows)
    network = asked.build(state)
    chosen = rows[:: max(1, len(rows) // 32)]
    adds = multiply_adds(network, lambda net: [
        asked.scores(net, asked.inputs(units, [row], state), state) for row in chosen])
    optimiser = torch.optim.Adam(network.train().parameters())

    def epoch():
        for batch in asked.batches(units, rows, state, 0)(0):
            asked.loss(network, batch).backward()
            optimiser.step()
            optimiser.zero_grad()
        asked.answers(network.eval(), units, rows, state)

    memory = growth(epoch)
    each = len(rows) / pipeline.table["participant"].nunique()
    return {"parameters": sum(p.numel() for p in network.parameters()),
            "multiply_adds": float(adds / len(chosen) * each), "memory_mb": memory / 1e6}


def growth(call):
    """Bytes that a call takes at its peak beyond what the process held before.

    NaN where the system (not Linux) does not tell.
    """
    if not Path("/proc/self/clear_refs").exists():
        call()
        return float("nan")
    Path("/proc/self/clear_refs").write_text("5")           # the peak so far is forgotten
    before = psutil.Process().memory_info().rss
    call()
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]
    return 1024 * int(peak) - before
