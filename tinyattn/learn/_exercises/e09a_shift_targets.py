"""Teacher forcing: what the decoder reads, and what it must say. The mistake is a target that is
not shifted: the decoder learns to copy its input."""

from collections.abc import Iterator

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Inputs


def shift_targets(targets: np.ndarray, start: int, pad: int) -> tuple[np.ndarray, np.ndarray]:
    """What the decoder reads while it learns, and which positions count in the loss.

    At position t the decoder must say targets[:, t]. It has read the words before it. At the first
    position it reads the token `start`.

    targets: shape (B, T), integers. Each row is a sentence: its words, the end token, then `pad`
        up to the length T.
    Returns (inputs, counts):
    inputs: shape (B, T), integers: what the decoder reads at each position.
    counts: shape (B, T), True where the target is not `pad`. The end token counts.
    """
    raise NotImplementedError("shift_targets is not written yet")


def solution(targets, start, pad):
    inputs = np.empty_like(targets)
    inputs[:, :1] = start
    inputs[:, 1:] = targets[:, :-1]
    return inputs, targets != pad


def not_shifted(targets, start, pad):
    """The target is not shifted: at each position the decoder reads the word that it must say. It
    learns to copy its input, the loss goes to 0, and it can't translate."""
    return targets.copy(), targets != pad


def first_replaced(targets, start, pad):
    """You write `start` over the first word, and do not shift. From the second position on, the
    decoder reads the word that it must say, and learns to copy."""
    inputs = targets.copy()
    inputs[:, :1] = start
    return inputs, targets != pad


def rolled(targets, start, pad):
    """You roll each row: its last token comes to the front. At the first position the decoder reads
    `start`."""
    return np.roll(targets, 1, axis=1), targets != pad


def shifted_left(targets, start, pad):
    """You shift to the wrong side: the decoder reads the word that comes after the one it must
    say."""
    inputs = np.full_like(targets, pad)
    inputs[:, :-1] = targets[:, 1:]
    return inputs, targets != pad


def padding_in_the_loss(targets, start, pad):
    """Padding counts in your loss: counts is True everywhere. It must be False where the target is
    `pad`."""
    return solution(targets, start, pad)[0], np.ones(targets.shape, bool)


def mask_of_inputs(targets, start, pad):
    """Your counts look at what the decoder reads. They must look at what it must say: the position
    after the end token reads the end token, but its target is `pad`."""
    inputs = solution(targets, start, pad)[0]
    return inputs, inputs != pad


def end_left_out(targets, start, pad):
    """The end token does not count in yours. It must: a decoder that never learns to say it never
    stops."""
    counts = targets != pad
    ends = counts.copy()
    ends[:, :-1] &= ~counts[:, 1:]
    return solution(targets, start, pad)[0], counts & ~ends


def pad_is_zero(targets, start, pad):
    """You take 0 for the token that fills up. It is the argument `pad`."""
    return solution(targets, start, pad)[0], targets != 0


def begins_with_pad(targets, start, pad):
    """At the first position your decoder reads `pad`. It reads `start` there."""
    return solution(targets, pad, pad)[0], targets != pad


def end_not_read(targets, start, pad):
    """You write `pad` over what the decoder reads after the end token. The inputs are the targets,
    moved by one position, and nothing else; counts leaves out what is padding."""
    inputs, counts = solution(targets, start, pad)
    return np.where(counts, inputs, pad), counts


def inverted(targets, start, pad):
    """Your counts are inverted: True stands for a position that counts in the loss."""
    return solution(targets, start, pad)[0], targets == pad


def one_longer(targets, start, pad):
    """Your inputs are one longer than the targets. The last target is never read: leave it
    out."""
    first = np.full((len(targets), 1), start)
    return np.concatenate([first, targets], axis=1), targets != pad


def down_the_batch(targets, start, pad):
    """You shift along the batch: each sentence reads the one before it. Shift along the time, the
    second axis."""
    inputs = np.full_like(targets, start)
    inputs[1:] = targets[:-1]
    return inputs, targets != pad


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for B, T, start, pad in (
        (2, 4, 1, 0),
        (3, 6, 8, 0),
        (3, 5, 1, 7),
        (1, 3, 9, 8),
        (17, 18, 1, 0),
    ):
        targets = rng.integers(3, 7, (B, T))
        lengths = rng.integers(2, T, (B, 1))
        targets[np.arange(T) == lengths - 1] = 2
        yield np.where(np.arange(T) < lengths, targets, pad), start, pad


def reads_only_what_came_before(answer: Answer, rng: np.random.Generator) -> str | None:
    """A change of the word at position 2 changes what is read at position 3, and nothing else."""
    targets = np.array([[5, 6, 4, 3, 2]])
    one, other = answer(targets, 1, 0)[0], answer(targets + np.eye(5, dtype=int)[2:3], 1, 0)[0]
    where = np.flatnonzero((one != other)[0]).tolist()
    return None if where == [3] else f"It changes what is read at the positions {where}."


EXERCISE = Exercise(
    ask=shift_targets,
    solution=solution,
    returns=["inputs", "counts"],
    hand=(np.array([[5, 6, 7, 2], [8, 2, 0, 0]]), 1, 0),
    cases=cases,
    wrong=[
        not_shifted, first_replaced, rolled, shifted_left, padding_in_the_loss, mask_of_inputs,
        end_left_out, inverted, one_longer, down_the_batch, pad_is_zero, begins_with_pad,
        end_not_read,
    ],
    properties=[reads_only_what_came_before],
    extremes={
        "sentences of one token": (np.array([[2], [2]]), 1, 0),
        "a batch without sentences": (np.zeros((0, 3), int), 1, 0),
    },
    hints=(
        "Write the targets of one sentence in a row, and under each what the decoder has read "
        "last. The lower row is the upper one, moved to the right.",
        "The inputs begin with `start`, then come all targets but the last of each row.",
        "counts compares the targets, not the inputs, with `pad`.",
    ),
)  # fmt: skip
