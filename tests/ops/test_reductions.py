"""Reductions: what they give, PyTorch's results and errors, and gradients against differences."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tests.helpers import leaf, numbers

from .parity import same_as_torch

SHAPES = st.lists(st.integers(0, 3), max_size=3).map(tuple)
DIMS = st.sampled_from([(), (0,), (-1,), (0, 1), (1, 0), (-1, -2), (0, 1, 2), (2, 0, 1)])
INF, NAN = math.inf, math.nan

# Over one dimension, several or none; each is tried with every dim and keepdim.
OVER_DIMS = {
    "sum": lambda t, x, d, k: x.sum(d, k),
    "sum_dtype": lambda t, x, d, k: t.sum(x, d, keepdim=k, dtype=t.float64),
    "sum_int32": lambda t, x, d, k: x.detach().sum(d, k, dtype=t.int32),
    "mean": lambda t, x, d, k: x.mean(d, k),
    "mean_dtype": lambda t, x, d, k: t.mean(x, d, k, dtype=t.float64),
    "amax": lambda t, x, d, k: x.amax(d, k),
    "amin": lambda t, x, d, k: t.amin(x, d, keepdim=k),
    "var": lambda t, x, d, k: x.var(d, keepdim=k),
    "var_0": lambda t, x, d, k: x.var(d, correction=0, keepdim=k),
    "var_biased": lambda t, x, d, k: x.var(d, False, k),
    "std": lambda t, x, d, k: t.std(x, d, keepdim=k),
    "std_biased": lambda t, x, d, k: t.std(x, d, unbiased=False, keepdim=k),
    "all": lambda t, x, d, k: x.all(d, k),
    "any": lambda t, x, d, k: t.any(x, d, keepdim=k),
    "logsumexp": lambda t, x, d, k: x.logsumexp(d, k),
    "norm": lambda t, x, d, k: x.norm(2, d, k),
    "norm_1": lambda t, x, d, k: x.norm(1, d, k),
    "norm_3": lambda t, x, d, k: t.norm(x, 3, d, k),
    "norm_half": lambda t, x, d, k: t.norm(x, 0.5, d, k),
}
# Over exactly one dimension.
OVER_A_DIM = {
    "max": lambda t, x, d, k: x.max(d, k),
    "min": lambda t, x, d, k: t.min(x, d, keepdim=k),
    "argmax": lambda t, x, d, k: x.argmax(d, k),
    "argmin": lambda t, x, d, k: x.argmin(d, keepdim=k),
    "prod": lambda t, x, d, k: x.prod(d, k),
    "norm_inf": lambda t, x, d, k: x.norm(INF, d, k),
    "norm_-inf": lambda t, x, d, k: x.norm(-INF, d, k),
    "norm_default": lambda t, x, d, k: x.norm(dim=d, keepdim=k),
    "cumsum": lambda t, x, d, k: x.cumsum(d),
    "cumsum_dtype": lambda t, x, d, k: t.cumsum(x, d, dtype=t.float64),
    "sort": lambda t, x, d, k: t.sort(x, dim=d, descending=k, stable=True),
}
OVER_ALL = {
    "sum": lambda t, x: x.sum(),
    "mean": lambda t, x: t.mean(x),
    "amax": lambda t, x: x.amax(),
    "max": lambda t, x: x.max(),
    "min": lambda t, x: t.min(x),
    "argmax": lambda t, x: x.argmax(keepdim=True),
    "argmin": lambda t, x: t.argmin(x),
    "var": lambda t, x: x.var(),
    "var_biased": lambda t, x: x.var(False),
    "std": lambda t, x: x.std(correction=0),
    "prod": lambda t, x: x.prod(),
    "all": lambda t, x: x.all(),
    "any": lambda t, x: x.any(),
    "norm": lambda t, x: x.norm(),
    "norm_inf": lambda t, x: x.norm(INF),
    "norm_0": lambda t, x: x.norm(0).detach(),
    "max_other": lambda t, x: t.max(x, x * 0),
    "min_other": lambda t, x: t.min(x, x * 0),
    "max_other_named": lambda t, x: x.max(other=x * 0),
    "sort": lambda t, x: x.sort(stable=True),
}


def small(shape, dtype, seed):
    """Few different values, so that many tie; zeros among them."""
    return np.random.default_rng(seed).integers(-2, 3, shape).astype(dtype)


def apart(shape, seed=0):
    """No two values closer than a tenth, none close to 0: every reduction is smooth here."""
    n = math.prod(shape)
    values = (np.random.default_rng(seed).permutation(n) - n // 2 + 0.37) / 2
    return values.reshape(shape)


def gradient(fn, values):
    x = leaf(values)
    fn(x).backward()
    return x.grad.tolist()


dtypes = st.sampled_from(["float32", "float64", "int64", "int32", "bool"])


@pytest.mark.parametrize("name", OVER_DIMS)
@given(
    shape=SHAPES,
    dim=st.none() | st.integers(-4, 3) | DIMS,
    keepdim=st.booleans(),
    dtype=dtypes,
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_over_dimensions_as_in_torch(torch, name, shape, dim, keepdim, dtype, seed):
    case = OVER_DIMS[name]
    # torch's gradients of these take n = 1 there, or fail
    assume(dim != () or name[:3] not in ("var", "std", "log"))
    same_as_torch(torch, lambda t, x: case(t, x, dim, keepdim), small(shape, dtype, seed))


@pytest.mark.parametrize("name", OVER_A_DIM)
@given(
    shape=SHAPES,
    dim=st.integers(-4, 3),
    keepdim=st.booleans(),
    dtype=st.sampled_from(["float32", "float64", "int64", "int32"]),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_over_a_dimension_as_in_torch(torch, name, shape, dim, keepdim, dtype, seed):
    case = OVER_A_DIM[name]
    same_as_torch(torch, lambda t, x: case(t, x, dim, keepdim), small(shape, dtype, seed))


@pytest.mark.parametrize("name", OVER_ALL)
@given(
    shape=SHAPES, dtype=st.sampled_from(["float32", "float64", "int64"]), seed=st.integers(0, 99)
)
@settings(max_examples=25, deadline=None)
def test_over_everything_as_in_torch(torch, name, shape, dtype, seed):
    same_as_torch(torch, OVER_ALL[name], small(shape, dtype, seed))


@given(shape=SHAPES, k=st.integers(-1, 4), dim=st.integers(-3, 2), largest=st.booleans())
@settings(max_examples=60, deadline=None)
def test_topk_as_in_torch(torch, shape, k, dim, largest):
    same_as_torch(torch, lambda t, x: t.topk(x, k, dim, largest), apart(shape))


@pytest.mark.parametrize("p", [2, 1, 3, 1.5, 0.5, -1, INF, -INF])
@pytest.mark.parametrize("values", [[0.0, 0.0], [0.0, 2.0], [2.0, -2.0]])
def test_norm_at_awkward_points_as_in_torch(torch, p, values):
    same_as_torch(torch, lambda t, x: x.norm(p), np.array(values))


@pytest.mark.parametrize(
    "case",
    [
        lambda t, x: x.std(),
        lambda t, x: x.logsumexp(0),
        lambda t, x: x.max(0),
        lambda t, x: x.max(),
        lambda t, x: x.amax(),
        lambda t, x: x.amin(0),
        lambda t, x: x.min(0),
        lambda t, x: x.sort(),
        lambda t, x: x.sort(descending=True, stable=True),
        lambda t, x: x.topk(2).values.detach(),
        lambda t, x: x.topk(2, largest=False).values.detach(),
        lambda t, x: x.cumsum(0),
    ],
)
@pytest.mark.parametrize(
    "values",
    [[2.0, 2.0], [0.0, 3.0, 0.0], [1.0, INF], [-INF, 1.0], [NAN, 1.0, 2.0], [1e300, 1e300]],
)
def test_awkward_values_as_in_torch(torch, case, values):
    same_as_torch(torch, case, np.array(values))


SMOOTH = {
    **{name: case for name, case in OVER_DIMS.items() if name not in ("all", "any", "sum_int32")},
    **{name: case for name, case in OVER_A_DIM.items() if not name.startswith("arg")},
    "topk": lambda t, x, d, k: t.topk(x, 1, d, largest=k),
}


@pytest.mark.parametrize("name", SMOOTH)
@given(data=st.data(), keepdim=st.booleans(), transposed=st.booleans())
@settings(max_examples=8, deadline=None)
def test_gradients_match_differences(name, data, keepdim, transposed):
    shape = data.draw(st.lists(st.integers(2, 3), min_size=1, max_size=3).map(tuple))
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = leaf(apart(shape).T if transposed else apart(shape))

    def fn(x):
        return tuple(
            y for y in _several(SMOOTH[name](ta, x, dim, keepdim)) if y.is_floating_point()
        )

    assert ta.gradcheck(fn, (x,))


def _several(result):
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("name", [name for name in OVER_ALL if name in SMOOTH])
def test_gradients_over_everything_match_differences(name):
    fn = OVER_ALL[name]
    assert ta.gradcheck(lambda x: _several(fn(ta, x))[0], (leaf(apart((2, 3))),))


def test_of_nothing_sums_are_zero_means_are_nan_and_extremes_are_refused():
    nothing = ta.zeros(0, 3)
    assert nothing.sum().item() == 0
    assert nothing.prod().item() == 1
    assert math.isnan(nothing.mean().item())
    assert nothing.logsumexp(0).tolist() == [-INF] * 3
    assert nothing.all().item() is True
    assert nothing.any().item() is False
    assert nothing.amax(1).shape == (0,)
    with pytest.raises(IndexError, match="dim 0 to have non-zero size"):
        nothing.amax(0)
    with pytest.raises(RuntimeError, match="Specify the reduction dim"):
        nothing.max()


def test_sums_of_integers_and_booleans_are_int64():
    for dtype in (ta.int32, ta.int64, ta.bool):
        x = ta.ones(3, dtype=dtype)
        assert x.sum().dtype == x.prod().dtype == x.cumsum(0).dtype == ta.int64
    assert ta.ones(3).sum(dtype=ta.int64).dtype == ta.int64


def test_the_mean_of_integers_is_refused():
    with pytest.raises(RuntimeError, match=r"mean.*input.*int64"):
        ta.arange(3).mean()
    assert ta.arange(3).mean(dtype=ta.float32).item() == 1


def test_ties_share_the_gradient_without_dim_and_the_first_takes_it_with_dim():
    assert gradient(lambda x: x.amax(), [1.0, 2, 2]) == [0, 0.5, 0.5]
    assert gradient(lambda x: x.max(), [1.0, 2, 2]) == [0, 0.5, 0.5]
    assert gradient(lambda x: x.amin(0), [1.0, 1, 2]) == [0.5, 0.5, 0]
    assert gradient(lambda x: x.max(0).values, [1.0, 2, 2]) == [0, 1, 0]


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("name", ["prod", "cumsum", "norm_3", "logsumexp", "var"])
def test_gradients_along_either_dimension_match_differences(name, keepdim):
    cases = OVER_DIMS | OVER_A_DIM
    for dim in (0, 1):
        assert ta.gradcheck(
            lambda x, dim=dim: cases[name](ta, x, dim, keepdim), (leaf(apart((2, 3))),)
        )


def test_the_gradient_of_a_product_is_right_at_zeros():
    assert gradient(lambda x: x.prod(), [2.0, 0, 3]) == [0, 6, 0]
    assert gradient(lambda x: x.prod(), [0.0, 0, 3]) == [0, 0, 0]


def test_a_nan_takes_the_gradient_of_max_and_spoils_that_of_amax():
    assert gradient(lambda x: x.max(), [NAN, 1, 2]) == [1, 0, 0]
    assert gradient(lambda x: x.min(), [0, NAN, 2]) == [0, 1, 0]
    assert np.isnan(gradient(lambda x: x.amax(), [NAN, 1, 2])).all()


def test_the_gradient_of_norm_and_std_is_zero_where_they_are():
    assert gradient(lambda x: x.norm(), [0.0, 0]) == [0, 0]
    assert gradient(lambda x: x.std(), [2.0, 2]) == [0, 0]


def test_logsumexp_neither_overflows_nor_makes_nan():
    assert ta.tensor([1000.0, 1000.0]).logsumexp(0).item() == pytest.approx(1000 + math.log(2))
    assert ta.tensor([1.0, INF]).logsumexp(0).item() == INF
    assert ta.tensor([-INF, -INF]).logsumexp(0).item() == -INF
    assert gradient(lambda x: x.logsumexp(0), [-INF, -INF]) == [0, 0]


def test_max_sort_and_topk_name_their_results():
    x = ta.tensor([3.0, 1.0, 2.0])
    assert x.max(0).values.item() == 3
    assert x.min(0).indices.item() == 1
    assert x.sort().indices.tolist() == [1, 2, 0]
    assert x.topk(2).values.tolist() == [3, 2]


@given(values=st.lists(st.integers(0, 3), min_size=1, max_size=8), descending=st.booleans())
def test_sort_keeps_the_order_of_equal_elements(values, descending):
    result, order = ta.tensor(values).sort(descending=descending)
    assert result.tolist() == sorted(values, reverse=descending)
    assert order.tolist() == sorted(
        range(len(values)), key=lambda i: -values[i] if descending else values[i]
    )


@pytest.mark.parametrize("n", [1, 64, 65])
@pytest.mark.parametrize("dim", [0, 1])
def test_rows_of_any_length_are_sorted_with_nan_as_the_largest(n, dim):
    x = np.random.default_rng(n).integers(-9, 9, (n, 3)).astype(np.float32)
    x[x == 3], x[::2][x[::2] == 0] = NAN, -0.0
    x = x if dim == 0 else x.T
    up = np.argsort(x, dim, kind="stable")
    down = n - 1 - np.flip(np.argsort(np.flip(x, dim), dim, kind="stable"), dim)
    for descending, want in ((False, up), (True, down)):
        values, indices = ta.sort(ta.tensor(x), dim, descending)
        np.testing.assert_array_equal(indices, want)
        np.testing.assert_array_equal(values, np.take_along_axis(x, want, dim))


@pytest.mark.parametrize("find", [ta.argmax, ta.argmin, lambda x: ta.topk(x, 1)])
def test_booleans_have_no_order_to_search(find):
    with pytest.raises(RuntimeError, match="expected numbers, got bool"):
        find(ta.tensor([True, False]))
    assert ta.tensor([False, True]).max(0).indices.item() == 1


def test_a_wrong_dim_is_named():
    x = ta.zeros(2, 3)
    with pytest.raises(IndexError, match=r"dim.*\[-2, 1\].*got 2"):
        x.sum(2)
    with pytest.raises(RuntimeError, match=r"dim.*twice"):
        x.sum((0, -2))
    with pytest.raises(TypeError, match=r"dim.*float"):
        x.sum(1.0)
    with pytest.raises(RuntimeError, match=r"k.*4 out of range.*3"):
        x.topk(4)


def test_a_change_of_what_a_reduction_saved_is_noticed():
    x = leaf([1.0, 2.0]) * 1
    y = x.amax()
    x += 1
    with pytest.raises(RuntimeError, match="Amax saved"):
        y.backward()


def test_both_halves_run_by_hand():
    from tinyattn.ops.reductions import Std

    f = Std()
    assert f.forward(np.array([1.0, 3.0]), (0,), 0) == 1
    assert f.backward(np.array(2.0)).tolist() == [-1, 1]


def test_of_equals_topk_takes_the_first():
    x = ta.tensor([[1, 1, 1, 1, 1], [2, 1, 2, 0, 2]])
    assert x.topk(2).indices.tolist() == [[0, 1], [0, 2]]
    assert x.topk(2, largest=False).indices.tolist() == [[0, 1], [3, 1]]


def test_products_keep_the_dtype_that_is_asked_for():
    assert ta.ones(2).prod(0, dtype=ta.int32).dtype == ta.int32


def test_how_many_are_not_zero_has_no_gradient():
    x = ta.tensor([0.0, 2.0, 3.0]).requires_grad_()
    count = x.norm(0)
    assert count.item() == 2
    (count * x.sum()).backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_gradients_of_a_running_product_match_differences():
    x = leaf(numbers((3, 4)))
    np.testing.assert_allclose(ta.cumprod(x, 1).detach(), np.cumprod(x.detach().numpy(), 1))
    for dim in (0, 1):
        assert ta.gradcheck(lambda x, d=dim: ta.cumprod(x, d), (x,))


def test_a_variance_knows_what_its_rounded_mean_lacks():
    """The mean of 1e16 and twice 1e16 + 2 is 1e16 + 4/3, and the next float64 is 1e16 + 2."""
    with ta.use_backend("numpy"):
        x = ta.tensor([1e16, 1e16 + 2, 1e16 + 2], dtype=ta.float64)
        assert x.var(0, unbiased=False).item() == pytest.approx(8 / 9, rel=1e-12)


@pytest.mark.parametrize("name", ["all", "any"])
def test_the_truth_of_uint8_is_uint8(name):
    x = ta.tensor([[3, 0], [2, 1]], dtype=ta.uint8)
    found = getattr(x, name)(1)
    assert (found.dtype, found.tolist()) == (ta.uint8, [int(name == "any"), 1])
    assert getattr(x, name)().dtype == getattr(x, name)(()).dtype == ta.uint8
    assert getattr(x.long(), name)().dtype == ta.bool


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_the_largest_of_each_row_is_the_first_of_equals_and_nan_if_there_is_one(dtype):
    rows = np.array([[1, 3, 3, 2], [-5, -7, -5, -9], [0, 0, 0, 0]], dtype)
    if dtype != "int64":
        rows[1, 2], rows[2, :2] = np.nan, [-0.0, 0.0]
    want = [1, 0 if dtype == "int64" else 2, 0]
    for x in (rows, rows[:1], rows[:0]):
        values, indices = (found.numpy() for found in ta.tensor(x).topk(1))
        at = np.array(want[: len(x)], np.int64)[:, None]
        np.testing.assert_array_equal(indices, at, strict=True)
        largest = np.take_along_axis(x, at, 1)
        np.testing.assert_array_equal(values, largest, strict=True)
        np.testing.assert_array_equal(np.signbit(values), np.signbit(largest))
    columns = ta.tensor(rows.T.copy()).topk(1, 0)
    assert columns.indices.tolist() == [want]


def test_the_gradient_of_the_largest_of_each_row_goes_to_it():
    x = leaf([[1.0, 3.0, 3.0], [5.0, 4.0, 0.0]])
    x.topk(1).values.backward(ta.tensor([[2.0], [7.0]]))
    assert x.grad.tolist() == [[0, 2, 0], [7, 0, 0]]


def test_no_norm_of_zeros_has_a_gradient() -> None:
    for p in (1, 1.5, 2, 3, math.inf):
        x = ta.zeros(4, requires_grad=True)
        ta.norm(x, p=p).backward()
        assert x.grad is not None
        assert x.grad.tolist() == [0.0] * 4, p


def test_the_order_of_one_number_is_0() -> None:
    assert ta.tensor(5.0).argsort().item() == 0
    assert ta.tensor(5.0).argsort().dtype == ta.int64


@pytest.mark.parametrize("name", ["std", "var"])
def test_too_few_elements_for_the_correction_warn(name):
    with pytest.warns(UserWarning, match=rf"{name}\(\): degrees of freedom is <= 0"):
        assert getattr(ta, name)(ta.tensor([1.0])).isnan()
    with pytest.warns(UserWarning, match="the correction 3 should be less"):
        getattr(ta.ones(2, 3), name)(1, correction=3)
    assert getattr(ta.tensor([1.0]), name)(correction=0).item() == 0
