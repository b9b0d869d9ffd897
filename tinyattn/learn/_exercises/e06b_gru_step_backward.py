"""The gradients of one step of a GRU. The mistakes are in the two ways of h: directly by z, and
through all three gates."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Gradient, Inputs, by_tinyattn
from tinyattn.ops.elementwise import sigmoid, tanh


def gru_step_backward(
    grad: np.ndarray,
    x: np.ndarray,
    h: np.ndarray,
    w_ih: np.ndarray,
    w_hh: np.ndarray,
    r: np.ndarray,
    z: np.ndarray,
    n: np.ndarray,
    hn: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of one step of a GRU.

    The forward pass computed, with s(a) = 1 / (1 + exp(-a)):

        gx = x @ w_ih.T + b_ih        three parts of H columns: gx_r, gx_z, gx_n
        gh = h @ w_hh.T + b_hh        three parts of H columns: gh_r, gh_z, hn
        r  = s(gx_r + gh_r)
        z  = s(gx_z + gh_z)
        n  = tanh(gx_n + r hn)
        h' = (1 - z) n + z h

    grad: shape (B, H), the gradient dL/dh' that arrives.
    x: shape (B, D).  h: shape (B, H).  w_ih: shape (3H, D).  w_hh: shape (3H, H).
    r, z, n, hn: shape (B, H), kept from the forward pass.
    Returns (dx, dh, dw_ih, dw_hh, db_ih, db_hh), the gradients of the six inputs of the step.

    The slopes you need: s' = s (1 - s) and tanh' = 1 - tanh^2.
    """
    raise NotImplementedError("gru_step_backward is not written yet")


def solution(grad, x, h, w_ih, w_hh, r, z, n, hn):
    dn = grad * (1 - z) * (1 - n * n)
    dz = grad * (h - n) * z * (1 - z)
    dr = dn * hn * r * (1 - r)
    dgx = np.concatenate([dr, dz, dn], axis=1)
    dgh = np.concatenate([dr, dz, dn * r], axis=1)
    dh = grad * z + dgh @ w_hh
    return dgx @ w_ih, dh, dgx.T @ x, dgh.T @ h, dgx.sum(axis=0), dgh.sum(axis=0)


def _finish(x, h, w_ih, w_hh, direct, gates_x, gates_h):
    """The six gradients from those of the gates; `direct` is what h gets past the gates."""
    dgx, dgh = np.concatenate(gates_x, axis=1), np.concatenate(gates_h, axis=1)
    dh = direct + dgh @ w_hh
    return dgx @ w_ih, dh, dgx.T @ x, dgh.T @ h, dgx.sum(axis=0), dgh.sum(axis=0)


def _gates(grad, h, r, z, n, hn):
    dn = grad * (1 - z) * (1 - n * n)
    return dn * hn * r * (1 - r), grad * (h - n) * z * (1 - z), dn


def no_direct_way(grad, x, h, w_ih, w_hh, r, z, n, hn):
    """The direct way of h is missing in your dh: h' contains z h, so dh gets grad * z, too."""
    dr, dz, dn = _gates(grad, h, r, z, n, hn)
    return _finish(x, h, w_ih, w_hh, 0, [dr, dz, dn], [dr, dz, dn * r])


def only_direct_way(grad, x, h, w_ih, w_hh, r, z, n, hn):
    """Your dh has only the direct way, grad * z. The old state moves all three gates, too: add the
    product of their gradients with w_hh."""
    dx, _, *rest = solution(grad, x, h, w_ih, w_hh, r, z, n, hn)
    return dx, grad * z, *rest


def reset_forgotten(grad, x, h, w_ih, w_hh, r, z, n, hn):
    """The factor r is missing on the side of the state: hn enters n as r hn, so its gradient is
    dn * r. (On the side of x it is dn.)"""
    dr, dz, dn = _gates(grad, h, r, z, n, hn)
    return _finish(x, h, w_ih, w_hh, grad * z, [dr, dz, dn], [dr, dz, dn])


def reset_on_both_sides(grad, x, h, w_ih, w_hh, r, z, n, hn):
    """You multiply by r on the side of x, too. gx_n enters n directly: its gradient is dn."""
    dr, dz, dn = _gates(grad, h, r, z, n, hn)
    return _finish(x, h, w_ih, w_hh, grad * z, [dr, dz, dn * r], [dr, dz, dn * r])


def update_sign(grad, x, h, w_ih, w_hh, r, z, n, hn):
    """The sign of dz is wrong: h' = (1 - z) n + z h has the slope h - n by z."""
    dr, dz, dn = _gates(grad, h, r, z, n, hn)
    return _finish(x, h, w_ih, w_hh, grad * z, [dr, -dz, dn], [dr, -dz, dn * r])


