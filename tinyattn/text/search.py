"""Greedy search: at each step every sentence of the batch takes its most probable next token."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyattn.autograd import no_grad
from tinyattn.ops.creation import from_numpy
from tinyattn.text.vocab import BOS, EOS

# A step takes the last tokens (B,) and a state; it gives scores (B, V), weights (B, Tk), a state.
Step = Callable[[Any, Any], tuple[Any, Any, Any]]


def greedy(
    step: Step, state: Any, size: int, max_length: int
) -> tuple[list[list[int]], list[np.ndarray]]:
    """Ids and attention weights (Tq, Tk) of `size` sentences, each up to its end-of-sentence, which
    is left out of the ids (its weights are the last row); at most max_length tokens. PAD and BOS,
    which no sentence holds, are never taken."""
    for name, value in (("size", size), ("max_length", max_length)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    tokens = np.full(size, BOS)
    alive = np.ones(size, bool)
    ids: list[list[int]] = [[] for _ in range(size)]
    rows: list[list[np.ndarray]] = [[] for _ in range(size)]
    with no_grad():
        for _ in range(max_length):
            scores, weights, state = step(from_numpy(tokens), state)
            tokens = scores.numpy()[:, EOS:].argmax(axis=1) + EOS
            for b in np.flatnonzero(alive):
                rows[b].append(weights.numpy()[b])
                if tokens[b] != EOS:
                    ids[b].append(int(tokens[b]))
            alive &= tokens != EOS
            if not alive.any():
                break
    return ids, [np.stack(row) for row in rows]
