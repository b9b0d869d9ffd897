"""One step of greedy decoding in a batch: sentences that have ended stay ended."""

from collections.abc import Iterator

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Inputs


def greedy_step(
    logits: np.ndarray, done: np.ndarray, end: int, pad: int
) -> tuple[np.ndarray, np.ndarray]:
    """One step of greedy decoding, for a batch of sentences.

    logits: shape (B, V), one row for each sentence.
    done: shape (B,), True for the sentences that have ended in an earlier step.
    Returns (tokens, done):
    tokens: shape (B,), integers: the token with the highest logit of each row; `pad` for the
        sentences that ended in an earlier step.
    done: shape (B,), True for the sentences that have ended now: those that ended earlier, and
        those whose token is `end`.
    """
    raise NotImplementedError("greedy_step is not written yet")


def solution(logits, done, end, pad):
    tokens = np.where(done, pad, logits.argmax(axis=-1))
    return tokens, done | (tokens == end)


def goes_on(logits, done, end, pad):
    """Sentences that have ended go on in yours. Their token is `pad`."""
    tokens = logits.argmax(axis=-1)
    return tokens, done | (tokens == end)


def forgets(logits, done, end, pad):
    """Your done forgets what ended earlier. A sentence that has ended stays ended: keep the old
    done with |."""
    tokens = np.where(done, pad, logits.argmax(axis=-1))
    return tokens, tokens == end


def never_ends(logits, done, end, pad):
    """Your done is never changed: the token `end` must end its sentence."""
    return np.where(done, pad, logits.argmax(axis=-1)), done.copy()


def end_is_lost(logits, done, end, pad):
    """The end token itself is lost: you update done first and then write `pad`. Only sentences that
    ended in an earlier step get `pad`."""
    best = logits.argmax(axis=-1)
    now = done | (best == end)
    return np.where(now, pad, best), now


def repeats_end(logits, done, end, pad):
    """You fill up sentences that have ended with `end`. They get `pad`."""
    tokens = np.where(done, end, logits.argmax(axis=-1))
    return tokens, done | (tokens == end)


def lowest(logits, done, end, pad):
    """You take the token with the lowest logit. The best one has the highest."""
    tokens = np.where(done, pad, logits.argmin(axis=-1))
    return tokens, done | (tokens == end)


def over_the_batch(logits, done, end, pad):
    """Your argmax runs along axis 0, over the batch. It must run along the last axis, over the
    vocabulary."""
    tokens = np.resize(logits.argmax(axis=0), len(done))
    tokens = np.where(done, pad, tokens)
    return tokens, done | (tokens == end)


def ends_by_pad(logits, done, end, pad):
    """Your sentences end with `pad`. They end with `end`."""
    tokens = np.where(done, pad, logits.argmax(axis=-1))
    return tokens, done | (tokens == pad)


def pad_is_zero(logits, done, end, pad):
    """Sentences that have ended get 0 in yours. They get the argument `pad`."""
    tokens = np.where(done, 0, logits.argmax(axis=-1))
    return tokens, done | (tokens == end)


def both_conditions(logits, done, end, pad):
    """Your done asks for both: ended earlier, and `end` now. One of them is enough: use |, not
    &."""
    tokens = np.where(done, pad, logits.argmax(axis=-1))
    return tokens, done & (tokens == end)


def values(logits, done, end, pad):
    """Your tokens are the highest logits. The token is the place of the highest one: argmax, not
    max."""
    tokens = np.where(done, pad, logits.max(axis=-1))
    return tokens, done | (tokens == end)


def all_together(logits, done, end, pad):
    """One sentence that ends, ends them all in yours. Each row has a done of its own."""
    tokens = np.where(done, pad, logits.argmax(axis=-1))
    return tokens, np.full_like(done, (done | (tokens == end)).any())


def inverted(logits, done, end, pad):
    """You exchanged the two: sentences that go on get `pad`, those that have ended get a word."""
    tokens = np.where(done, logits.argmax(axis=-1), pad)
    return tokens, done | (tokens == end)


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for B, V, end, pad in ((4, 4, 2, 0), (6, 5, 1, 0), (4, 6, 2, 5), (5, 5, 3, 4), (18, 17, 2, 0)):
        logits, done = rng.standard_normal((B, V)), np.arange(B) % 2 == 0
        logits[1, end], logits[3 % B, pad] = 9, 8
        yield logits, done, end, pad
        yield rng.standard_normal((B, V)), np.zeros(B, bool), end, pad


def done_stays_done(answer: Answer, rng: np.random.Generator) -> str | None:
    """Over several steps, nothing but `pad` comes after the end of a sentence."""
    done, rows = np.zeros(6, bool), []
    for _ in range(12):
        tokens, done = answer(rng.standard_normal((6, 4)), done, 2, 0)
        rows.append(tokens)
    for sentence in np.array(rows).T.tolist():
        if 2 in sentence and any(sentence[sentence.index(2) + 1 :]):
            return f"A sentence of yours: {sentence}, where 2 is `end` and 0 is `pad`."
    return None


EXERCISE = Exercise(
    ask=greedy_step,
    solution=solution,
    returns=["tokens", "done"],
    hand=(
        np.array([[0.1, 0.2, 0.3, 0.9], [0.0, 0.1, 0.8, 0.2], [0.2, 0.7, 0.1, 0.0]]),
        np.array([False, False, True]),
        2,
        0,
    ),
    cases=cases,
    wrong=[
        goes_on, forgets, never_ends, end_is_lost, repeats_end, lowest, over_the_batch, ends_by_pad,
        all_together, inverted, pad_is_zero, both_conditions, values,
    ],
    properties=[done_stays_done],
    extremes={
        "all sentences ended": (np.eye(3), np.array([True, True, True]), 2, 0),
        "a batch without sentences": (np.zeros((0, 3)), np.zeros(0, bool), 2, 0),
    },
    hints=(
        "First the best token of each row: logits.argmax(axis=-1).",
        "np.where(done, pad, best) gives `pad` to those that had ended before this step.",
        "A sentence has ended if it had ended before, or if its token is `end`: done | (tokens == "
        "end).",
    ),
)  # fmt: skip
