"""The derivative by central differences, and how far off it is. The mistakes are differences to one
side, and a step that is too small."""

from collections.abc import Callable, Iterator

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Inputs


def derivative(f: Callable[[float], float], x: float, h: float) -> tuple[float, float]:
    """The derivative of f at x, measured, and an estimate of its error.

    f: a smooth function of one number.
    h: a step. The central difference with the step h is  C(h) = (f(x + h) - f(x - h)) / (2 h).

    Returns (value, error):
    value: the central difference with half the step, C(h/2).
    error: how far C(h/2) and C(h) are apart, as a number >= 0.

    An example: f(x) = x^3 at x = 1 with h = 0.2. Then C(0.2) = (1.2^3 - 0.8^3) / 0.4 = 3.04 and
    C(0.1) = (1.1^3 - 0.9^3) / 0.2 = 3.01. The true derivative is 3.
    """
    raise NotImplementedError("derivative is not written yet")


def solution(f, x, h):
    coarse = (f(x + h) - f(x - h)) / (2 * h)
    fine = (f(x + h / 2) - f(x - h / 2)) / h
    return fine, abs(fine - coarse)


def _estimate(difference: Callable[[float], float], h: float) -> tuple[float, float]:
    return difference(h / 2), abs(difference(h / 2) - difference(h))


def one_sided(f, x, h):
    """Yours is (f(x + h) - f(x)) / h, a difference to one side. Its error falls like h. That of the
    central difference falls like h^2, because the terms with h cancel."""
    return _estimate(lambda s: (f(x + s) - f(x)) / s, h)


def other_side(f, x, h):
    """Yours is (f(x) - f(x - h)) / h, a difference to one side. Its error falls like h. That of the
    central difference falls like h^2, because the terms with h cancel."""
    return _estimate(lambda s: (f(x) - f(x - s)) / s, h)


def divided_by_h(f, x, h):
    """You divide f(x + h) - f(x - h) by h. The two points are 2 h apart."""
    return _estimate(lambda s: (f(x + s) - f(x - s)) / s, h)


def coarse_value(f, x, h):
    """Your value is C(h). C(h/2) is nearer to the derivative, and it was asked for."""
    return (f(x + h) - f(x - h)) / (2 * h), solution(f, x, h)[1]


def signed_error(f, x, h):
    """Your error can be negative. Take its absolute value: abs(...)."""
    coarse, fine = (f(x + h) - f(x - h)) / (2 * h), (f(x + h / 2) - f(x - h / 2)) / h
    return fine, fine - coarse


def other_signed_error(f, x, h):
    """Your error can be negative. Take its absolute value: abs(...)  (you have C(h) - C(h/2))."""
    coarse, fine = (f(x + h) - f(x - h)) / (2 * h), (f(x + h / 2) - f(x - h / 2)) / h
    return fine, coarse - fine


def no_error(f, x, h):
    """Your error is always 0. A measured number without its error says little: compare C(h/2) with
    C(h)."""
    return solution(f, x, h)[0], 0.0


def tiny_step(f, x, h):
    """You use a step of your own, near 1e-12, in place of h. With a step so small, f(x + h) and
    f(x - h) agree in nearly all digits, and rounding is most of what is left."""
    return _estimate(lambda s: (f(x + s) - f(x - s)) / (2 * s), 1e-12)


def half_distance(f, x, h):
    """You halve the step, but you still divide by 2 h. The points x + h/2 and x - h/2 are h
    apart."""
    coarse, fine = (f(x + h) - f(x - h)) / (2 * h), (f(x + h / 2) - f(x - h / 2)) / (2 * h)
    return fine, abs(fine - coarse)


def double_step(f, x, h):
    """You compare the steps h and 2 h. The steps here are h/2 and h."""
    return solution(f, x, 2 * h)


def cube(x: float) -> float:
    """x^3"""
    return x**3


def exponential(x: float) -> float:
    """e^x"""
    return float(np.exp(x))


def waves(x: float) -> float:
    """sin(3 x) + x^2"""
    return float(np.sin(3 * x) + x * x)


def fraction(x: float) -> float:
    """1 / (1 + x^2)"""
    return 1 / (1 + x * x)


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for f in (cube, exponential, waves, fraction):
        for h in (0.5, 0.25, 0.1):
            yield f, float(rng.uniform(0.2, 2)), h


def falls_like_a_square(answer: Answer, rng: np.random.Generator) -> str | None:
    """Half the step h gives a quarter of the error."""
    x = float(rng.uniform(0.5, 1))
    true = np.exp(x)
    errors = [abs(answer(exponential, x, h)[0] - true) for h in (0.2, 0.1)]
    ratio = errors[0] / max(errors[1], 1e-300)
    return None if 3.8 < ratio < 4.2 else f"It gives 1/{ratio:.3g} of it."


def is_honest(answer: Answer, rng: np.random.Generator) -> str | None:
    """The true error is smaller than the estimate."""
    x = float(rng.uniform(0.5, 1))
    value, error = answer(exponential, x, 0.1)
    off = abs(value - np.exp(x))
    return None if off <= error else f"The estimate is {error:.3g}, the true error {off:.3g}."


def line(x: float) -> float:
    """3 x - 1"""
    return 3 * x - 1


def constant(x: float) -> float:
    """5"""
    return 5.0


EXERCISE = Exercise(
    ask=derivative,
    solution=solution,
    returns=["value", "error"],
    hand=(cube, 1.0, 0.2),
    cases=cases,
    wrong=[
        one_sided, other_side, divided_by_h, coarse_value, signed_error, other_signed_error,
        no_error, tiny_step, half_distance, double_step,
    ],
    properties=[falls_like_a_square, is_honest],
    extremes={
        "a straight line, where C(h) has no error": (line, 2.0, 0.5),
        "a constant function": (constant, -1.0, 0.5),
    },
    hints=(
        "Compute C(h) first: f at one point to the right, f at one point to the left, and the "
        "distance between the two points.",
        "C(h/2) is the same formula with the step h/2. Its two points are h apart.",
        "Return two numbers: C(h/2), and the absolute value of C(h/2) - C(h).",
    ),
)  # fmt: skip
