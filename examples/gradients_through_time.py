"""Vanishing and exploding gradients: how much the end of a sequence knows of its beginning.

    python examples/gradients_through_time.py

For an RNN, a GRU, an LSTM and attention over the states of a GRU, the gradient of the last output
with respect to each of 100 inputs, and its norm (Hochreiter 1991; Bengio, Simard, Frasconi 1994).
No training: the cells have their usual first weights. Look first at `norms`. Letters: B sequences,
T steps, H hidden.
"""

import argparse
import itertools
from collections.abc import Callable, Iterator

import numpy as np
from uses import Result, program

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F

B, T, H = 16, 100, 32


def last_of(cell: nn.Module) -> Callable[[ta.Tensor], ta.Tensor]:
    """The last output of a recurrent cell."""
    cell.double()
    return lambda x: cell(x)[0][-1]


def scaled(cell: nn.RNN, factor: float) -> nn.RNN:
    """The RNN with its recurrent weights made orthogonal, times `factor`: each step backwards
    multiplies a gradient by about that, times the slope of tanh or ReLU."""
    with ta.no_grad():
        nn.init.orthogonal_(cell.weight_hh_l0, gain=factor)
    return cell


def opened(cell: nn.LSTM) -> nn.LSTM:
    """The LSTM with 5 added to the bias of its forget gate, the second of four: it keeps sigmoid(5)
    = 0.993 of a cell at each step (Gers, Schmidhuber, Cummins 2000)."""
    with ta.no_grad():
        cell.bias_hh_l0[H : 2 * H] += 5
    return cell


def looking_back(cell: nn.GRU) -> Callable[[ta.Tensor], ta.Tensor]:
    """Attention from the last state over all states: one step to each of them."""
    cell.double()

    def output(x: ta.Tensor) -> ta.Tensor:
        states = cell(x)[0].transpose(0, 1)  # (B, T, H)
        return F.scaled_dot_product_attention(states[:, -1:], states, states)[:, 0]

    return output


def cells() -> dict[str, Callable[[ta.Tensor], ta.Tensor]]:
    return {
        "RNN": last_of(nn.RNN(H, H)),
        "RNN, weights orthogonal": last_of(scaled(nn.RNN(H, H), 1.0)),
        "RNN, weights too large": last_of(scaled(nn.RNN(H, H, nonlinearity="relu"), 1.8)),
        "LSTM": last_of(nn.LSTM(H, H)),
        "LSTM, forget gate open": last_of(opened(nn.LSTM(H, H))),
        "GRU": last_of(nn.GRU(H, H)),
        "attention over a GRU": looking_back(nn.GRU(H, H)),
    }


def norms(output: Callable[[ta.Tensor], ta.Tensor], x: ta.Tensor) -> np.ndarray:
    """(T,): the norm of dL/dx_t, the mean over the sequences. L = sum of r * output with random r,
    so that no direction of the output is left out."""
    x = x.detach().requires_grad_()
    found = output(x)
    (found * ta.randn(*found.shape, dtype=ta.float64)).sum().backward()
    assert x.grad is not None
    return x.grad.square().sum(-1).sqrt().mean(1).numpy()


def run(args: argparse.Namespace) -> Iterator[Result]:
    from matplotlib.figure import Figure

    # In float64: what vanishes in 100 steps is too small for float32.
    x = ta.randn(20 if args.quick else T, B, H, dtype=ta.float64) * 0.5
    curves = {name: norms(output, x) for name, output in cells().items()}
    figure = Figure(figsize=(7, 4), dpi=120)
    axes = figure.add_subplot()
    for (name, curve), style in zip(
        curves.items(), itertools.cycle(("-", "--", ":", "-.")), strict=False
    ):
        axes.semilogy(np.arange(len(curve)) - len(curve) + 1, curve, style, label=name)
    axes.set(xlabel="input, in steps before the end", ylabel="norm of its gradient")
    axes.set_title("What the end of a sequence knows of each input")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(args.out / "gradients_through_time.png")
    ratio = {name: curve[0] / curve[-1] for name, curve in curves.items()}
    for name, value in ratio.items():
        print(f"{name:24} gradient of the first input / of the last: {value:.1e}")
    yield Result(
        "gradients through time",
        f"gradient of the first of {len(x)} inputs over that of the last",
        f"RNN {ratio['RNN']:.0e}, with large weights {ratio['RNN, weights too large']:.0e}",
        f"GRU {ratio['GRU']:.0e}, LSTM {ratio['LSTM']:.0e}, with its forget gate open "
        f"{ratio['LSTM, forget gate open']:.0e}",
        f"attention over a GRU {ratio['attention over a GRU']:.0e}",
    )


if __name__ == "__main__":
    program(run, __doc__)
