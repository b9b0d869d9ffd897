"""Beam search: several hypotheses for each sentence are followed at the same time.

Look first at `Beam`, the record of what was done for a sentence, then at `beam`. Letters: B
sentences, K hypotheses of a sentence (the size of the beam), N hypotheses of all sentences that are
followed, V vocabulary, Tq steps, Tk source tokens.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinyattn.autograd import no_grad
from tinyattn.autograd.storage import Tensor
from tinyattn.kernels._types import Array
from tinyattn.ops.creation import from_numpy
from tinyattn.text.search import Found, Ids, State, Step, permitted, room
from tinyattn.text.vocab import BOS, EOS

# It takes a state, the rows of it that are followed further, and the sentences that these belong
# to, or None where all sentences of the state are still searched; it gives the state of the rows.
Select = Callable[[State, Tensor, Tensor | None], State]


class Hypothesis(NamedTuple):
    """A translation that ended, or was cut at the greatest length."""

    score: float  # its log-probability over the penalty for its length
    log_prob: float
    step: int  # where its last token stands in the record
    slot: int
    finished: bool  # False: cut


class Beam(NamedTuple):
    """What beam search did for one sentence, in plain arrays.

    At each step at most K tokens are taken, into slots; in slot 0 stands the end of the most
    probable beginning. `parents` says which slot of the step before a token continues. So a slot
    stands for a whole beginning, which `path` reads backwards.
    """

    tokens: Ids  # (Tq, K), -1 in an empty slot
    parents: Ids  # (Tq, K), -1 in an empty slot; 0 at the first step
    sums: Array  # (Tq, K) log-probability of the beginning up to this token, -inf in an empty slot
    weights: Array  # (Tq, K, Tk) the attention with which the token was chosen
    choices: Ids  # (Tq, K, K) the most probable tokens after each slot of the step before, or -1
    log_probs: Array  # (Tq, K, K) the log-probability of each of them after that beginning
    ended: list[Hypothesis]  # the best first

    def path(self, step: int, slot: int) -> list[int]:
        """The slots, one for each step, of the beginning whose last token stands in this slot."""
        slots = [slot]
        for t in range(step, 0, -1):
            slots.append(int(self.parents[t, slots[-1]]))
        return slots[::-1]

    def found(self, place: int = 0) -> Found:
        """The hypothesis at this place of `ended`."""
        _, _, step, slot, finished = self.ended[place]
        slots, steps = self.path(step, slot), range(step + 1)
        ids = self.tokens[steps, slots].tolist()
        return Found(ids[: len(ids) - finished], self.weights[steps, slots], finished)


def beam(
    step: Step[State],
    select: Select[State],
    state: State,
    lengths: Sequence[int] | Ids,
    size: int = 5,
    n_best: int = 1,
    alpha: float = 0.6,
    factor: float = 2.0,
    extra: int = 50,
    no_repeat: int = 0,
) -> list[Beam]:
    """The `n_best` best translations of each sentence that a beam of `size` hypotheses finds.

    The score of a hypothesis is log p / ((5 + L) / 6)^alpha, where L counts its tokens and the end
    of the sentence (Wu et al. 2016, arXiv:1609.08144). Without it, at alpha 0, short ones win.

    At each step the most probable continuations are taken. One that ends keeps its place in the
    beam, so that fewer are followed from then on; one that can't become one of the `n_best` any
    more is left. With `size` 1 this is `greedy`; with room for every hypothesis it is the
    exhaustive search.

    `step` is that of `greedy` for N hypotheses, those of a sentence side by side. `select` takes a
    state, the rows (N,) that are followed further, and the sentences (B,) that they belong to, or
    None where these are those of the state; it gives the state of these rows. The other arguments
    are those of `greedy`.
    """
    if size < 1:
        raise ValueError(f"size: expected a beam of at least 1, got {size}")
    if not 1 <= n_best <= size:
        raise ValueError(f"n_best: expected 1 to {size}, the size of the beam, got {n_best}")
    if not 0 <= alpha < np.inf:
        raise ValueError(f"alpha: expected a number from 0, got {alpha}")
    limits = room(lengths, factor, extra, no_repeat)
    B = len(limits)
    ended: list[list[Hypothesis]] = [[] for _ in range(B)]
    record = []
    to_beat = np.full(B, -np.inf)  # the score of the last of the n_best best that have ended
    # The sentences that are still searched. For each: how many more hypotheses may end, and the
    # slots that are followed (at first one, an empty beginning) with log-probabilities and tokens.
    active, left = np.arange(B), np.full(B, size)
    slots, sums = np.zeros((B, 1), np.int64), np.zeros((B, 1))
    tokens, before = np.full((B, 1), BOS), np.zeros((0, B), np.int64)
    with no_grad():
        for length in range(1, limits.max() + 1):
            # What may follow: the most probable tokens after each slot, then those of a sentence.
            scores, weights, state = step(from_numpy(tokens.reshape(-1)), state)
            choices, log_probs = most_probable(scores, before, no_repeat, size)  # (N, size)
            empty = sums.reshape(-1) == -np.inf  # where fewer are followed than in other sentences
            choices[empty], log_probs[empty] = -1, -np.inf
            reached = (sums.reshape(-1, 1) + log_probs).reshape(len(active), -1)
            order = np.argsort(-reached, axis=1, kind="stable")[:, :size]
            sums = np.take_along_axis(reached, order, 1)  # (sentences, size)
            tokens = np.take_along_axis(choices.reshape(reached.shape), order, 1)
            rows = slots.shape[1] * np.arange(len(active))[:, None] + order // size
            taken = (np.arange(size) < left[:, None]) & (sums > -np.inf)
            seen = weights.numpy()
            record.append(
                recorded(B, active, slots, choices, log_probs, taken, rows, tokens, sums, seen)
            )

            # What is over: an end of the sentence, or no room for more.
            finished = taken & (tokens == EOS)
            over = finished | (taken & (limits[active] == length)[:, None])
            left = left - over.sum(1)
            for i, slot in np.argwhere(over):
                log_prob = float(sums[i, slot])
                score = log_prob / penalty(length, alpha)
                mine = ended[active[i]]
                mine.append(
                    Hypothesis(score, log_prob, length - 1, int(slot), bool(finished[i, slot]))
                )
                mine.sort(key=lambda one: -one.score)
                if len(mine) >= n_best:
                    to_beat[active[i]] = mine[n_best - 1].score

            # What is followed: all that may still become one of the n_best.
            hope = sums / penalty(limits[active], alpha)[:, None]
            taken &= ~over & (hope > to_beat[active][:, None])
            width = taken.sum(1)
            going = np.flatnonzero(width)
            if not len(going):
                break
            slots = np.argsort(~taken, axis=1, kind="stable")[going, : width.max()]
            at = going[:, None], slots
            rows, tokens, sums, taken = rows[at], tokens[at], sums[at], taken[at]
            sums = np.where(taken, sums, -np.inf)
            before = np.concatenate([before[:, rows.reshape(-1)], tokens.reshape(1, -1)])
            kept = None if len(going) == len(active) else from_numpy(going)
            state = select(state, from_numpy(rows.reshape(-1)), kept)
            active, left = active[going], left[going]
    arrays = [np.stack(steps, 1) for steps in zip(*record, strict=True)]  # (B, Tq, K, ...)
    counts = (arrays[0] >= 0).any(2).sum(1)  # the steps of each sentence
    return [Beam._make([*(x[b, : counts[b]] for x in arrays), ended[b]]) for b in range(B)]


def penalty(length: Any, alpha: float) -> Any:
    """What the log-probability of `length` tokens is divided by: ((5 + L) / 6)^alpha."""
    return ((5 + length) / 6) ** alpha


def most_probable(
    scores: Tensor, before: Ids, no_repeat: int, count: int
) -> tuple[Ids, NDArray[np.float64]]:
    """The `count` most probable tokens (N, count) after each beginning, the most probable first,
    and their log-probabilities; -1 and -inf where there are no more. Of equal ones the first."""
    left = permitted(scores, before, no_repeat).copy()
    total = scores.logsumexp(-1).numpy()
    if not np.isfinite(total).all():
        raise ValueError("scores: expected finite numbers, got some that are not")
    each = np.arange(len(left))
    tokens = np.empty((len(left), count), np.int64)
    log_probs = np.empty((len(left), count))
    for place in range(count):  # an argmax for each is faster than one sort of V scores
        tokens[:, place] = best = left.argmax(1)
        log_probs[:, place] = left[each, best] - total
        left[each, best] = -np.inf
    return np.where(log_probs > -np.inf, tokens + EOS, -1), log_probs


def recorded(
    sentences: int,
    active: Ids,  # (A,) the sentences that are still searched
    slots: Ids,  # (A, width) what could be continued,
    choices: Ids,  # (A * width, K) by which tokens,
    log_probs: Array,  # (A * width, K) and how probable they are
    taken: NDArray[np.bool_],  # (A, K) the slots that are filled,
    rows: Ids,  # (A, K) which of the A * width each continues,
    tokens: Ids,  # (A, K) by which token,
    sums: Array,  # (A, K) and how probable the whole is
    weights: Array,  # (A * width, Tk)
) -> tuple[Array, ...]:
    """One step of the first six arrays of `Beam`, each (sentences, K, ...)."""
    K = taken.shape[1]
    ids, numbers = np.full((2, sentences, K), -1), np.full((sentences, K), -np.inf)
    seen = np.zeros((sentences, K, weights.shape[1]), weights.dtype)
    after, probable = np.full((sentences, K, K), -1), np.full((sentences, K, K), -np.inf)
    i, slot = np.nonzero(taken)
    at, row = (active[i], slot), rows[i, slot]
    ids[0][at], ids[1][at] = tokens[i, slot], slots.reshape(-1)[row]
    numbers[at], seen[at] = sums[i, slot], weights[row]
    after[active[:, None], slots] = choices.reshape(*slots.shape, K)
    probable[active[:, None], slots] = log_probs.reshape(*slots.shape, K)
    return ids[0], ids[1], numbers, seen, after, probable
