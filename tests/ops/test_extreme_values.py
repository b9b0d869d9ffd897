"""Every operation at the ends of the numbers and of the shapes, in both types and all backends: the
value and the gradient of the mathematics and that PyTorch gives, and no warning.

A table maps a name to a call that both libraries understand, `t` being either; look at CALLS first.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from scipy.special import erf, erfc

import tinyattn as ta

inf, nan = np.inf, np.nan


def ends(dtype: Any) -> np.ndarray:
    """Zeros, denormals, the largest and smallest, infinities, NaN, and what overflows exp."""
    info = np.finfo(dtype)
    least, tiny, largest = info.smallest_subnormal, info.tiny, info.max
    numbers = [0.0, least, tiny, 0.5, 1.0, 88.0, 1e4, largest, inf]
    return np.array([*numbers, *(-np.array(numbers, dtype)), nan], dtype)


def rows(dtype: Any) -> np.ndarray:
    """Rows of one kind each."""
    r = np.random.default_rng(0)
    kinds = [
        r.choice([-1e4, 0.0, 1e4], 6),
        1e4 * r.normal(size=6),
        np.full(6, 1e4),
        np.full(6, -1e4),
        np.zeros(6),
        [-inf, 0.0, 1.0, -inf, 2.0, -inf],
        [-inf] * 5 + [3.0],
        np.full(6, np.finfo(dtype).smallest_subnormal),
        np.full(6, np.finfo(dtype).tiny),
    ]
    return np.array(kinds, dtype)


UNARY = [
    "abs",
    "exp",
    "expm1",
    "log",
    "log1p",
    "sqrt",
    "rsqrt",
    "sin",
    "cos",
    "tanh",
    "sigmoid",
    "erf",
    "sign",
    "neg",
    "reciprocal",
    "square",
    "isnan",
    "isinf",
    "isfinite",
]
ACTIVATIONS = ["relu", "gelu", "silu", "softplus", "leaky_relu", "elu", "softsign", "logsigmoid"]
BINARY = ["add", "sub", "mul", "div", "maximum", "minimum", "eq", "ne", "lt", "le", "gt", "ge"]
POINTWISE = [
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "binary_cross_entropy_with_logits",
]
REDUCTIONS: dict[str, Callable[..., Any]] = {
    name: lambda t, x, f=name: getattr(t, f)(x, -1)
    for name in [
        "sum",
        "mean",
        "var",
        "std",
        "prod",
        "cumsum",
        "logsumexp",
        "softmax",
        "log_softmax",
        "amax",
        "amin",
    ]
} | {"norm": lambda t, x: t.norm(x, dim=-1)}

Case = tuple[Callable[..., Any], Callable[[Any], list[np.ndarray]]]
CALLS: dict[str, Case] = {}
for name in UNARY:
    CALLS[name] = (lambda t, x, f=name: getattr(t, f)(x)), lambda dtype: [ends(dtype)]
for name in ACTIVATIONS:
    CALLS[name] = (
        lambda t, x, f=name: getattr(t.nn.functional, f)(x),
        lambda dtype: [ends(dtype)],
    )
for name in BINARY:
    CALLS[name] = (
        lambda t, x, y, f=name: getattr(t, f)(x, y),
        lambda dtype: [ends(dtype)[:, None], ends(dtype)[None]],
    )
for name in POINTWISE:
    CALLS[name] = (
        lambda t, x, y, f=name: getattr(t.nn.functional, f)(x, y, reduction="none"),
        lambda dtype: [np.array([0, 1e4, -1e4, 1e-40, 3, -3], dtype), np.ones(6, dtype)],
    )
for name, call in REDUCTIONS.items():
    CALLS[f"{name} of rows"] = call, lambda dtype: [rows(dtype)]
    CALLS[f"{name} of one"] = call, lambda dtype: [rows(dtype)[:, :1]]
    if name not in ("amax", "amin"):
        CALLS[f"{name} of nothing"] = call, lambda dtype: [np.zeros((3, 0), dtype)]
    CALLS[f"{name} of no rows"] = call, lambda dtype: [np.zeros((0, 3), dtype)]

CALLS["norm of one"] = REDUCTIONS["norm"], lambda dtype: [rows(dtype)[:7, :1]]  # squares underflow


def _target(t: Any) -> Any:
    return t.tensor([0, 1, 2, 3, 4, 5, 5, 1, -100])


CALLS["cross_entropy"] = (
    lambda t, x: t.nn.functional.cross_entropy(x, _target(t), reduction="none"),
    lambda dtype: [rows(dtype)],
)
CALLS["cross_entropy of one class"] = (
    lambda t, x: t.nn.functional.cross_entropy(x, t.tensor([0] * 9)),
    lambda dtype: [np.full((9, 1), 1e4, dtype)],
)
CALLS["layer_norm"] = (
    lambda t, x: t.nn.functional.layer_norm(x, (6,)),
    lambda dtype: [rows(dtype)[[0, 1, 2, 3, 4, 7, 8]]],
)
CALLS["layer_norm of one"] = (
    lambda t, x: t.nn.functional.layer_norm(x, (1,)),
    lambda dtype: [rows(dtype)[:5, :1]],
)
CALLS["layer_norm of no rows"] = (
    lambda t, x: t.nn.functional.layer_norm(x, (3,)),
    lambda dtype: [np.zeros((0, 3), dtype)],
)
CALLS["matmul"] = (
    lambda t, a, b: t.matmul(a, b),
    lambda dtype: [np.array([[1e4, -1e4], [inf, 1], [0, 1e-40]], dtype), np.eye(2, dtype=dtype)],
)
for M, K, P in [(0, 3, 2), (3, 0, 2), (3, 2, 0), (1, 1, 1)]:
    CALLS[f"matmul {M}x{K}x{P}"] = (
        lambda t, a, b: t.matmul(a, b),
        lambda dtype, M=M, K=K, P=P: [np.full((M, K), 1e4, dtype), np.full((K, P), -2, dtype)],
    )


def _attention(t: Any, q: Any, k: Any, v: Any, **options: Any) -> Any:
    return t.nn.functional.scaled_dot_product_attention(q, k, v, **options)


def _heads(Tq: int, Tk: int, scale: float = 1.0) -> Callable[[Any], list[np.ndarray]]:
    r = np.random.default_rng(1)
    q, k, v = (r.normal(size=(1, 2, T, 4)) for T in (Tq, Tk, Tk))
    return lambda dtype: [(scale * q).astype(dtype), k.astype(dtype), v.astype(dtype)]


CALLS["attention of one"] = _attention, _heads(1, 1)
CALLS["attention saturated"] = _attention, _heads(3, 5, 1e4)
CALLS["attention of one key"] = _attention, _heads(3, 1)
CALLS["attention masked in part by -inf"] = (
    lambda t, q, k, v: _attention(
        t, q, k, v, attn_mask=t.tensor([[0, -inf, 0], [-inf, -inf, 1]], dtype=q.dtype)
    ),
    _heads(2, 3),
)
for cell in ("GRU", "LSTM"):
    for T, B in [(1, 1), (1, 3), (3, 1)]:

        def recurrent(t: Any, x: Any, h: Any, w: Any, u: Any, cell: str = cell) -> Any:
            double = str(x.dtype).endswith("float64")
            layer = getattr(t.nn, cell)(2, 3)
            layer = layer.double() if double else layer
            layer.load_state_dict(
                dict(
                    zip(
                        ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"],
                        [w.detach(), u.detach(), u.detach()[:, 0], u.detach()[:, 1]],
                        strict=True,
                    )
                )
            )
            return layer(x, h if cell == "GRU" else (h, h))[0]

        def inputs(dtype: Any, T: int = T, B: int = B, n: int = 3 if cell == "GRU" else 4) -> Any:
            r = np.random.default_rng(2)
            x = r.choice([1e4, -1e4, 0.0, 1e-40], (T, B, 2))
            h = np.tanh(r.normal(size=(1, B, 3)))
            weights = r.normal(size=(3 * n, 2)), r.normal(size=(3 * n, 3))
            return [a.astype(dtype) for a in (x, h, *weights)]

        CALLS[f"{cell} T{T} B{B}"] = recurrent, inputs


# Where squares underflow in PyTorch, whose norm then is 0. MEANT has the right values.
UNDERFLOW = {"norm of rows"}
# Where PyTorch has NaN, or float32's infinity too early, and the mathematics a limit; NaN aside.
LIMITS = {"gelu", "elu", "softsign", "logsumexp of one"}


@pytest.fixture(autouse=True)
def _nothing_warns() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*degrees of freedom")  # of one element, as torch's
        yield


def both(t: Any, call: Callable[..., Any], arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The result and the gradients of its sum."""
    inputs = [t.tensor(x, requires_grad=True) for x in arrays]
    out = call(t, *inputs)
    if not out.requires_grad:
        return [np.asarray(out.numpy())]
    out.sum().backward()
    grads = [x.grad.numpy() for x in inputs if x.grad is not None]
    return [out.detach().numpy(), *grads]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [name for name in CALLS if name not in UNDERFLOW])
