"""Whatever the public functions are given, they answer with a right result or an error of Python's:
never a crash, a hang, or memory that was not asked for. For kernels: tests/kernels/test_hostile.py.

A test takes a call from CALLS, spoils one argument and looks at what comes back.
"""

import itertools
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tests.kernels.test_hostile import ERRORS, HOSTILE, NUMBERS, SAME_KIND
from tinyattn.kernels import available_backends, use_backend

F = ta.nn.functional
rnn = ta.nn.utils.rnn
r = np.random.default_rng(0)
x = r.normal(size=(3, 5)).astype(np.float32)
square = r.normal(size=(5, 5)).astype(np.float32)
heads = r.normal(size=(1, 2, 3, 5)).astype(np.float32)
mask = r.random((3, 5)) < 0.5
classes = np.array([1, 0, 4])

CALLS: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "add": (ta.add, [x, x]),
    "exp": (ta.exp, [x]),
    "sum": (ta.sum, [x, 1]),
    "amax": (ta.amax, [x, 0]),
    "cumsum": (ta.cumsum, [x, 1]),
    "sort": (lambda x, dim: ta.sort(x, dim)[0], [x, 1]),
    "topk": (lambda x, k: ta.topk(x, k)[0], [x, 2]),
    "softmax": (ta.softmax, [x, 1]),
    "log_softmax": (ta.log_softmax, [x, 0]),
    "transpose": (ta.transpose, [x, 0, 1]),
    "narrow": (ta.narrow, [x, 1, 2, 2]),
    "select": (ta.select, [x, 0, 1]),
    "roll": (ta.roll, [x, 1, 0]),
    "flip": (ta.flip, [x, 0]),
    "tril": (ta.tril, [x, 0]),
    "chunk": (lambda x, n: ta.chunk(x, n)[0], [x, 2]),
    "getitem": (lambda x, i: x[i], [x, classes[:2]]),
    "index_select": (ta.index_select, [x, 1, classes]),
    "gather": (ta.gather, [x, 1, classes[:, None]]),
    "where": (ta.where, [mask, x, x]),
    "masked_fill": (ta.masked_fill, [x, mask, 2.0]),
    "matmul": (ta.matmul, [x, square]),
    "linear": (F.linear, [x, square, square[0]]),
    "embedding": (F.embedding, [classes, square, 2]),
    "cross_entropy": (
        lambda x, t, w, i, e: F.cross_entropy(
            x, t, weight=w, ignore_index=i, label_smoothing=e, reduction="sum"
        ),
        [x, classes, square[0] ** 2, 0, 0.1],
    ),
    "layer_norm": (lambda x, w, b, e: F.layer_norm(x, (5,), w, b, e), [x, x[0], x[1], 1e-5]),
    "attention": (
        lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m),
        [heads, heads, heads, mask[:, :3]],
    ),
    "pack": (
        lambda x, lengths: rnn.pack_padded_sequence(x, lengths, batch_first=True).data,
        [heads[0], np.array([3, 1])],
    ),
    "GRU": (
        lambda x, h: ta.nn.GRU(5, 4)(x, h)[0].detach() * 0,
        [heads[0], np.zeros((1, 3, 4), np.float32)],
    ),
    "backward": (lambda x, g: x.backward(g), [x, x]),
}

METHODS = [CALLS["getitem"][0], CALLS["backward"][0]]


@pytest.fixture(params=["numpy", "native"])
def backend(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param not in available_backends():
        pytest.skip(f"backend {request.param} is not installed")
    with use_backend(request.param):
        if sys.platform != "win32":
            signal.alarm(120)  # a hang ends the run
        yield
        if sys.platform != "win32":
            signal.alarm(0)


def given_as_tensors(call: Callable[..., Any], args: list[Any], make: Any) -> np.ndarray | None:
    """Arrays become tensors, the first with a gradient; the result, and its backward is run."""
    tensors = [make(a) if isinstance(a, np.ndarray) else a for a in args]
    assume(call not in METHODS or isinstance(tensors[0], ta.Tensor))  # what isn't one has others
    if isinstance(tensors[0], ta.Tensor) and tensors[0].is_floating_point():
        tensors[0].requires_grad_()
    out = call(*tensors)
    if out is None:
        return None
    if out.requires_grad:
        out.sum().backward()
    return np.array(out.detach().numpy())


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.filterwarnings("ignore:Implicit dimension choice", "ignore:indexing with uint8")
@pytest.mark.parametrize("name", CALLS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
def test_a_right_result_or_an_error(backend: None, name: str, data: st.DataObject) -> None:
    call, args = CALLS[name]
    at = data.draw(st.integers(0, len(args) - 1), label="argument")
    make = data.draw(st.sampled_from([ta.tensor, ta.from_numpy, ta.as_tensor, lambda a: a]))
    if isinstance(args[at], np.ndarray):
        how = data.draw(st.sampled_from(sorted(HOSTILE)))
        new = HOSTILE[how](args[at])
    else:
        how = ""
        new = data.draw(st.sampled_from([*NUMBERS, np.int64(1), np.float32(1), (0,), [], "mean"]))
    spoiled = [new if i == at else a for i, a in enumerate(args)]
    try:
        with np.errstate(all="ignore"):
            got = given_as_tensors(call, spoiled, make)
    except ERRORS as error:
        if not str(error) or (how in SAME_KIND and make is ta.tensor):
            raise
        return
    if how in SAME_KIND:
        same = [np.array(a, a.dtype.newbyteorder("=")) for a in [np.asarray(new)]]
        plain = [same[0] if i == at else a for i, a in enumerate(args)]
        want = given_as_tensors(call, plain, ta.tensor)
        if want is not None:
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sizes", list(itertools.product([0, 1, 2, 7], [0, 1, 3], [0, 1, 13])))
def test_axes_of_zero_one_and_primes(backend: None, sizes: tuple[int, int, int]) -> None:
    """A product, its softmax and a recurrent layer over them, against NumPy."""
    B, T, D = sizes
    a = np.random.default_rng(1).normal(size=(B, T, D))
    q = ta.tensor(a, requires_grad=True)
    scores = q @ q.transpose(1, 2)
    np.testing.assert_allclose(scores.detach().numpy(), a @ a.transpose(0, 2, 1), atol=1e-12)
    weights = ta.softmax(scores, -1)
    np.testing.assert_allclose(weights.detach().numpy().sum(-1), np.ones((B, T)), atol=1e-12)
    (weights @ q).sum().backward()
    assert q.grad.shape == q.shape
    assert np.isfinite(q.grad.numpy()).all()
