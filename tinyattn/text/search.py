"""Greedy search: at each step every sentence of the batch takes its most probable next token.

Look first at `greedy`. Letters: B sentences, V vocabulary, Tq target and Tk source tokens.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from tinyattn.autograd import no_grad
from tinyattn.autograd.storage import Tensor
from tinyattn.kernels._types import Array
from tinyattn.ops.creation import from_numpy
from tinyattn.text.vocab import BOS, EOS

State = TypeVar("State")

# A step takes the last tokens (B,) and a state; it gives scores (B, V), attention weights (B, Tk)
# and the next state.
Step = Callable[[Tensor, State], tuple[Tensor, Tensor, State]]


class Found(NamedTuple):
    """What a search found for one sentence."""

    ids: list[int]  # without the end of the sentence
    weights: Array  # (Tq, Tk), a row for each id, and one for the end of the sentence if it came
    finished: bool  # False: cut at the greatest length, before an end of the sentence came


def greedy(
    step: Step[State],
    state: State,
    lengths: Sequence[int] | NDArray[np.int64],
    factor: float = 2.0,
    extra: int = 50,
) -> list[Found]:
    """The translation of each sentence of a batch, whose sources have these `lengths` (B,).

    `step` takes the last tokens (B,), BOS at first, and a state; it gives scores (B, V), attention
    weights (B, Tk) and the next state. A translation ends with EOS, or is cut at
    `factor * length + extra` tokens; `finished` says which. PAD and BOS, which no sentence holds,
    are never taken. No gradients are recorded.
    """
    if len(lengths) < 1:
        raise ValueError("lengths: expected at least 1 sentence, got 0")
    limits = np.floor(factor * np.asarray(lengths) + extra).astype(np.int64)
    if limits.min() < 1:
        raise ValueError(
            f"factor, extra: expected room for at least 1 token, got {factor} and {extra}"
        )
    size = len(limits)
    tokens = np.full(size, BOS)
    alive = np.ones(size, bool)
    ids: list[list[int]] = [[] for _ in range(size)]
    rows: list[list[Array]] = [[] for _ in range(size)]
    finished = np.zeros(size, bool)
    with no_grad():
        for count in range(1, limits.max() + 1):
            scores, weights, state = step(from_numpy(tokens), state)
            tokens = scores.numpy()[:, EOS:].argmax(axis=1) + EOS
            for b in np.flatnonzero(alive):
                rows[b].append(weights.numpy()[b])
                if tokens[b] != EOS:
                    ids[b].append(int(tokens[b]))
            finished |= alive & (tokens == EOS)
            alive &= (tokens != EOS) & (count < limits)
            if not alive.any():
                break
    return [
        Found(*found) for found in zip(ids, map(np.stack, rows), finished.tolist(), strict=True)
    ]
