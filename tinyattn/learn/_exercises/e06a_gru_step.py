"""One step of a gated recurrent unit. Its mistakes are exchanges: of the gates, of z and 1 - z, of
what r multiplies."""

from collections.abc import Iterator

import numpy as np

from tinyattn.learn.exercise import Answer, Exercise, Inputs
from tinyattn.nn import GRUCell
from tinyattn.ops.creation import tensor


def gru_step(
    x: np.ndarray,
    h: np.ndarray,
    w_ih: np.ndarray,
    w_hh: np.ndarray,
    b_ih: np.ndarray,
    b_hh: np.ndarray,
) -> np.ndarray:
    """One step of a GRU (Cho et al. 2014, arXiv:1406.1078, in the form of PyTorch).

    x: shape (B, D), the input of this step.
    h: shape (B, H), the state before it.
    w_ih: shape (3H, D).  w_hh: shape (3H, H).  b_ih, b_hh: shape (3H,).
    Returns the next state, shape (B, H).

    The rows of the weights belong to three parts, in this order: r, z, n. With
    s(a) = 1 / (1 + exp(-a)):

        r  = s(W_ir x + b_ir + W_hr h + b_hr)          the reset gate
        z  = s(W_iz x + b_iz + W_hz h + b_hz)          the update gate
        n  = tanh(W_in x + b_in + r (W_hn h + b_hn))   the candidate
        h' = (1 - z) n + z h

    x is a row, so W x is x @ W.T here.
    """
    raise NotImplementedError("gru_step is not written yet")


def _sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def _parts(x, h, w_ih, w_hh, b_ih, b_hh):
    """The sums of the two sides, each split into r, z, n."""
    return np.split(x @ w_ih.T + b_ih, 3, axis=-1), np.split(h @ w_hh.T + b_hh, 3, axis=-1)


def solution(x, h, w_ih, w_hh, b_ih, b_hh):
    gx = x @ w_ih.T + b_ih
    gh = h @ w_hh.T + b_hh
    H = h.shape[-1]
    r = 1 / (1 + np.exp(-(gx[:, :H] + gh[:, :H])))
    z = 1 / (1 + np.exp(-(gx[:, H : 2 * H] + gh[:, H : 2 * H])))
    n = np.tanh(gx[:, 2 * H :] + r * gh[:, 2 * H :])
    return (1 - z) * n + z * h


def gates_exchanged(x, h, w_ih, w_hh, b_ih, b_hh):
    """You exchanged z and 1 - z. Here z says how much of the old state stays: h' = (1 - z) n + z h.
    (Cho et al. 2014 and PyTorch have it so; some texts have it the other way round.)"""
    (xr, xz, xn), (hr, hz, hn) = _parts(x, h, w_ih, w_hh, b_ih, b_hh)
    z, n = _sigmoid(xz + hz), np.tanh(xn + _sigmoid(xr + hr) * hn)
    return z * n + (1 - z) * h


def reset_before_product(x, h, w_ih, w_hh, b_ih, b_hh):
    """You multiply h by r before the product with W_hn. (The paper of Cho et al. does that.) Here,
    as in PyTorch, r multiplies the result of the product, its bias included: r (W_hn h + b_hn)."""
    H = h.shape[-1]
    (xr, xz, xn), (hr, hz, _) = _parts(x, h, w_ih, w_hh, b_ih, b_hh)
    r, z = _sigmoid(xr + hr), _sigmoid(xz + hz)
    n = np.tanh(xn + (r * h) @ w_hh[2 * H :].T + b_hh[2 * H :])
    return (1 - z) * n + z * h


def reset_without_bias(x, h, w_ih, w_hh, b_ih, b_hh):
    """You add b_hn outside of r. The reset gate multiplies the bias, too: r (W_hn h + b_hn)."""
    H = h.shape[-1]
    (xr, xz, xn), (hr, hz, hn) = _parts(x, h, w_ih, w_hh, b_ih, b_hh)
    r, z, b = _sigmoid(xr + hr), _sigmoid(xz + hz), b_hh[2 * H :]
    return (1 - z) * np.tanh(xn + r * (hn - b) + b) + z * h


def update_first(x, h, w_ih, w_hh, b_ih, b_hh):
    """You took the rows of the weights in the order z, r, n. The order is r, z, n."""
    (xz, xr, xn), (hz, hr, hn) = _parts(x, h, w_ih, w_hh, b_ih, b_hh)
    r, z = _sigmoid(xr + hr), _sigmoid(xz + hz)
    return (1 - z) * np.tanh(xn + r * hn) + z * h