def test_as_torch_has_it(backend: str, torch: Any, name: str, dtype: Any) -> None:
    call, inputs = CALLS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own
        want = both(torch, call, inputs(dtype))
    got = both(ta, call, inputs(dtype))
    eps = np.finfo(dtype).eps
    for i, (g, w) in enumerate(zip(got, want, strict=False)):
        assert g.dtype == w.dtype
        # What cancels, in a gradient as a rule, leaves roundings of terms as large as the inputs.
        terms = 1e5 if "saturated" in name else 10 if i or "softmax" in name else 0
        where: Any = np.s_[...]
        if name in LIMITS:
            where = np.isfinite(w) & ~np.isnan(inputs(dtype)[0].reshape(w.shape))
        np.testing.assert_allclose(
            g[where], w[where], rtol=200 * eps, atol=terms * eps + 2 * np.finfo(dtype).tiny
        )


# What is meant, evaluated in extended precision: value and derivative, of a row where there is one.
# NaN in the table says nothing: infinity times zero, where there is a limit.


def _gaussian(x: Any) -> Any:
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _logsumexp(x: Any) -> Any:
    top = x.max(axis=-1)
    return top + np.log(np.exp(x - top[..., None]).sum(axis=-1))


def _erf(x: Any) -> Any:
    return erf(x.astype(float)).astype(x.dtype)


