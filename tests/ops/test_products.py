"""Matrix products and linear: PyTorch's results and errors, differences, every backend.

SHAPES lists the pairs of shapes once; all tests draw from it.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tinyattn.nn import functional as F
from tinyattn.ops import products

from .parity import same_as_torch

CASES = {
    "matmul": lambda t, x, y: t.matmul(x, y),
    "@": lambda t, x, y: x @ y,
    "mm": lambda t, x, y: t.mm(x, y),
    "bmm": lambda t, x, y: x.bmm(y),
    "mv": lambda t, x, y: t.mv(x, y),
    "dot": lambda t, x, y: x.dot(y),
    "outer": lambda t, x, y: t.outer(x, y),
}
SHAPES = {
    "matmul": [
        ((2, 3), (3, 4)),
        ((3,), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3,)),
        ((2, 2, 3), (3, 2)),
        ((2, 2, 3), (2, 3, 1)),
        ((3,), (2, 3, 2)),
        ((2, 2, 3), (3,)),
        ((2, 1, 2, 3), (3, 3, 2)),
        ((1, 2, 3), (2, 3, 2)),
        ((2, 0), (0, 3)),
        ((0, 3), (3, 2)),
        ((2, 3), (3, 0)),
        ((0, 2, 3), (3, 2)),
        ((0,), (0,)),
    ],
    "mm": [((2, 3), (3, 2))],
    "bmm": [((2, 2, 3), (2, 3, 1)), ((0, 2, 3), (0, 3, 2))],
    "mv": [((2, 3), (3,))],
    "dot": [((3,), (3,)), ((0,), (0,))],
    "outer": [((2,), (3,)), ((0,), (3,))],
}
ALL = [(name, *pair) for name, pairs in SHAPES.items() for pair in pairs]
LINEAR = [
    ((3,), (2, 3), (2,)),
    ((4, 3), (2, 3), (2,)),
    ((2, 2, 3), (4, 3), None),
    ((0, 3), (2, 3), (2,)),
    ((2, 0), (3, 0), (3,)),
    ((2, 3), (0, 3), None),
]
VIEWS = {
    "whole": lambda x: x * 1,
    "transposed": lambda x: (x.transpose(0, -1) * 1).transpose(0, -1) if x.ndim else x,
    "backward": lambda x: x.flip(0),
    "every second": lambda x: ta.stack([x, x * 2], -1).flatten(-2)[..., ::2],
    "expanded": lambda x: x[:1].expand(*x.shape) if len(x) else x * 1,
}


def numbers(shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype) / (
        2 if dtype.startswith("f") else 1
    )


def leaf(shape, seed=0):
    return ta.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


@pytest.mark.parametrize("name", CASES)
@given(data=st.data(), dtype=st.sampled_from(["float32", "float64", "int64", "int32"]))
@settings(max_examples=30)
def test_as_in_torch(torch, name, data, dtype):
    shape = st.lists(st.integers(0, 3), max_size=4).map(tuple)
    pairs = st.sampled_from(SHAPES.get(name, SHAPES["matmul"])) | st.tuples(shape, shape)
    x, y = data.draw(pairs)
    if name == "mv" and () in (x, y):
        return  # an IndexError in torch, a RuntimeError here
    case = CASES[name]
    same_as_torch(torch, case, numbers(x).astype(dtype), numbers(y, 1).astype(dtype))


@pytest.mark.parametrize("shapes", [s for s in LINEAR if 0 not in s[1]])
def test_linear_as_in_torch(torch, shapes):
    x, w, b = (None if s is None else numbers(s, i) for i, s in enumerate(shapes))

    def case(t, *tensors):
        return (F if t is ta else t.nn.functional).linear(*tensors)

    for dtype in ("float32", "float64"):
        arrays = [a.astype(dtype) for a in (x, w, b) if a is not None]
        same_as_torch(torch, case, *arrays)


@pytest.mark.parametrize(("name", "x", "y"), ALL)
def test_gradients_match_differences(backend, name, x, y):
    assert ta.gradcheck(lambda x, y: CASES[name](ta, x, y), (leaf(x), leaf(y, 1)))


@pytest.mark.parametrize("shapes", LINEAR)
def test_gradients_of_linear_match_differences(backend, shapes):
    inputs = tuple(leaf(s, i) for i, s in enumerate(shapes) if s is not None)
    assert ta.gradcheck(F.linear, inputs)


@pytest.mark.parametrize("left", VIEWS)
@pytest.mark.parametrize("right", VIEWS)
def test_gradients_through_views_match_differences(backend, left, right):
    case = lambda x, y: VIEWS[left](x) @ VIEWS[right](y)  # noqa: E731
    assert ta.gradcheck(case, (leaf((2, 3)), leaf((3, 2), 1)))
    assert ta.gradcheck(case, (leaf((2, 2, 3)), leaf((2, 3, 2), 1)))


@given(
    batch=st.sampled_from([(), (1,), (2,), (2, 3)]),
    m=st.integers(0, 9),
    k=st.integers(0, 9),
    p=st.integers(0, 9),
    transpose=st.booleans(),
)
@settings(max_examples=60)
def test_the_product_is_the_sum_of_products(batch, m, k, p, transpose):
    x, y = numbers((*batch, m, k)), numbers((*batch, k, p), 1)
    expected = (x[..., :, :, None] * y[..., None, :, :]).sum(-2)
    for name in ta.available_backends():
        if name == "numba":
            continue  # tests/kernels has it
        with ta.use_backend(name):
            a, b = ta.tensor(x), ta.tensor(y)
            if transpose:
                a = ta.tensor(np.ascontiguousarray(x.swapaxes(-1, -2))).transpose(-1, -2)
            np.testing.assert_allclose((a @ b).numpy(), expected, atol=1e-12)


def test_a_weight_used_many_times_sums_its_gradients(backend):
    w, b = leaf((2, 3)), leaf((2,), 1)

    def case(w, b):
        x = ta.ones(4, 3, dtype=ta.float64)
        total = 0
        for step in range(3):
            total = total + (F.linear(x * step, w, b).tanh() @ w).sum()
        return total

    assert ta.gradcheck(case, (w, b))


def test_the_gradient_of_many_rows_is_that_of_few_summed(backend):
    x, w = leaf((600, 3)), leaf((2, 3), 1)
    F.linear(x, w).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), np.tile(x.detach().numpy().sum(0), (2, 1)))


def test_a_weight_changed_between_products_is_seen(backend):
    w = ta.ones(3, 3, dtype=ta.float64, requires_grad=True)
    x = ta.ones(2, 3, dtype=ta.float64)
    for step in range(4):
        assert (x @ w).tolist() == [[3.0 + 3 * step] * 3] * 2
        assert F.linear(x, w).tolist() == [[3.0 + 3 * step] * 3] * 2
        with ta.no_grad():
            w += 1


def test_infinities_and_nan_give_what_arithmetic_gives(backend):
    x = ta.tensor([[np.inf, 1.0], [0.0, np.nan], [1e308, 1e308]], dtype=ta.float64)
    y = ta.tensor([[1.0, 0.0], [1.0, 2.0]], dtype=ta.float64)
    out = (x @ y).numpy()
    assert out[0, 0] == np.inf
    assert np.isnan(out[0, 1])
    assert np.isnan(out[1]).all()
    assert out[2, 0] == np.inf


def test_operands_that_do_not_fit_are_named():
    with pytest.raises(RuntimeError, match=r"matmul: .*\[2, 3\] and \[2, 3\]"):
        ta.ones(2, 3) @ ta.ones(2, 3)
    with pytest.raises(RuntimeError, match=r"matmul: the batch dimensions of \[2, 1, 3\] and \[3"):
        ta.ones(2, 1, 3) @ ta.ones(3, 3, 1)
    with pytest.raises(RuntimeError, match="matmul: both arguments need at least 1 dimension"):
        ta.tensor(1.0) @ ta.ones(2)
    with pytest.raises(RuntimeError, match="one dtype, got float32 and float64"):
        ta.ones(2, 2) @ ta.ones(2, 2, dtype=ta.float64)
    with pytest.raises(TypeError, match="other: expected a Tensor, got int"):
        ta.matmul(ta.ones(2), 2)
    with pytest.raises(RuntimeError, match=r"bmm: expected batches of one size, got \[2.*\[3"):
        ta.bmm(ta.ones(2, 1, 1), ta.ones(3, 1, 1))
    for name, x, y in (
        ("mm", (2,), (2, 2)),
        ("mv", (2, 2), (2, 2)),
        ("dot", (2, 2), (2,)),
        ("outer", (2,), (2, 2)),
    ):
        with pytest.raises(RuntimeError, match=rf"{name}: \w+: expected a \d-D tensor, got \[2"):
            getattr(ta, name)(ta.ones(x), ta.ones(y))


def test_arguments_of_linear_that_do_not_fit_are_named():
    x, w = ta.ones(2, 3), ta.ones(4, 3)
    with pytest.raises(RuntimeError, match=r"linear: .*\(F, D\), got \[2, 3\] and \[3, 4\]"):
        F.linear(x, w.T)
    with pytest.raises(RuntimeError, match=r"linear: bias: .*\(F,\) = \[4\], got \[3\]"):
        F.linear(x, w, ta.ones(3))
    with pytest.raises(RuntimeError, match=r"linear: .*float32 and float64"):
        F.linear(x, w, ta.ones(4, dtype=ta.float64))
    with pytest.raises(TypeError, match="expected float32 or float64, got int64"):
        F.linear(x.long(), w.long())


def test_both_halves_run_by_hand():
    f = products.MatMul()
    assert f.forward(np.ones((1, 2)), np.full((2, 1), 3.0)).tolist() == [[6]]
    assert [g.tolist() for g in f.backward(np.ones((1, 1)))] == [[[3, 3]], [[1], [1]]]