def no_reset(x, h, w_ih, w_hh, b_ih, b_hh):
    """The reset gate has no effect in yours: the candidate is tanh(W_in x + b_in + r (W_hn h +
    b_hn)), with the factor r."""
    (_, xz, xn), (_, hz, hn) = _parts(x, h, w_ih, w_hh, b_ih, b_hh)
    z = _sigmoid(xz + hz)
    return (1 - z) * np.tanh(xn + hn) + z * h


def reset_of_all(x, h, w_ih, w_hh, b_ih, b_hh):
    """r multiplies the whole sum in your candidate, the part of x too. It multiplies only the part
    of the old state, W_hn h + b_hn."""
    (xr, xz, xn), (hr, hz, hn) = _parts(x, h, w_ih, w_hh, b_ih, b_hh)
    r, z = _sigmoid(xr + hr), _sigmoid(xz + hz)
    return (1 - z) * np.tanh(r * (xn + hn)) + z * h


def sigmoid_candidate(x, h, w_ih, w_hh, b_ih, b_hh):
    """Your candidate n is a sigmoid. It is a tanh: a state may be negative."""
    (xr, xz, xn), (hr, hz, hn) = _parts(x, h, w_ih, w_hh, b_ih, b_hh)
    r, z = _sigmoid(xr + hr), _sigmoid(xz + hz)
    return (1 - z) * _sigmoid(xn + r * hn) + z * h


def no_old_state(x, h, w_ih, w_hh, b_ih, b_hh):
    """The term z h is missing: without it, nothing of the old state stays."""
    (xr, xz, xn), (hr, hz, hn) = _parts(x, h, w_ih, w_hh, b_ih, b_hh)
    r, z = _sigmoid(xr + hr), _sigmoid(xz + hz)
    return (1 - z) * np.tanh(xn + r * hn)


def no_hidden_bias(x, h, w_ih, w_hh, b_ih, b_hh):
    """b_hh is missing. PyTorch has two biases, and n needs both: b_hn stands inside of r."""
    return solution(x, h, w_ih, w_hh, b_ih, 0 * b_hh)


def linear_candidate(x, h, w_ih, w_hh, b_ih, b_hh):
    """The tanh around the candidate n is missing."""
    (xr, xz, xn), (hr, hz, hn) = _parts(x, h, w_ih, w_hh, b_ih, b_hh)
    r, z = _sigmoid(xr + hr), _sigmoid(xz + hz)
    return (1 - z) * (xn + r * hn) + z * h


def tanh_gates(x, h, w_ih, w_hh, b_ih, b_hh):
    """Your gates r and z are tanhs. They are sigmoids: a gate lies between 0 and 1."""
    (xr, xz, xn), (hr, hz, hn) = _parts(x, h, w_ih, w_hh, b_ih, b_hh)
    r, z = np.tanh(xr + hr), np.tanh(xz + hz)
    return (1 - z) * np.tanh(xn + r * hn) + z * h


def sigmoid_sign(x, h, w_ih, w_hh, b_ih, b_hh):
    """The sign in your sigmoid is wrong: it is 1 / (1 + exp(-a)), which grows with a."""
    (xr, xz, xn), (hr, hz, hn) = _parts(x, h, w_ih, w_hh, b_ih, b_hh)
    r, z = _sigmoid(-xr - hr), _sigmoid(-xz - hz)
    return (1 - z) * np.tanh(xn + r * hn) + z * h


def no_input_bias(x, h, w_ih, w_hh, b_ih, b_hh):
    """b_ih is missing. PyTorch has two biases: b_ih belongs to x, b_hh to h."""
    return solution(x, h, w_ih, w_hh, 0 * b_ih, b_hh)


def no_bias(x, h, w_ih, w_hh, b_ih, b_hh):
    """Both biases are missing: b_ih belongs to x, b_hh to h."""
    return solution(x, h, w_ih, w_hh, 0 * b_ih, 0 * b_hh)


def state_for_product(x, h, w_ih, w_hh, b_ih, b_hh):
    """In your candidate r multiplies h itself. It multiplies W_hn h + b_hn."""
    (xr, xz, xn), (hr, hz, _) = _parts(x, h, w_ih, w_hh, b_ih, b_hh)
    r, z = _sigmoid(xr + hr), _sigmoid(xz + hz)
    return (1 - z) * np.tanh(xn + r * h) + z * h


