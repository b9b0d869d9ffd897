"""The gradient of an embedding table: rows are added up where a token occurs several times."""

from collections.abc import Iterator

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Gradient, Inputs, by_tinyattn
from tinyattn.nn.functional import embedding
from tinyattn.ops.creation import tensor


def embedding_backward(grad: np.ndarray, tokens: np.ndarray, V: int) -> np.ndarray:
    """The gradient of an embedding table.

    The forward pass took rows of the table: y[b, t] = table[tokens[b, t]].

    grad: shape (B, T, D), the gradient dL/dy that arrives.
    tokens: shape (B, T), integers from 0 to V - 1. A token may occur several times.
    V: how many rows the table has.
    Returns the gradient of the table, shape (V, D). A row that was not used has the gradient 0.
    """
    raise NotImplementedError("embedding_backward is not written yet")


def solution(grad, tokens, V):
    table = np.zeros((V, grad.shape[-1]), grad.dtype)
    np.add.at(table, tokens, grad)
    return table


def assigned(grad, tokens, V):
    """A repeated token lost a gradient: only its last occurrence counts. table[tokens] = grad
    writes one after the other, and table[tokens] += grad does the same. np.add.at(table, tokens,
    grad) adds them all."""
    table = np.zeros((V, grad.shape[-1]))
    for token, row in zip(tokens.ravel(), grad.reshape(-1, grad.shape[-1]), strict=True):
        table[token] = row
    return table


def first_only(grad, tokens, V):
    """A repeated token lost a gradient: only its first occurrence counts. All of them are
    added."""
    table = np.zeros((V, grad.shape[-1]))
    for token, row in reversed(
        [*zip(tokens.ravel(), grad.reshape(-1, grad.shape[-1]), strict=True)]
    ):
        table[token] = row
    return table


def averaged(grad, tokens, V):
    """A repeated token gets the mean of its gradients. Each use adds to the gradient, so it is a
    sum."""
    counts = np.bincount(tokens.ravel(), minlength=V)[:, None]
    return solution(grad, tokens, V) / np.maximum(counts, 1)


def divided_by_all(grad, tokens, V):
    """You divide by the number of tokens. If the loss is a mean, that factor is already in grad."""
    return solution(grad, tokens, V) / max(tokens.size, 1)


def counted(grad, tokens, V):
    """Yours counts how often a token occurs, and does not look at grad."""
    counts = np.bincount(tokens.ravel(), minlength=V)[:, None]
    return np.broadcast_to(counts, (V, grad.shape[-1])).astype(float)


def first_sentence(grad, tokens, V):
    """Only the first sentence of the batch counts in yours."""
    return solution(grad[:1], tokens[:1], V)


def per_sentence(grad, tokens, V):
    """Within a sentence you add, but of the sentences only the last one that has the token counts.
    The table is the same for all of them."""
    table = np.zeros((V, grad.shape[-1]))
    for row, g in zip(tokens, grad, strict=True):
        used = np.unique(row)
        table[used] = solution(g, row, V)[used]
    return table


def no_padding(grad, tokens, V):
    """Row 0 has no gradient in yours. That is right for a table with padding_idx=0, which is not
    asked for here."""
    table = solution(grad, tokens, V)
    table[:1] = 0
    return table


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for B, T, D, V in (
        (2, 4, 3, 5),
        (1, 6, 2, 3),
        (3, 2, 2, 9),
        (3, 5, 1, 2),
        (17, 2, 3, 19),
        (2, 17, 18, 4),
    ):
        yield rng.standard_normal((B, T, D)), rng.integers(0, V, (B, T)), V


def gradients(answer: Answer, rng: np.random.Generator) -> Iterator[Gradient]:
    tokens, grad = np.array([[1, 3, 1], [0, 1, 3]]), rng.standard_normal((2, 3, 2))
    table = rng.standard_normal((5, 2))
    yield "table", answer(grad, tokens, 5), lambda t: float((grad * t[tokens]).sum()), table


def total_stays(answer: Answer, rng: np.random.Generator) -> str | None:
    """The sum over all rows is the sum of grad: nothing of the gradient is lost."""
    grad, tokens = rng.standard_normal((2, 8, 3)), rng.integers(0, 4, (2, 8))
    off = np.abs(answer(grad, tokens, 4).sum(axis=0) - grad.sum(axis=(0, 1))).max()
    return None if off < 1e-4 else f"They differ by {off:.3g}."


def order_of_the_batch(answer: Answer, rng: np.random.Generator) -> str | None:
    """Another order of the sentences gives the same."""
    grad, tokens = rng.standard_normal((4, 3, 2)), rng.integers(0, 3, (4, 3))
    one, other = answer(grad, tokens, 3), answer(grad[::-1].copy(), tokens[::-1].copy(), 3)
    return None if np.allclose(one, other, atol=1e-4) else "Yours changes."


def _library(grad, tokens, V):
    table = np.zeros((V, grad.shape[-1]))
    return by_tinyattn(lambda table: embedding(tensor(tokens), table), [table], grad)[0]


EXERCISE = Exercise(
    ask=embedding_backward,
    solution=solution,
    returns=["dtable"],
    hand=(
        np.array([[[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]]),
        np.array([[2, 0, 2]]),
        4,
    ),
    cases=cases,
    wrong=[
        assigned, first_only, averaged, divided_by_all, counted, first_sentence, per_sentence,
        no_padding,
    ],
    gradients=gradients,
    properties=[total_stays, order_of_the_batch],
    extremes={
        "a batch without sentences": (np.zeros((0, 3, 2)), np.zeros((0, 3), int), 4),
        "the same token everywhere": (np.ones((2, 50, 1)), np.full((2, 50), 1), 3),
    },
    hints=(
        "Start with np.zeros((V, D)). Each pair of a token and a row of grad adds to one row of "
        "it.",
        "A loop over b and t with table[tokens[b, t]] += grad[b, t] is right. Without the loop, "
        "table[tokens] += grad is wrong: NumPy reads all rows first, then writes them.",
        "np.add.at(table, tokens, grad) adds one after the other, like the loop.",
    ),
    library=_library,
)  # fmt: skip