def update_without_n(grad, x, h, w_ih, w_hh, r, z, n, hn):
    """Your dz uses h where it needs h - n: z stands in both terms of h' = (1 - z) n + z h."""
    dr, _, dn = _gates(grad, h, r, z, n, hn)
    dz = grad * h * z * (1 - z)
    return _finish(x, h, w_ih, w_hh, grad * z, [dr, dz, dn], [dr, dz, dn * r])


def no_tanh_slope(grad, x, h, w_ih, w_hh, r, z, n, hn):
    """The slope of tanh, 1 - n^2, is missing in dn."""
    dn = grad * (1 - z)
    dr, dz = dn * hn * r * (1 - r), grad * (h - n) * z * (1 - z)
    return _finish(x, h, w_ih, w_hh, grad * z, [dr, dz, dn], [dr, dz, dn * r])


def no_sigmoid_slope(grad, x, h, w_ih, w_hh, r, z, n, hn):
    """The slopes of the sigmoids are missing: dr needs the factor r (1 - r), dz needs z (1 - z)."""
    dn = grad * (1 - z) * (1 - n * n)
    dr, dz = dn * hn, grad * (h - n)
    return _finish(x, h, w_ih, w_hh, grad * z, [dr, dz, dn], [dr, dz, dn * r])


def reset_without_hn(grad, x, h, w_ih, w_hh, r, z, n, hn):
    """Your dr uses h where it needs hn: r multiplies hn = W_hn h + b_hn, so the slope is hn."""
    _, dz, dn = _gates(grad, h, r, z, n, hn)
    dr = dn * h * r * (1 - r)
    return _finish(x, h, w_ih, w_hh, grad * z, [dr, dz, dn], [dr, dz, dn * r])


def gate_order(grad, x, h, w_ih, w_hh, r, z, n, hn):
    """You put the gates together in the order z, r, n. The rows of the weights are r, z, n."""
    dr, dz, dn = _gates(grad, h, r, z, n, hn)
    return _finish(x, h, w_ih, w_hh, grad * z, [dz, dr, dn], [dz, dr, dn * r])


def candidate_keeps_z(grad, x, h, w_ih, w_hh, r, z, n, hn):
    """Your dn has the factor z where it needs 1 - z: h' contains (1 - z) n."""
    dn = grad * z * (1 - n * n)
    dr, dz = dn * hn * r * (1 - r), grad * (h - n) * z * (1 - z)
    return _finish(x, h, w_ih, w_hh, grad * z, [dr, dz, dn], [dr, dz, dn * r])


def direct_way_exchanged(grad, x, h, w_ih, w_hh, r, z, n, hn):
    """The direct way of h has the factor 1 - z in yours. In h' = (1 - z) n + z h the state has the
    factor z: its share is grad * z."""
    dr, dz, dn = _gates(grad, h, r, z, n, hn)
    return _finish(x, h, w_ih, w_hh, grad * (1 - z), [dr, dz, dn], [dr, dz, dn * r])


def sides_exchanged(grad, x, h, w_ih, w_hh, r, z, n, hn):
    """The factor r stands on the wrong side. gx_n enters n directly: its gradient is dn. hn enters
    n as r hn: its gradient is dn * r."""
    dr, dz, dn = _gates(grad, h, r, z, n, hn)
    return _finish(x, h, w_ih, w_hh, grad * z, [dr, dz, dn * r], [dr, dz, dn])


def one_bias(grad, x, h, w_ih, w_hh, r, z, n, hn):
    """Your db_hh is the same as db_ih. In its last part it has the factor r: b_hn enters n as
    r (... + b_hn)."""
    dx, dh, dw_ih, dw_hh, db_ih, _ = solution(grad, x, h, w_ih, w_hh, r, z, n, hn)
    return dx, dh, dw_ih, dw_hh, db_ih, db_ih.copy()


def reset_outside_of_tanh(grad, x, h, w_ih, w_hh, r, z, n, hn):
    """Your dr does not go through the tanh: r stands inside of n = tanh(gx_n + r hn), so dr has the
    factor 1 - n^2, too."""
    _, dz, dn = _gates(grad, h, r, z, n, hn)
    dr = grad * (1 - z) * hn * r * (1 - r)
    return _finish(x, h, w_ih, w_hh, grad * z, [dr, dz, dn], [dr, dz, dn * r])


def tanh_not_squared(grad, x, h, w_ih, w_hh, r, z, n, hn):
    """Your slope of tanh is 1 - n. It is 1 - n^2."""
    dn = grad * (1 - z) * (1 - n)
    dr, dz = dn * hn * r * (1 - r), grad * (h - n) * z * (1 - z)
    return _finish(x, h, w_ih, w_hh, grad * z, [dr, dz, dn], [dr, dz, dn * r])


