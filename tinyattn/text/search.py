"""What every search shares, and the simplest one: `greedy` takes the most probable token each time.

Look first at `greedy`, then at `follow`, its loop. Sampling, which shares the loop, stands in
search_sample.py, beam search in search_beam.py. Letters: B sentences, N hypotheses (of all
sentences together), V vocabulary, Tq target and Tk source tokens.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tinyattn.autograd import no_grad
from tinyattn.autograd.storage import Tensor
from tinyattn.kernels._types import Array
from tinyattn.ops.creation import from_numpy
from tinyattn.text.vocab import BOS, EOS

State = TypeVar("State")
Ids = NDArray[np.int64]

# A step takes the last tokens (N,) and a state; it gives scores (N, V), attention weights (N, Tk)
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
    lengths: Sequence[int] | Ids,
    factor: float = 2.0,
    extra: int = 50,
    no_repeat: int = 0,
) -> list[Found]:
    """The translation of each sentence of a batch, whose sources have these `lengths` (B,).

    `step` takes the last tokens (B,), BOS at first, and a state; it gives scores (B, V), attention
    weights (B, Tk) and the next state. A translation ends with EOS, or is cut at
    `factor * length + extra` tokens; `finished` says which. PAD and BOS, which no sentence holds,
    are never taken. With `no_repeat` N above 0, no N tokens in a row come twice in a translation.
    No gradients are recorded.
    """
    limits = room(lengths, factor, extra, no_repeat)
    return follow(lambda scores, t: scores.argmax(axis=1), step, state, limits, no_repeat)


def follow(
    choose: Callable[[Array, int], Ids],
    step: Step[State],
    state: State,
    limits: Ids,
    no_repeat: int,
) -> list[Found]:
    """The search that follows one hypothesis for each sentence, of at most `limits` (B,) tokens.

    `choose` takes the scores (B, V) of the next tokens, and how many tokens stand before them.
    """
    tokens = np.full(len(limits), BOS)
    alive = np.ones(len(limits), bool)
    taken: list[Ids] = []
    weights: list[Array] = []
    with no_grad():
        while alive.any():
            given, seen, state = step(from_numpy(tokens), state)
            scores = permitted(given, taken, no_repeat)
            tokens = choose(scores, len(taken)) + EOS
            taken.append(tokens)
            weights.append(seen.numpy())
            alive &= (tokens != EOS) & (len(taken) < limits)
    ids, rows = np.stack(taken, 1), np.stack(weights, 1)
    found = []
    for sentence, limit in enumerate(limits):
        mine = ids[sentence, :limit].tolist()
        finished = EOS in mine
        count = mine.index(EOS) if finished else len(mine)
        found.append(Found(mine[:count], rows[sentence, : count + finished], finished))
    return found


def room(lengths: Sequence[int] | Ids, factor: float, extra: int, no_repeat: int = 0) -> Ids:
    """How many tokens each translation may have, (B,), once the arguments are checked."""
    if len(lengths) < 1:
        raise ValueError("lengths: expected at least 1 sentence, got 0")
    if no_repeat < 0:
        raise ValueError(f"no_repeat: expected at least 0, got {no_repeat}")
    limits = np.floor(factor * np.asarray(lengths) + extra).astype(np.int64)
    if limits.min() < 1:
        raise ValueError(
            f"factor, extra: expected room for at least 1 token, got {factor} and {extra}"
        )
    return limits


def permitted(scores: Tensor, before: Sequence[Ids] | Ids, no_repeat: int) -> Array:
    """The scores (N, V - EOS) of the tokens that a sentence may hold, which begin with EOS.

    `before`: the tokens already taken, (N,) for each step. With `no_repeat`, tokens that would
    complete a run of that many tokens for the second time get the score -inf.

    >>> scores, before = ta.zeros(1, 7), [np.array([5]), np.array([6]), np.array([5])]
    >>> permitted(scores, before, no_repeat=2)  # of EOS, 3, 4, 5, 6: "5 6" stood before
    array([[  0.,   0.,   0.,   0., -inf]], dtype=float32)
    """
    found = scores.numpy()[:, EOS:]
    if not 0 < no_repeat <= len(before):
        return found
    found, ids = found.copy(), np.stack([*before], 1)
    runs = sliding_window_view(ids, no_repeat, axis=1)  # (N, how many, no_repeat)
    last = ids[:, len(before) - no_repeat + 1 :]
    same = (runs[..., :-1] == last[:, None]).all(-1) & (runs[..., -1] > EOS)
    rows, places = np.nonzero(same)
    found[rows, runs[rows, places, -1] - EOS] = -np.inf
    return found
