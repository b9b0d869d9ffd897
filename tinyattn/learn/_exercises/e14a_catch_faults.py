"""A test of a gradient that the reader writes: it has to refuse thirteen faulty ones, and to let
right ones pass. A message here says which faults survive, since that is all that can be known of a
test.
"""

from collections.abc import Callable, Iterator

import numpy as np

from tinyattn.learn.exercise import Exercise, Inputs, call_unnamed

Backward = Callable[[np.ndarray, np.ndarray], np.ndarray]


def catch_faults(softmax_backward: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> bool:
    """Whether a function computes the gradient of softmax: a test that you write.

    softmax_backward: a function of y and grad, both of shape (B, V). y is the softmax of each row
        of some x. If it is right, it returns y * (grad - sum(grad * y)), with the sum over each
        row. Right ones may be written in another way: they differ by rounding, up to 1e-6.
    Returns True if the function is right, False if it has a fault.

    You choose the inputs, and how you compare. The check here tries your test on right functions,
    and on thirteen faulty ones. One of them is too large by a thousandth, one is wrong in long rows
    only, one is wrong in all rows but the first, and one in a single number.
    """
    raise NotImplementedError("catch_faults is not written yet")


def solution(softmax_backward):
    rng = np.random.default_rng(0)
    x, grad = rng.standard_normal((2, 3, 8))
    e = np.exp(x)
    y = e / e.sum(axis=1, keepdims=True)
    right = y * (grad - (grad * y).sum(axis=1, keepdims=True))
    return np.abs(softmax_backward(y, grad) - right).max() < 1e-5


def _right(y, grad):
    return y * (grad - (grad * y).sum(axis=1, keepdims=True))


def _softmax(x):
    e = np.exp(x)
    return e / e.sum(axis=1, keepdims=True)


def _near(softmax_backward, y, grad, tolerance=1e-5):
    return np.abs(softmax_backward(y, grad) - _right(y, grad)).max() < tolerance


def always_true(softmax_backward):
    """Every function passes your test. A test that can't fail shows nothing."""
    return True


def always_false(softmax_backward):
    """No function passes your test, not even a right one."""
    return False


def through_sum(softmax_backward):
    """Survived: all faults whose result is 0 if grad is 1 everywhere, among them the one that
    returns zeros. That is what a check through y.sum() sees: a row of y has the sum 1, so its
    gradient is 0. Give grad different numbers."""
    y = _softmax(np.random.default_rng(0).standard_normal((3, 8)))
    return _near(softmax_backward, y, np.ones_like(y))


def equal_probabilities(softmax_backward):
    """Survived: a mean in place of the sum. That happens if a row of y has equal numbers: then the
    mean of grad is the sum of grad * y. Choose a y that is not symmetric."""
    y = np.full((3, 8), 1 / 8)
    return _near(softmax_backward, y, np.random.default_rng(0).standard_normal((3, 8)))


def tolerant(softmax_backward):
    """Survived: the function that is too large by a thousandth. That happens if your test allows
    too large a difference. Rounding is below 1e-6 here."""
    y = _softmax(np.random.default_rng(0).standard_normal((3, 8)))
    grad = np.random.default_rng(1).standard_normal((3, 8))
    return _near(softmax_backward, y, grad, 0.02)


def one_row(softmax_backward):
    """Survived: faults that only a batch of several rows shows. Try at least two rows."""
    y = _softmax(np.random.default_rng(0).standard_normal((1, 8)))
    return _near(softmax_backward, y, np.random.default_rng(1).standard_normal((1, 8)))


def short_rows(softmax_backward):
    """Survived: the function that is wrong in rows of more than four numbers. Try longer rows,
    too."""
    y = _softmax(np.random.default_rng(0).standard_normal((3, 4)))
    return _near(softmax_backward, y, np.random.default_rng(1).standard_normal((3, 4)))


def exact(softmax_backward):
    """Your test refuses a right function that is written in another way. Its sums are added in
    another order, so the last digits differ. Compare with a tolerance, not with ==."""
    y = _softmax(np.random.default_rng(0).standard_normal((3, 8)))
    grad = np.random.default_rng(1).standard_normal((3, 8))
    return bool((softmax_backward(y, grad) == _right(y, grad)).all())


def only_the_sum(softmax_backward):
    """Survived: faults whose rows have the sum 0, like the right gradient's. It is a good property
    to test, but zeros have it, too. Compare the numbers."""
    y = _softmax(np.random.default_rng(0).standard_normal((3, 8)))
    grad = np.random.default_rng(1).standard_normal((3, 8))
    return np.abs(softmax_backward(y, grad).sum(axis=1)).max() < 1e-5


def first_row_only(softmax_backward):
    """Survived: the function that is wrong in all rows but the first. That happens if you look at
    the first row of the batch only, or if all rows are equal."""
    y = _softmax(np.random.default_rng(0).standard_normal((3, 8)))
    grad = np.random.default_rng(1).standard_normal((3, 8))
    return np.abs(softmax_backward(y, grad) - _right(y, grad))[0].max() < 1e-5


def one_sign(softmax_backward):
    """Survived: the function whose result is too small everywhere. That happens if you look at the
    largest difference without its absolute value. Write np.abs(got - right).max()."""
    y = _softmax(np.random.default_rng(0).standard_normal((3, 8)))
    grad = np.random.default_rng(1).standard_normal((3, 8))
    return (softmax_backward(y, grad) - _right(y, grad)).max() < 1e-5


def other_sign(softmax_backward):
    """Survived: the function whose result is too large everywhere. That happens if you look at the
    largest difference without its absolute value. Write np.abs(got - right).max()."""
    y = _softmax(np.random.default_rng(0).standard_normal((3, 8)))
    grad = np.random.default_rng(1).standard_normal((3, 8))
    return (_right(y, grad) - softmax_backward(y, grad)).max() < 1e-5


def grad_is_y(softmax_backward):
    """Survived: the function that exchanges y and grad. That happens if you give the same array for
    both. Choose another grad."""
    y = _softmax(np.random.default_rng(0).standard_normal((3, 8)))
    return _near(softmax_backward, y, y)


def definition(y: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """a right function"""
    return y * (grad - (grad * y).sum(axis=1, keepdims=True))


def jacobian(y: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """a right function that multiplies by the Jacobian of each row"""
    return np.array([(np.diag(p) - np.outer(p, p)) @ g for p, g in zip(y, grad, strict=True)])


def single(y: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """a right function that computes in float32"""
    return definition(y.astype(np.float32), grad.astype(np.float32))


def no_sum(y: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """a function without the sum"""
    return y * grad


def zeros(y: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """a function that returns zeros"""
    return np.zeros_like(y)


def whole_batch(y: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """a function that sums over the whole batch"""
    return y * (grad - (grad * y).sum())


def mean(y: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """a function that takes the mean of grad for the sum of grad * y"""
    return y * (grad - grad.mean(axis=1, keepdims=True))


def thousandth(y: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """a function that is too large by a thousandth"""
    return 1.001 * definition(y, grad)


def long_rows(y: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """a function whose sum ends after four numbers"""
    return y * (grad - (grad * y)[:, :4].sum(axis=1, keepdims=True))


def other_rows(y: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """a function that uses the sum of the first row for all rows"""
    return y * (grad - (grad * y).sum(axis=1, keepdims=True)[:1])


def lower(y: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """a function whose result is too small by a hundredth everywhere"""
    return definition(y, grad) - 0.01


def higher(y: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """a function whose result is too large by a hundredth everywhere"""
    return definition(y, grad) + 0.01


def exchanged(y: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """a function that exchanges y and grad"""
    return definition(grad, y)


def negated(y: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """a function whose result has the wrong sign"""
    return -definition(y, grad)


def doubled(y: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """a function whose result is twice too large"""
    return 2 * definition(y, grad)


def last_number(y: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """a function whose last number in the first row is too small by a tenth"""
    out = definition(y, grad)
    out[:1, -1:] -= 0.1
    return out


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for function in (
        definition, jacobian, single, zeros, whole_batch, mean, thousandth, long_rows, other_rows,
        lower, higher, exchanged, negated, doubled, last_number,
    ):  # fmt: skip
        yield (function,)


EXERCISE = Exercise(
    ask=catch_faults,
    solution=solution,
    returns=["right"],
    hand=(no_sum,),
    cases=cases,
    wrong=[
        always_true, always_false, through_sum, equal_probabilities, tolerant, one_row, short_rows,
        exact, only_the_sum, first_row_only, one_sign, other_sign, grad_is_y,
    ],
    hints=(
        "Make x and grad from random numbers, y as the softmax of x, and compare with the formula.",
        "Use several rows, rows of at least eight numbers, and a grad of different numbers.",
        "np.abs(got - right).max() < 1e-5 lets rounding pass, and catches a thousandth.",
    ),
    run=call_unnamed,
)  # fmt: skip