def _phi(x: Any) -> Any:
    return erfc(-x.astype(float) / np.sqrt(2)).astype(x.dtype) / 2


def _shares(x: Any, best: Any) -> Any:
    return (x == best) / (x == best).sum(axis=-1, keepdims=True)


def _direction(x: Any) -> Any:
    """x / |x|; unknown for the smallest numbers, where |x| is rounded to a multiple of them."""
    least = [np.finfo(dtype).smallest_subnormal for dtype in (np.float32, np.float64)]
    return np.where(np.isin(x, least), nan, x / np.sqrt((x * x).sum(axis=-1, keepdims=True)))


Meant = Callable[[Any], Any]
MEANT: dict[str, tuple[Meant, Meant]] = {
    "abs": (np.abs, np.sign),
    "exp": (np.exp, np.exp),
    "expm1": (np.expm1, np.exp),
    "log": (np.log, lambda x: 1 / x),
    "log1p": (np.log1p, lambda x: 1 / (1 + x)),
    "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "rsqrt": (lambda x: 1 / np.sqrt(x), lambda x: -0.5 / np.sqrt(x) ** 3),
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda x: -np.sin(x)),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "sigmoid": (_sigmoid, lambda x: _sigmoid(x) * _sigmoid(-x)),
    "erf": (_erf, lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x)),
    "sign": (lambda x: np.sign(np.where(np.isnan(x), 0, x)), np.zeros_like),  # as in PyTorch
    "neg": (np.negative, lambda x: -np.ones_like(x)),
    "reciprocal": (lambda x: 1 / x, lambda x: -1 / (x * x)),
    "square": (np.square, lambda x: 2 * x),
    "relu": (lambda x: np.maximum(x, 0), lambda x: ~(x <= 0)),
    "gelu": (lambda x: x * _phi(x), lambda x: _phi(x) + x * _gaussian(x)),
    "silu": (lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) * (1 + x * _sigmoid(-x))),
    "softplus": (lambda x: np.logaddexp(x, 0), _sigmoid),
    "leaky_relu": (lambda x: np.where(x > 0, x, x / 100), lambda x: np.where(x > 0, 1, 0.01)),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(x)), lambda x: np.where(x > 0, 1, np.exp(x))),
    "softsign": (lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2),
    "logsigmoid": (lambda x: -np.logaddexp(-x, 0), lambda x: _sigmoid(-x)),
    "sum of rows": (lambda x: x.sum(axis=-1), np.ones_like),
    "mean of rows": (lambda x: x.mean(axis=-1), lambda x: np.ones_like(x) / x.shape[-1]),
    "norm of rows": (lambda x: np.sqrt((x * x).sum(axis=-1)), _direction),
    "cumsum of rows": (
        lambda x: x.cumsum(axis=-1),
        lambda x: np.broadcast_to(np.arange(x.shape[-1], 0, -1), x.shape),
    ),
    "logsumexp of rows": (_logsumexp, _softmax),
    "softmax of rows": (_softmax, np.zeros_like),
    "log_softmax of rows": (
        lambda x: x - _logsumexp(x)[:, None],
        lambda x: 1 - x.shape[-1] * _softmax(x),
    ),
    "amax of rows": (lambda x: x.max(axis=-1), lambda x: _shares(x, x.max(-1, keepdims=True))),
    "amin of rows": (lambda x: x.min(axis=-1), lambda x: _shares(x, x.min(-1, keepdims=True))),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", MEANT)
