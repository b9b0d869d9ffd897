"""The gradient of cross-entropy over the words of a padded batch. The mistakes are in what counts:
padding, and the number to divide by."""

from collections.abc import Iterator

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Gradient, Inputs, by_tinyattn
from tinyattn.nn.functional import cross_entropy
from tinyattn.ops.creation import tensor


def cross_entropy_backward(logits: np.ndarray, targets: np.ndarray, pad: int) -> np.ndarray:
    """The gradient of the mean cross-entropy by the logits.

    With p = softmax(logits) along each row, the loss of row i is -log p_i[targets_i]. A row whose
    target is `pad` has no loss. L is the mean over the rows that have one.

    logits: shape (N, V).
    targets: shape (N,), integers from 0 to V - 1.
    pad: the token that fills up short sentences. At least one target is another one.
    Returns dL/dlogits, shape (N, V).

    A start: -log p_i[t] = log sum_j exp(x_ij) - x_it. What is its slope by x_ij?
    """
    raise NotImplementedError("cross_entropy_backward is not written yet")


def solution(logits, targets, pad):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = shifted / shifted.sum(axis=1, keepdims=True)
    p[np.arange(len(targets)), targets] -= 1
    counts = targets != pad
    return p * counts[:, None] / counts.sum()


def _softmax(x: np.ndarray, axis: int = 1) -> np.ndarray:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _one_hot(targets: np.ndarray, V: int) -> np.ndarray:
    return np.eye(V)[targets]


def _masked(rows: np.ndarray, targets: np.ndarray, pad: int) -> np.ndarray:
    """What is left after padding is set to 0, divided by the number of other rows."""
    counts = targets != pad
    return rows * counts[:, None] / max(counts.sum(), 1)


def padded_length(logits, targets, pad):
    """You divide by the padded length N. The mean is over the rows that have a loss: divide by the
    number of targets that are not `pad`."""
    rows = _softmax(logits) - _one_hot(targets, logits.shape[1])
    return rows * (targets != pad)[:, None] / len(targets)


def padding_counts(logits, targets, pad):
    """Padding counts in yours: rows whose target is `pad` have a gradient. Set them to 0."""
    return (_softmax(logits) - _one_hot(targets, logits.shape[1])) / len(targets)


def padding_not_zero(logits, targets, pad):
    """You divide by the right number, but rows whose target is `pad` have a gradient in yours. Set
    them to 0."""
    rows = _softmax(logits) - _one_hot(targets, logits.shape[1])
    return rows / max((targets != pad).sum(), 1)


def not_divided(logits, targets, pad):
    """Yours is the gradient of the sum of the losses. The loss is their mean: divide by the number
    of targets that are not `pad`."""
    return (_softmax(logits) - _one_hot(targets, logits.shape[1])) * (targets != pad)[:, None]


def no_target(logits, targets, pad):
    """Yours is the softmax alone. The target is missing: subtract 1 at the place of each target."""
    return _masked(_softmax(logits), targets, pad)


def sign(logits, targets, pad):
    """The sign is wrong: yours is 1[j = t] - p_j. The gradient points uphill, so a step against it
    must raise the logit of the target."""
    return _masked(_one_hot(targets, logits.shape[1]) - _softmax(logits), targets, pad)


def no_softmax(logits, targets, pad):
    """Yours is logits - 1[j = t]. The logits need a softmax first."""
    return _masked(logits - _one_hot(targets, logits.shape[1]), targets, pad)


def wrong_axis(logits, targets, pad):
    """Your softmax runs along axis 0, over the batch. It must run along axis 1, over the words of
    the vocabulary."""
    return _masked(_softmax(logits, 0) - _one_hot(targets, logits.shape[1]), targets, pad)