def only_the_candidate(x, h, w_ih, w_hh, b_ih, b_hh):
    """You return the candidate n. The last line is missing: h' = (1 - z) n + z h."""
    (xr, _, xn), (hr, _, hn) = _parts(x, h, w_ih, w_hh, b_ih, b_hh)
    return np.tanh(xn + _sigmoid(xr + hr) * hn)


def sigmoid_overflows(x, h, w_ih, w_hh, b_ih, b_hh):
    """Your sigmoid gives NaN for large numbers: exp(a) / (1 + exp(a)) becomes infinity divided by
    infinity. Write 1 / (1 + exp(-a)), which becomes 1 / 1 there, and 1 / infinity = 0 for very
    small a."""

    def sigmoid(a):
        return np.exp(a) / (1 + np.exp(a))

    (xr, xz, xn), (hr, hz, hn) = _parts(x, h, w_ih, w_hh, b_ih, b_hh)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    return (1 - z) * np.tanh(xn + r * hn) + z * h


def inputs(rng: np.random.Generator, B: int, D: int, H: int) -> Inputs:
    shapes = (B, D), (B, H), (3 * H, D), (3 * H, H), (3 * H,), (3 * H,)
    return tuple(rng.standard_normal(shape) for shape in shapes)


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for B, D, H in ((2, 3, 4), (1, 2, 1), (3, 4, 4), (4, 1, 2), (17, 18, 2), (2, 3, 17)):
        yield inputs(rng, B, D, H)


def stays(answer: Answer, rng: np.random.Generator) -> str | None:
    """With a very large b_iz the update gate is 1, and the state stays."""
    x, h, w_ih, w_hh, b_ih, b_hh = inputs(rng, 2, 3, 4)
    b_ih[4:8] = 1000
    off = np.abs(answer(x, h, w_ih, w_hh, b_ih, b_hh) - h).max()
    return f"Yours moves the state by {off:.3g}." if off > 1e-4 else None


def rows_are_apart(answer: Answer, rng: np.random.Generator) -> str | None:
    """A row alone gives the same as in a batch."""
    x, h, *rest = inputs(rng, 3, 2, 4)
    alone = answer(x[1:2], h[1:2], *rest)
    return None if np.allclose(alone[0], answer(x, h, *rest)[1], atol=1e-4) else "It does not."


def _library(x, h, w_ih, w_hh, b_ih, b_hh):
    cell = GRUCell(x.shape[1], h.shape[1], dtype=np.float64)
    names = "weight_ih", "weight_hh", "bias_ih", "bias_hh"
    cell.load_state_dict(dict(zip(names, map(tensor, (w_ih, w_hh, b_ih, b_hh)), strict=True)))
    return cell(tensor(x), tensor(h)).detach().numpy()


EXERCISE = Exercise(
    ask=gru_step,
    solution=solution,
    returns=["h'"],
    hand=(
        np.array([[1.0]]),
        np.array([[0.5]]),
        np.array([[1.0], [-1.0], [2.0]]),
        np.array([[0.5], [1.0], [-2.0]]),
        np.array([0.0, 0.5, 0.0]),
        np.array([0.0, 0.0, 0.5]),
    ),
    cases=cases,
    wrong=[
        gates_exchanged, reset_before_product, reset_without_bias, update_first, no_reset,
        reset_of_all, sigmoid_candidate, no_old_state, no_hidden_bias, linear_candidate, tanh_gates,
        sigmoid_sign, no_input_bias, no_bias, state_for_product, only_the_candidate,
        sigmoid_overflows,
    ],
    properties=[stays, rows_are_apart],
    extremes={
        "a batch without rows": inputs(np.random.default_rng(0), 0, 2, 3),
        "inputs of 1000": tuple(1000 * a for a in inputs(np.random.default_rng(0), 2, 2, 3)),
    },
    hints=(
        "Compute two arrays of shape (B, 3H): gx = x @ w_ih.T + b_ih and gh = h @ w_hh.T + b_hh.",
        "Split both into three parts of H columns: np.split(gx, 3, axis=-1) gives those of r, z "
        "and n. r and z are sigmoids of the sum of both parts.",
        "The candidate is np.tanh(gx_n + r * gh_n): only the part of gh is multiplied by r. Then "
        "mix n and h with z, where z is the share of h.",
    ),
    library=_library,
)  # fmt: skip