def _forward(x, h, w_ih, w_hh, b_ih, b_hh):
    """The new state, and what the forward pass keeps."""
    gx, gh = np.split(x @ w_ih.T + b_ih, 3, axis=1), np.split(h @ w_hh.T + b_hh, 3, axis=1)
    r, z = 1 / (1 + np.exp(-gx[0] - gh[0])), 1 / (1 + np.exp(-gx[1] - gh[1]))
    n = np.tanh(gx[2] + r * gh[2])
    return (1 - z) * n + z * h, (r, z, n, gh[2])


def _arguments(rng: np.random.Generator, B: int, D: int, H: int) -> list[np.ndarray]:
    shapes = (B, D), (B, H), (3 * H, D), (3 * H, H), (3 * H,), (3 * H,)
    return [rng.standard_normal(shape) for shape in shapes]


def _inputs(rng: np.random.Generator, B: int, D: int, H: int) -> Inputs:
    arguments = _arguments(rng, B, D, H)
    return (rng.standard_normal((B, H)), *arguments[:4], *_forward(*arguments)[1])


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for B, D, H in ((2, 3, 2), (1, 2, 1), (3, 3, 3), (17, 2, 3), (2, 17, 18)):
        yield _inputs(rng, B, D, H)


def gradients(answer: Answer, rng: np.random.Generator) -> Iterator[Gradient]:
    arguments, grad = _arguments(rng, 2, 2, 2), rng.standard_normal((2, 2))
    given = answer(grad, *arguments[:4], *_forward(*arguments)[1])
    names = "dx", "dh", "dw_ih", "dw_hh", "db_ih", "db_hh"
    for i, (name, part) in enumerate(zip(names, given, strict=True)):
        yield name, part, partial(_loss, grad, arguments, i), arguments[i]


def _loss(grad: np.ndarray, arguments: list[np.ndarray], i: int, value: np.ndarray) -> float:
    """sum(grad * h') as a function of argument i alone."""
    changed = [*arguments]
    changed[i] = value
    return float((grad * _forward(*changed)[0]).sum())


def linear(answer: Answer, rng: np.random.Generator) -> str | None:
    """Twice the gradient that arrives gives twice all results."""
    grad, *rest = _inputs(rng, 2, 3, 2)
    pairs = zip(answer(grad, *rest), answer(2 * grad, *rest), strict=True)
    return None if all(np.allclose(2 * a, b, atol=1e-4) for a, b in pairs) else "It does not."


def _library(grad, x, h, w_ih, w_hh, r, z, n, hn):
    logit = [np.log(p / (1 - p)) for p in (r, z)]
    inside = np.arctanh(n) - r * hn
    b_ih = np.zeros(len(w_ih))  # the biases are not known: gx and gh are what each row lacks
    gx = np.concatenate([logit[0], logit[1], inside], axis=1) - x @ w_ih.T
    gh = np.concatenate([0 * r, 0 * z, hn], axis=1) - h @ w_hh.T

    def step(x, h, w_ih, w_hh, b_ih, b_hh):
        xr, xz, xn = (x @ w_ih.t() + b_ih + gx).chunk(3, 1)
        hr, hz, hn = (h @ w_hh.t() + b_hh + gh).chunk(3, 1)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        n = tanh(xn + r * hn)
        return (1 - z) * n + z * h

    return by_tinyattn(step, [x, h, w_ih, w_hh, b_ih, b_ih], grad)


_R, _Z, _N, _HN = 0.5, 0.25, 0.6, 2.0

EXERCISE = Exercise(
    ask=gru_step_backward,
    solution=solution,
    returns=["dx", "dh", "dw_ih", "dw_hh", "db_ih", "db_hh"],
    hand=(
        np.array([[1.0]]), np.array([[2.0]]), np.array([[1.0]]), np.array([[1.0], [2.0], [3.0]]),
        np.array([[1.0], [0.5], [2.0]]), np.array([[_R]]), np.array([[_Z]]), np.array([[_N]]),
        np.array([[_HN]]),
    ),
    cases=cases,
    wrong=[
        no_direct_way, only_direct_way, reset_forgotten, reset_on_both_sides, update_sign,
        update_without_n, no_tanh_slope, no_sigmoid_slope, reset_without_hn, gate_order,
        candidate_keeps_z, direct_way_exchanged, sides_exchanged, one_bias, reset_outside_of_tanh,
        tanh_not_squared,
    ],
    gradients=gradients,
    properties=[linear],
    extremes={"a batch without rows": _inputs(np.random.default_rng(0), 0, 2, 3)},
    hints=(
        "Start with the last line, h' = (1 - z) n + z h: it gives gradients to n, z and h. Then go "
        "up line by line.",
        "dn = grad (1 - z) (1 - n^2),  dz = grad (h - n) z (1 - z),  dr = dn hn r (1 - r), each "
        "before its tanh or sigmoid.",
        "Put them together: dgx = [dr, dz, dn] and dgh = [dr, dz, dn r]. Then dx = dgx @ w_ih, "
        "dw_ih = dgx.T @ x, and so on for h; dh gets grad z, too.",
    ),
    library=_library,
)  # fmt: skip