def no_keepdims(logits, targets, pad):
    """The sums of your softmax have the shape (N,), and the logits have the shape (N, V): NumPy
    aligns them at the right, so N meets V. Keep the axis, with keepdims=True."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return _masked(e / e.sum(axis=1) - _one_hot(targets, logits.shape[1]), targets, pad)


def squared_error(logits, targets, pad):
    """Yours is the gradient of a squared error: (p - 1[j = t]) goes through softmax's gradient
    once more. In cross-entropy this factor has cancelled against the logarithm."""
    p = _softmax(logits)
    rows = p - _one_hot(targets, logits.shape[1])
    return _masked(p * (rows - (rows * p).sum(axis=1, keepdims=True)), targets, pad)


def divided_by_words(logits, targets, pad):
    """You divide by the size of the vocabulary, too. The mean is over the rows only."""
    return solution(logits, targets, pad) / logits.shape[1]


def pad_column(logits, targets, pad):
    """You set the column of the token `pad` to 0. Those rows whose target is `pad` have no loss;
    the logit of `pad` in other rows has a gradient."""
    rows = _masked(_softmax(logits) - _one_hot(targets, logits.shape[1]), targets, pad)
    rows[:, pad] = 0
    return rows


def inverted(logits, targets, pad):
    """Your mask is inverted: the rows whose target is `pad` have a gradient, and the others have
    none."""
    rows = _softmax(logits) - _one_hot(targets, logits.shape[1])
    padding = targets == pad
    return rows * padding[:, None] / max(padding.sum(), 1)


def every_row(logits, targets, pad):
    """p[:, targets] -= 1 subtracts 1 in these columns of every row. One number of each row is
    meant: p[np.arange(N), targets] -= 1."""
    p = _softmax(logits)
    p[:, targets] -= 1
    return _masked(p, targets, pad)


def pad_is_zero(logits, targets, pad):
    """You take 0 for the token that fills up. It is the argument `pad`."""
    rows = _softmax(logits) - _one_hot(targets, logits.shape[1])
    return _masked(rows, targets, 0)


def left_out(logits, targets, pad):
    """You leave out the rows whose target is `pad`. The result has the shape of the logits: keep
    these rows, with the gradient 0."""
    return solution(logits, targets, pad)[targets != pad]


def maximum_of_all(logits, targets, pad):
    """You subtract the largest number of all rows. In a row far below it every exp is 0, and 0 / 0
    is NaN. Each row has a maximum of its own: axis=1, keepdims=True."""
    e = np.exp(logits - logits.max())
    p = e / e.sum(axis=1, keepdims=True)
    return _masked(p - _one_hot(targets, logits.shape[1]), targets, pad)


def overflow(logits, targets, pad):
    """With large logits yours is NaN: exp(1000) is infinity. Subtract the maximum of each row
    first; the softmax stays the same."""
    e = np.exp(logits)
    p = e / e.sum(axis=1, keepdims=True)
    return _masked(p - _one_hot(targets, logits.shape[1]), targets, pad)


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for N, V, pad in ((4, 3, 0), (6, 5, 2), (3, 3, 1), (1, 4, 0), (17, 18, 3)):
        targets = rng.integers(0, V, N)
        targets[0] = (pad + 1) % V
        targets[1:2] = pad
        yield rng.standard_normal((N, V)), targets, pad
    yield rng.standard_normal((4, 5)), np.array([1, 2, 3, 4]), 0


def gradients(answer: Answer, rng: np.random.Generator) -> Iterator[Gradient]:
    targets, rows = np.array([2, 0, 1, 2]), np.array([0, 2, 3])

    def loss(x: np.ndarray) -> float:
        return float(-np.log(_softmax(x)[rows, targets[rows]]).mean())

    x = rng.standard_normal((4, 3))
    yield "dlogits", answer(x, targets, 0), loss, x


def rows_sum_to_zero(answer: Answer, rng: np.random.Generator) -> str | None:
    """Each row has the sum 0: adding 1 to all logits of a row changes nothing."""
    sums = np.abs(answer(rng.standard_normal((3, 4)), np.array([1, 2, 0]), 3).sum(axis=1))
    return None if sums.max() < 1e-4 else f"The sums reach {sums.max():.3g}."


def more_padding(answer: Answer, rng: np.random.Generator) -> str | None:
    """More padding changes nothing in the other rows."""
    x, targets = rng.standard_normal((5, 4)), np.array([1, 2, 0, 0, 0])
    short, long = answer(x[:2], targets[:2], 0), answer(x, targets, 0)
    return None if np.allclose(short, long[:2], atol=1e-4) else "In yours it does."


def _library(logits, targets, pad):
    return by_tinyattn(
        lambda x: cross_entropy(x, tensor(targets), ignore_index=pad), [logits], 1.0
    )[0]


EXERCISE = Exercise(
    ask=cross_entropy_backward,
    solution=solution,
    returns=["dlogits"],
    hand=(np.log(np.array([[1.0, 2, 1], [2, 1, 1], [1, 1, 2]])), np.array([1, 2, 0]), 0),
    cases=cases,
    wrong=[
        padded_length, padding_counts, padding_not_zero, not_divided, no_target, sign, no_softmax,
        wrong_axis, no_keepdims, squared_error, divided_by_words, pad_column, overflow, inverted,
        every_row, pad_is_zero, left_out, maximum_of_all,
    ],
    gradients=gradients,
    properties=[rows_sum_to_zero, more_padding],
    extremes={
        "logits of 1000": (np.array([[1000.0, 0, -1000], [0, 0, 1000]]), np.array([1, 2]), 0),
        "rows of very different size": (
            np.array([[1000.0, 999, 0], [-1000, -1001, -1002]]), np.array([1, 2]), 0,
        ),
        "equal logits": (np.zeros((2, 4)), np.array([3, 1]), 0),
    },
    hints=(
        "The slope of log sum_j exp(x_j) by x_j is the softmax p_j. The slope of -x_t by x_j is -1 "
        "for j = t and 0 for others.",
        "So a row is p - 1[j = t]. Set the rows with a target `pad` to 0, and divide by the number "
        "of the other rows.",
        "p[np.arange(N), targets] -= 1 subtracts 1 at the place of each target. (targets != "
        "pad) is True for the rows that count. Subtract the maximum of a row before exp.",
    ),
    library=_library,
)  # fmt: skip