def test_as_the_mathematics_has_it(backend: str, name: str, dtype: Any) -> None:
    call, inputs = CALLS[name]
    (x,) = inputs(dtype)
    with np.errstate(all="ignore"):
        wide = x.astype(np.longdouble)
        want = [np.asarray(meant(wide)).astype(dtype) for meant in MEANT[name]]
    eps, tiny = np.finfo(dtype).eps, np.finfo(dtype).tiny
    for i, (g, w) in enumerate(zip(both(ta, call, [x]), want, strict=False)):
        known = ~np.isnan(w)
        # logsumexp's gradient is e^(x - y), and y is rounded.
        terms = 1e4 if name == "logsumexp of rows" else 10
        atol = terms * eps * i + 3 * tiny
        np.testing.assert_allclose(g[known], w[known], rtol=200 * eps, atol=atol)
        if not i and name not in LIMITS:
            np.testing.assert_array_equal(np.isnan(g), np.isnan(w))


# Where there is no number: the mean of nothing, the spread of one,
NONE = {"mean of nothing", *(f"{f} of {n}" for f in ("var", "std") for n in ("one", "nothing"))}
NONE |= {"log", "log1p", "sqrt", "rsqrt", "div"}  # of negative numbers, and 0 / 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [name for name in CALLS if name not in NONE])
def test_finite_inputs_force_no_nan(backend: str, name: str, dtype: Any) -> None:
    """Nor does anything warn; and weights, gates and means stay between the ends they mix."""
    call, inputs = CALLS[name]
    finite = [np.where(np.isfinite(x), x, dtype(1)) for x in inputs(dtype)]
    out, *grads = both(ta, call, finite)
    for result in (out, *grads):
        assert not np.isnan(result).any()
    if name.startswith("softmax"):
        np.testing.assert_allclose(out.sum(axis=-1), 1.0 if out.shape[-1] else 0.0, rtol=1e-6)
    if name.startswith("attention"):
        low, high = (f(finite[2], axis=-2, keepdims=True) for f in (np.min, np.max))
        assert ((low - 1e-6 <= out) & (out <= high + 1e-6)).all()
    if name.startswith(("GRU", "LSTM")):
        assert (np.abs(out) <= 1).all()


def test_rows_fully_masked_attend_nothing(backend: str) -> None:
    """Zeros and zero gradients, where PyTorch's masked softmax has NaN."""
    q, k, v = (ta.tensor(x, requires_grad=True) for x in _heads(2, 3)(np.float32))
    mask = ta.tensor([[False] * 3, [True, False, True]])
    out = ta.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    out.sum().backward()
    assert not out.detach().numpy()[:, :, 0].any()
    assert not q.grad.numpy()[:, :, 0].any()
    assert all(np.isfinite(x.grad.numpy()).all() for x in (q, k, v))
