"""The backward loop over the steps of a recurrent network. The mistakes are steps that do not reach
the weight, and states that are detached."""

from collections.abc import Iterator

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Gradient, Inputs, by_tinyattn
from tinyattn.ops.elementwise import tanh
from tinyattn.ops.shape import stack


def backward_through_time(
    grad: np.ndarray, h: np.ndarray, u: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of a recurrent network, through all its time steps.

    The forward pass computed, for t = 1 ... T:  h_t = tanh(a_t + h_{t-1} @ u).

    grad: shape (T, B, H). grad[t - 1] is the gradient that arrives at h_t from outside, as from the
        loss of step t. The gradient that comes from step t + 1 is not in it.
    h: shape (T + 1, B, H), the states h_0, h_1, ..., h_T.
    u: shape (H, H).
    Returns (da, dh_0, du): shapes (T, B, H), (B, H) and (H, H).

    The slope of tanh is 1 - tanh^2.
    """
    raise NotImplementedError("backward_through_time is not written yet")


def solution(grad, h, u):
    da, du = np.empty_like(grad), np.zeros_like(u)
    dh = np.zeros_like(h[0])
    for t in reversed(range(len(grad))):
        dh = dh + grad[t]
        da[t] = dh * (1 - h[t + 1] ** 2)
        du += h[t].T @ da[t]
        dh = da[t] @ u.T
    return da, dh, du


def _loop(grad, h, u, *, carry=1.0, state=0, arrives=True, slope=True, transpose=True):
    """The loop with one thing changed."""
    da, du, dh = np.zeros_like(grad), np.zeros_like(u), np.zeros_like(h[0])
    for t in reversed(range(len(grad))):
        dh = carry * dh + grad[t] if arrives or t == len(grad) - 1 else dh
        da[t] = dh * (1 - h[t + 1] ** 2) if slope else dh
        du += h[t + state].T @ da[t]
        dh = da[t] @ (u.T if transpose else u)
    return da, dh, du


def last_step(grad, h, u):
    """Only one step reached u: your du has the part of the first step of the sentence, which the
    loop meets last. Every step used u, so their parts are added: du += ..."""
    da, dh, _ = solution(grad, h, u)
    return da, dh, h[0].T @ da[0]


def final_step(grad, h, u):
    """Only the last step of the sentence reached u. Every step used it, so their parts are
    added."""
    da, dh, _ = solution(grad, h, u)
    return da, dh, h[-2].T @ da[-1]


def detached(grad, h, u):
    """The state is detached: nothing comes from step t + 1 to step t in yours. Add da_{t+1} @ u.T
    to the gradient that arrives at h_t."""
    return _loop(grad, h, u, carry=0.0)


def only_from_the_end(grad, h, u):
    """Only the gradient at the last state counts in yours. Each step has a gradient of its own from
    outside, grad[t - 1]. Add it to what comes from step t + 1; do not write it over."""
    return _loop(grad, h, u, arrives=False)


def new_state(grad, h, u):
    """Your du uses h_t where it needs h_{t-1}: step t multiplied u with the state before it."""
    return _loop(grad, h, u, state=1)


def no_slope(grad, h, u):
    """The slope of tanh is missing: multiply by 1 - h_t^2 before you go on."""
    return _loop(grad, h, u, slope=False)


def not_transposed(grad, h, u):
    """You multiply by u on the way back. It must be transposed: da @ u.T."""
    return _loop(grad, h, u, transpose=False)


def slope_of_the_step_before(grad, h, u):
    """You take the slope of tanh at h_{t-1}. The tanh of step t gave h_t: the slope is
    1 - h_t^2."""
    da, du, dh = np.zeros_like(grad), np.zeros_like(u), np.zeros_like(h[0])
    for t in reversed(range(len(grad))):
        da[t] = (dh + grad[t]) * (1 - h[t] ** 2)
        du += h[t].T @ da[t]
        dh = da[t] @ u.T
    return da, dh, du


def forwards(grad, h, u):
    """Your loop goes from the first step to the last. Gradients travel from the last step to the
    first."""
    da, du, dh = np.zeros_like(grad), np.zeros_like(u), np.zeros_like(h[0])
    for t in range(len(grad)):
        da[t] = (dh + grad[t]) * (1 - h[t + 1] ** 2)
        du += h[t].T @ da[t]
        dh = da[t] @ u.T
    return da, dh, du


def mean_over_steps(grad, h, u):
    """Your du is the mean over the steps. Each use of u adds to its gradient, so it is a sum."""
    da, dh, du = solution(grad, h, u)
    return da, dh, du / max(len(grad), 1)


def no_first_state(grad, h, u):
    """Your dh_0 is 0. The first step used h_0, so it has a gradient: da_1 @ u.T. In a translator it
    goes to the encoder."""
    da, dh, du = solution(grad, h, u)
    return da, 0 * dh, du


def past_the_slope(grad, h, u):
    """To the step before you hand on the gradient of h_t. It must go through the tanh first: hand
    on da_t @ u.T."""
    da, du, dh = np.zeros_like(grad), np.zeros_like(u), np.zeros_like(h[0])
    for t in reversed(range(len(grad))):
        dh = dh + grad[t]
        da[t] = dh * (1 - h[t + 1] ** 2)
        du += h[t].T @ da[t]
        dh = dh @ u.T
    return da, dh, du


def tanh_twice(grad, h, u):
    """You take the tanh of h_t once more. h_t is a tanh already: the slope is 1 - h_t^2."""
    da, du, dh = np.zeros_like(grad), np.zeros_like(u), np.zeros_like(h[0])
    for t in reversed(range(len(grad))):
        da[t] = (dh + grad[t]) * (1 - np.tanh(h[t + 1]) ** 2)
        du += h[t].T @ da[t]
        dh = da[t] @ u.T
    return da, dh, du


def order_of_the_loop(grad, h, u):
    """Your da has the order of the loop, the last step first. It must have the order of the steps:
    turn it round."""
    da, dh, du = solution(grad, h, u)
    return da[::-1].copy(), dh, du


def du_transposed(grad, h, u):
    """Your du is transposed: it is the sum of h_{t-1}.T @ da_t."""
    da, dh, du = solution(grad, h, u)
    return da, dh, du.T.copy()


def _states(a: np.ndarray, h0: np.ndarray, u: np.ndarray) -> np.ndarray:
    h = [h0]
    for step in a:
        h.append(np.tanh(step + h[-1] @ u))
    return np.array(h)


def _inputs(rng: np.random.Generator, T: int, B: int, H: int) -> Inputs:
    a, h0, u = (rng.standard_normal(shape) for shape in ((T, B, H), (B, H), (H, H)))
    return rng.standard_normal((T, B, H)), _states(a, h0, u), u


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for T, B, H in ((3, 2, 2), (4, 1, 3), (1, 2, 2), (2, 3, 1), (18, 2, 3), (2, 17, 18)):
        yield _inputs(rng, T, B, H)


def gradients(answer: Answer, rng: np.random.Generator) -> Iterator[Gradient]:
    a, h0, u, grad = (
        rng.standard_normal(shape) for shape in ((3, 2, 2), (2, 2), (2, 2), (3, 2, 2))
    )
    da, dh, du = answer(grad, _states(a, h0, u), u)
    yield "da", da, lambda a: float((grad * _states(a, h0, u)[1:]).sum()), a
    yield "dh_0", dh, lambda h0: float((grad * _states(a, h0, u)[1:]).sum()), h0
    yield "du", du, lambda u: float((grad * _states(a, h0, u)[1:]).sum()), u


def past_only(answer: Answer, rng: np.random.Generator) -> str | None:
    """A gradient that arrives at step 2 does not reach step 3: a step moves only later ones."""
    grad, h, u = _inputs(rng, 4, 2, 3)
    grad[2:] = 0
    da = answer(grad, h, u)[0]
    return None if np.abs(da[2:]).max() == 0 else "In yours it does."


def _library(grad, h, u):
    a = np.arctanh(h[1:]) - h[:-1] @ u

    def network(a, h0, u):
        states, state = [], h0
        for t in range(len(grad)):
            state = tanh(a[t] + state @ u)
            states.append(state)
        return stack(states)

    return by_tinyattn(network, [a, h[0], u], grad)


EXERCISE = Exercise(
    ask=backward_through_time,
    solution=solution,
    returns=["da", "dh_0", "du"],
    hand=(
        np.array([[[1.0]], [[2.0]]]), np.array([[[0.4]], [[0.5]], [[-0.6]]]), np.array([[0.5]]),
    ),
    cases=cases,
    wrong=[
        last_step, final_step, detached, only_from_the_end, new_state, no_slope, not_transposed,
        slope_of_the_step_before, forwards, mean_over_steps, no_first_state, past_the_slope,
        tanh_twice, order_of_the_loop, du_transposed,
    ],
    gradients=gradients,
    properties=[past_only],
    extremes={
        "states at the ends of tanh": (
            np.ones((2, 1, 2)), np.array([[[0.5, -0.5]], [[1.0, -1]], [[-1.0, 1]]]), np.eye(2),
        ),
        "a batch without rows": (np.zeros((2, 0, 3)), np.zeros((3, 0, 3)), np.eye(3)),
    },
    hints=(
        "Keep one array dh, the gradient that comes from the step after. It starts with 0. The "
        "loop runs from the last step to the first.",
        "At step t: add the gradient from outside to dh, and multiply by the slope 1 - h_t^2. "
        "That is da_t.",
        "Then du += h_{t-1}.T @ da_t, and dh = da_t @ u.T for the step before. What is left in the "
        "end is dh_0.",
    ),
    library=_library,
)  # fmt: skip
