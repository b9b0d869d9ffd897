"""The gradient of layer normalisation. The mistakes are the terms through the mean and the
deviation."""

from collections.abc import Iterator

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Gradient, Inputs, by_tinyattn
from tinyattn.nn.functional import layer_norm


def layer_norm_backward(
    grad: np.ndarray, x: np.ndarray, weight: np.ndarray, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of layer normalisation (Ba, Kiros, Hinton 2016, arXiv:1607.06450).

    The forward pass computed, for each row of x, with the mean and the variance over its D numbers:

        z = (x - mean) / sqrt(variance + eps)
        y = weight * z + bias

    The variance is the mean of (x - mean)^2.

    grad: shape (N, D), the gradient dL/dy that arrives.
    x: shape (N, D).  weight: shape (D,).
    Returns (dx, dweight, dbias), shapes (N, D), (D,) and (D,).

    The mean and the variance depend on x, too.
    """
    raise NotImplementedError("layer_norm_backward is not written yet")


def solution(grad, x, weight, eps):
    off = x - x.mean(axis=-1, keepdims=True)
    scale = 1 / np.sqrt((off * off).mean(axis=-1, keepdims=True) + eps)
    z = off * scale
    g = grad * weight
    middle = g.mean(axis=-1, keepdims=True)
    along = (g * z).mean(axis=-1, keepdims=True)
    return scale * (g - middle - z * along), (grad * z).sum(axis=0), grad.sum(axis=0)


def _parts(grad, x, weight, eps):
    """z, 1 / deviation, grad * weight; and the gradients of weight and bias."""
    off = x - x.mean(axis=-1, keepdims=True)
    scale = 1 / np.sqrt((off * off).mean(axis=-1, keepdims=True) + eps)
    z = off * scale
    return z, scale, grad * weight, ((grad * z).sum(axis=0), grad.sum(axis=0))


def _mean(x):
    return x.mean(axis=-1, keepdims=True)


def constants(grad, x, weight, eps):
    """Your dx takes the mean and the deviation for constants. Both depend on every x of the row:
    two terms are missing."""
    _, scale, g, rest = _parts(grad, x, weight, eps)
    return scale * g, *rest


def no_variance(grad, x, weight, eps):
    """The term of the deviation is missing in your dx: it also depends on x. The term is
    -z * mean(g z), with g = grad * weight."""
    _, scale, g, rest = _parts(grad, x, weight, eps)
    return scale * (g - _mean(g)), *rest


def no_mean(grad, x, weight, eps):
    """The term of the mean is missing in your dx: it also depends on x. The term is -mean(g), with
    g = grad * weight."""
    z, scale, g, rest = _parts(grad, x, weight, eps)
    return scale * (g - z * _mean(g * z)), *rest


def no_weight(grad, x, weight, eps):
    """weight is missing in your dx: what arrives at z is grad * weight."""
    z, scale, _, rest = _parts(grad, x, weight, eps)
    return scale * (grad - _mean(grad) - z * _mean(grad * z)), *rest


def weight_outside(grad, x, weight, eps):
    """You multiply by weight at the end of dx. It belongs inside: the means are those of grad *
    weight."""
    z, scale, _, rest = _parts(grad, x, weight, eps)
    return weight * scale * (grad - _mean(grad) - z * _mean(grad * z)), *rest


def no_scale(grad, x, weight, eps):
    """The factor 1 / sqrt(variance + eps) is missing in your dx."""
    z, _, g, rest = _parts(grad, x, weight, eps)
    return g - _mean(g) - z * _mean(g * z), *rest


def sums(grad, x, weight, eps):
    """You take sums over the row where the derivation has means: the mean and the variance divide
    by D."""
    z, scale, g, rest = _parts(grad, x, weight, eps)
    D = x.shape[-1]
    return scale * (g - D * _mean(g) - z * D * _mean(g * z)), *rest


def x_for_z(grad, x, weight, eps):
    """Your dweight uses x where it needs the normed z: y = weight * z + bias."""
    dx, _, db = solution(grad, x, weight, eps)
    return dx, (grad * x).sum(axis=0), db


def no_sum(grad, x, weight, eps):
    """Your dweight and dbias have one row for each row of x. All rows used the same weight: sum
    over them."""
    z, _, _, _ = _parts(grad, x, weight, eps)
    return solution(grad, x, weight, eps)[0], grad * z, grad


def no_keepdims(grad, x, weight, eps):
    """The means of a row have the shape (N,) in yours, and x has the shape (N, D): NumPy aligns
    them at the right, so N meets D. Keep the axis, with keepdims=True."""
    z, scale, g, rest = _parts(grad, x, weight, eps)
    return scale * (g - g.mean(axis=-1) - z * (g * z).mean(axis=-1)), *rest


def mean_of_rows(grad, x, weight, eps):
    """Your dweight and dbias are means over the rows. Each use adds to the gradient, so they are
    sums."""
    dx, dw, db = solution(grad, x, weight, eps)
    return dx, dw / max(len(x), 1), db / max(len(x), 1)


def divided_by_less(grad, x, weight, eps):
    """Your variance divides by D - 1. Here it is the mean of the squares: divide by D (in NumPy
    ddof=0)."""
    off = x - _mean(x)
    D = x.shape[-1]
    scale = 1 / np.sqrt((off * off).sum(axis=-1, keepdims=True) / max(D - 1, 1) + eps)
    z, g = off * scale, grad * weight
    dx = scale * (g - _mean(g) - z * _mean(g * z))
    return dx, (grad * z).sum(axis=0), grad.sum(axis=0)


def wrong_sign(grad, x, weight, eps):
    """The sign of the term of the deviation is wrong in your dx: -z * mean(g z), with g = grad *
    weight."""
    z, scale, g, rest = _parts(grad, x, weight, eps)
    return scale * (g - _mean(g) + z * _mean(g * z)), *rest


def off_for_z(grad, x, weight, eps):
    """Your dx uses x - mean where it needs z = (x - mean) / sqrt(variance + eps)."""
    z, scale, g, rest = _parts(grad, x, weight, eps)
    off = z / scale
    return scale * (g - _mean(g) - off * _mean(g * off)), *rest


def over_the_rows(grad, x, weight, eps):
    """The means in your dx run over the rows. They run along a row, over its D numbers, as those of
    the forward pass do."""
    z, scale, g, rest = _parts(grad, x, weight, eps)
    N = max(len(x), 1)
    return scale * (g - g.sum(axis=0) / N - z * (g * z).sum(axis=0) / N), *rest


def twice_the_deviation(grad, x, weight, eps):
    """The term of the deviation has a factor 2 in your dx. The 2 of the square and the 1/2 of the
    root cancel: -z * mean(g z)."""
    z, scale, g, rest = _parts(grad, x, weight, eps)
    return scale * (g - _mean(g) - 2 * z * _mean(g * z)), *rest


def weight_in_its_own_gradient(grad, x, weight, eps):
    """Your dweight and dbias have the factor weight. In y = weight * z + bias their slopes are z
    and 1: the sums are those of grad * z and grad."""
    dx, dw, db = solution(grad, x, weight, eps)
    return dx, dw * weight, db * weight


def eps_outside(grad, x, weight, eps):
    """Your eps stands outside of the root. It is added to the variance: sqrt(variance + eps)."""
    off = x - _mean(x)
    scale = 1 / (np.sqrt(_mean(off * off)) + eps)
    z, g = off * scale, grad * weight
    dx = scale * (g - _mean(g) - z * _mean(g * z))
    return dx, (grad * z).sum(axis=0), grad.sum(axis=0)


def no_eps(grad, x, weight, eps):
    """eps is missing in yours. In a row of equal numbers the variance is 0, and you divide by
    0."""
    return solution(grad, x, weight, 0)


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for (N, D), eps in (
        ((2, 4), 1e-5),
        ((3, 3), 0.1),
        ((1, 6), 1e-5),
        ((4, 2), 0.5),
        ((17, 18), 1e-5),
    ):
        x = 2 * rng.standard_normal((N, D)) + 1
        yield rng.standard_normal((N, D)), x, rng.uniform(0.5, 2, D), eps


def gradients(answer: Answer, rng: np.random.Generator) -> Iterator[Gradient]:
    x, grad, weight = rng.standard_normal((3, 4)), rng.standard_normal((3, 4)), np.arange(1.0, 5)
    dx, dw, _ = answer(grad, x, weight, 0.1)

    def loss(x: np.ndarray, weight: np.ndarray) -> float:
        off = x - _mean(x)
        return float((grad * weight * off / np.sqrt(_mean(off * off) + 0.1)).sum())

    yield "dx", dx, lambda x: loss(x, weight), x
    yield "dweight", dw, lambda weight: loss(x, weight), weight


def rows_sum_to_zero(answer: Answer, rng: np.random.Generator) -> str | None:
    """Each row of dx has the sum 0: adding 1 to all x of a row changes nothing."""
    grad, x = rng.standard_normal((2, 3, 5))
    sums = np.abs(answer(grad, x, np.arange(1.0, 6), 1e-5)[0].sum(axis=-1))
    return None if sums.max() < 1e-4 else f"The sums of your rows reach {sums.max():.3g}."


def _library(grad, x, weight, eps):
    return by_tinyattn(
        lambda x, w, b: layer_norm(x, (x.shape[-1],), w, b, eps), [x, weight, 0 * weight], grad
    )


EXERCISE = Exercise(
    ask=layer_norm_backward,
    solution=solution,
    returns=["dx", "dweight", "dbias"],
    hand=(np.array([[1.0, 0, 2], [0, 4, 0]]), np.array([[1.0, 2, 3], [5, 3, 7]]), np.ones(3), 0.0),
    cases=cases,
    wrong=[
        constants, no_variance, no_mean, no_weight, weight_outside, no_scale, sums, x_for_z, no_sum,
        no_keepdims, mean_of_rows, divided_by_less, no_eps, wrong_sign, off_for_z, over_the_rows,
        twice_the_deviation, weight_in_its_own_gradient, eps_outside,
    ],
    gradients=gradients,
    properties=[rows_sum_to_zero],
    extremes={
        "a row of equal numbers": (np.array([[1.0, 2, 4]]), np.full((1, 3), 5.0), np.ones(3), 1.0),
        "a batch without rows": (np.zeros((0, 3)), np.zeros((0, 3)), np.ones(3), 1e-5),
    },
    hints=(
        "dbias is the sum of grad over the rows, dweight that of grad * z. What arrives at z is "
        "g = grad * weight.",
        "z depends on x in three ways: directly, through the mean, and through the variance. "
        "Moving all x of a row together changes no z, and scaling their distances changes "
        "almost none.",
        "dx = (g - mean(g) - z mean(g z)) / sqrt(variance + eps), with means over the D numbers "
        "of a row.",
    ),
    library=_library,
)  # fmt: skip
