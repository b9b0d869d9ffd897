"""Softmax, log-softmax, layer and RMS normalisation: PyTorch's results, differences, backends."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tests.helpers import functional, leaf, numbers
from tinyattn.nn import functional as F
from tinyattn.ops import normalising

from .parity import same_as_torch

INF, NAN = np.inf, np.nan
SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)

SOFT = {
    "softmax": lambda t, x, d: t.softmax(x, d),
    "softmax method": lambda t, x, d: x.softmax(dim=d),
    "softmax dtype": lambda t, x, d: t.softmax(x, d, dtype=t.float64),
    "log_softmax": lambda t, x, d: x.log_softmax(d),
    "log_softmax dtype": lambda t, x, d: t.log_softmax(x, d, dtype=t.float64),
}
VIEWS = {
    "whole": lambda x: x * 1,
    "transposed": lambda x: x.transpose(0, -1),
    "sliced": lambda x: x[..., 1:],
    "backward": lambda x: x.flip(-1),
    "expanded": lambda x: x.expand(2, *x.shape),
}
# normalized_shape for the shape
NORMALIZED = [((2, 3), (3,)), ((3,), (3,)), ((2, 2, 3), (2, 3)), ((2, 1), (1,)), ((0, 3), (3,))]


@pytest.mark.parametrize("name", SOFT)
@given(
    shape=SHAPES,
    dim=st.integers(-4, 3),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 9),
)
@settings(max_examples=40)
def test_softmax_as_in_torch(torch, name, shape, dim, dtype, seed):
    values = (numbers(shape, seed) * 3).astype(dtype)
    same_as_torch(torch, lambda t, x: SOFT[name](t, x, dim), values)


@pytest.mark.parametrize("name", SOFT)
@pytest.mark.parametrize("dim", [0, 1, 2, -1, -3])
def test_softmax_is_along_the_dim(name, dim):
    x = ta.tensor(numbers((2, 3, 4), 5))
    whole = SOFT[name](ta, x, dim).numpy()
    total = np.exp(whole) if "log" in name else whole
    np.testing.assert_allclose(total.sum(dim), 1)
    rows = SOFT[name](ta, x.transpose(dim, -1), -1).transpose(dim, -1).numpy()
    np.testing.assert_allclose(whole, rows)


SPECIAL = [
    [1e4, -1e4, 0],
    [1e4, 1e4, 1e4],
    [-1e4, -1e4, -1e4],
    [-INF, 0, 1],
    [-INF, -INF, 0],
    [-INF, -INF, -INF],
    [INF, 0, 1],
    [NAN, 0, 1],
    [1e-45, 0, -1e-45],
    [3e38, -3e38, 3e38],
]


@pytest.mark.parametrize("name", SOFT)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_of_special_values_as_in_torch(torch, backend, name, dtype):
    same_as_torch(torch, lambda t, x: SOFT[name](t, x, -1), np.array(SPECIAL).astype(dtype))
    same_as_torch(torch, lambda t, x: SOFT[name](t, x, 0), np.array(SPECIAL).T.astype(dtype))


@pytest.mark.parametrize("function", [ta.softmax, ta.log_softmax])
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 1), (0, 3), (2, 0), (2, 2, 2), (2, 9)])
def test_gradients_of_softmax_match_differences(backend, function, shape):
    for dim in range(-1, len(shape) - 1):
        assert ta.gradcheck(lambda x, dim=dim: function(x, dim), (leaf(numbers(shape)),))


@pytest.mark.parametrize("function", [ta.softmax, ta.log_softmax])
@pytest.mark.parametrize("view", VIEWS)
def test_gradients_of_softmax_through_views_match_differences(backend, function, view):
    assert ta.gradcheck(lambda x: function(VIEWS[view](x), 1), (leaf(numbers((3, 4))),))


@given(shape=st.lists(st.integers(1, 5), min_size=1, max_size=3), shift=st.floats(-1e4, 1e4))
@settings(max_examples=40)
def test_softmax_sums_to_one_and_is_blind_to_a_shift(shape, shift):
    x = ta.tensor(numbers(shape))
    y = x.softmax(-1)
    np.testing.assert_allclose(y.sum(-1).numpy(), 1, rtol=1e-12)
    np.testing.assert_allclose((x + shift).softmax(-1).numpy(), y.numpy(), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(x.log_softmax(-1).exp().numpy(), y.numpy(), rtol=1e-12)


def test_backends_agree(backend):
    x = ta.tensor(numbers((7, 33)))
    with ta.use_backend("numpy"):
        expected = x.softmax(-1).numpy()
    np.testing.assert_allclose(x.softmax(-1).numpy(), expected, rtol=1e-12)


def test_softmax_without_axes():
    x = ta.tensor(3.0, requires_grad=True)
    assert x.softmax(0).item() == 1
    assert x.log_softmax(-1).item() == 0
    x.softmax(0).backward()
    assert x.grad.item() == 0


def test_arguments_of_softmax_are_named():
    with pytest.raises(IndexError, match=r"dim: .*\[-2, 1\], but got 2"):
        ta.softmax(ta.ones(2, 2), 2)
    with pytest.raises(TypeError, match="dim: expected an int, got str"):
        F.softmax(ta.ones(2), "x")
    with pytest.raises(RuntimeError, match=r"softmax: input: expected float.*got int64"):
        ta.arange(3).softmax(0)
    with pytest.raises(TypeError, match="input: expected a Tensor, got list"):
        ta.log_softmax([1.0], 0)


def test_a_result_changed_in_place_is_noticed():
    x = leaf(numbers((2, 3)))
    y = x.softmax(1)
    y *= 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation: Softmax"):
        y.sum().backward()


def layer_norm(t, shape, *tensors):
    return functional(t).layer_norm(tensors[0], shape, *tensors[1:])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "normalized"), [*NORMALIZED, ((2, 0), (0,)), ((0, 0), (0,))])
def test_layer_norm_as_in_torch(torch, backend, shape, normalized, dtype):
    x, w, b = (numbers(s, i, dtype) for i, s in enumerate((shape, normalized, normalized)))
    for arrays in ((x,), (x, w), (x, w, b)):
        same_as_torch(torch, lambda t, *tensors: layer_norm(t, normalized, *tensors), *arrays)


@pytest.mark.parametrize(("shape", "normalized"), NORMALIZED)
def test_gradients_of_layer_norm_match_differences(backend, shape, normalized):
    x, w, b = (leaf(numbers(s, i)) for i, s in enumerate((shape, normalized, normalized)))
    assert ta.gradcheck(lambda x, w, b: F.layer_norm(x, normalized, w, b), (x, w, b))
    assert ta.gradcheck(lambda x: F.layer_norm(x, normalized, eps=0.1), (x,))


@pytest.mark.parametrize("view", [v for v in VIEWS if v != "sliced"])
def test_gradients_of_layer_norm_through_views_match_differences(backend, view):
    assert ta.gradcheck(lambda x: F.layer_norm(VIEWS[view](x), (3,)), (leaf(numbers((3, 3))),))


@given(rows=st.integers(1, 4), size=st.integers(2, 6), scale=st.floats(0.5, 100))
@settings(max_examples=30)
def test_rows_have_mean_0_and_variance_1_whatever_their_scale(rows, size, scale):
    x = numbers((rows, size)) + np.arange(size) * 3
    y = F.layer_norm(ta.tensor(x), (size,), eps=0).numpy()
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(-1), 1, rtol=1e-9)
    scaled = F.layer_norm(ta.tensor(x * scale + 5), (size,), eps=0).numpy()
    np.testing.assert_allclose(scaled, y, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("values", [[[0.0, 0, 0]], [[INF, 0, 0]], [[NAN, 1, 2]], [[1e4, -1e4, 0]]])
def test_layer_norm_of_special_values_as_in_torch(torch, backend, values):
    for dtype in ("float32", "float64"):
        same_as_torch(torch, lambda t, x: layer_norm(t, (3,), x), np.array(values).astype(dtype))


def test_layer_norm_takes_one_size():
    x = ta.tensor(numbers((2, 3)))
    assert F.layer_norm(x, 3).tolist() == F.layer_norm(x, (3,)).tolist()


def test_arguments_of_layer_norm_are_named():
    x = ta.ones(2, 3)
    with pytest.raises(RuntimeError, match=r"normalized_shape: .*\[2, 3\], got \[2\]"):
        F.layer_norm(x, (2,))
    with pytest.raises(RuntimeError, match=r"weight: expected shape \[3\], got \[2\]"):
        F.layer_norm(x, (3,), ta.ones(2))
    with pytest.raises(RuntimeError, match=r"bias: expected shape \[3\], got \[1\]"):
        F.layer_norm(x, (3,), ta.ones(3), ta.ones(1))
    with pytest.raises(TypeError, match=r"weight: expected float32.*got float64"):
        F.layer_norm(x, (3,), ta.ones(3, dtype=ta.float64))
    with pytest.raises(RuntimeError, match=r"layer_norm: input: expected float.*got int64"):
        F.layer_norm(x.long(), (3,))


def rms_norm(t, shape, *tensors, eps=None):
    return functional(t).rms_norm(tensors[0], shape, *tensors[1:], eps=eps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "normalized"), NORMALIZED)
def test_rms_norm_as_in_torch(torch, backend, shape, normalized, dtype):
    arrays = [numbers(s, i, dtype) for i, s in enumerate((shape, normalized))]
    for given_eps in (None, 0.1):
        for n in (1, 2):
            case = lambda t, *x: rms_norm(t, normalized, *x, eps=given_eps)  # noqa: B023, E731
            same_as_torch(torch, case, *arrays[:n])


@pytest.mark.parametrize("values", [[[0.0, 0, 0]], [[INF, 0, 0]], [[NAN, 1, 2]], [[1e4, -1e4, 0]]])
def test_rms_norm_of_special_values_as_in_torch(torch, backend, values):
    for dtype in ("float32", "float64"):
        same_as_torch(torch, lambda t, x: rms_norm(t, (3,), x), np.array(values).astype(dtype))


@pytest.mark.parametrize(("shape", "normalized"), NORMALIZED)
def test_gradients_of_rms_norm_match_differences(backend, shape, normalized):
    x, w = leaf(numbers(shape)), leaf(numbers(normalized, 1))
    assert ta.gradcheck(lambda x, w: F.rms_norm(x, normalized, w, 0.01), (x, w))
    assert ta.gradcheck(
        lambda x: F.rms_norm(x.transpose(0, -1), x.shape[0]), (leaf(numbers((2, 3))),)
    )


def test_arguments_of_rms_norm_are_named():
    x = ta.ones(2, 3)
    with pytest.raises(RuntimeError, match=r"normalized_shape: .*\[2, 3\], got \[2\]"):
        F.rms_norm(x, (2,))
    with pytest.raises(RuntimeError, match=r"weight: expected shape \[3\], got \[2\]"):
        F.rms_norm(x, 3, ta.ones(2))
    with pytest.raises(RuntimeError, match=r"rms_norm: input: expected float.*got int64"):
        F.rms_norm(x.long(), (3,))


@given(
    shape=SHAPES,
    p=st.sampled_from([2.0, 1, 3, INF, 0.5]),
    dim=st.integers(-3, 2),
    eps=st.sampled_from([1e-12, 2.5]),
    zero=st.booleans(),
    dtype=st.sampled_from(["float32", "float64", "int64"]),
)
@settings(max_examples=80, deadline=None)
def test_normalize_as_in_torch(torch, shape, p, dim, eps, zero, dtype):
    x = (numbers(shape) * 3 * (not zero)).astype(dtype)
    same_as_torch(torch, lambda t, x: functional(t).normalize(x, p, dim, eps), x)


PAIRS = st.sampled_from([(), (3,), (2, 3), (1, 3), (2, 1), (2, 2, 3), (0, 3), (2, 0)])


@given(
    shapes=st.tuples(PAIRS, PAIRS),
    dim=st.integers(-2, 2),
    eps=st.sampled_from([1e-8, 2.5]),
    zero=st.booleans(),
    dtypes=st.tuples(*[st.sampled_from(["float32", "float64", "int64"])] * 2),
)
@settings(max_examples=100, deadline=None)
def test_cosine_similarity_as_in_torch(torch, shapes, dim, eps, zero, dtypes):
    x = (numbers(shapes[0]) * 3 * (not zero)).astype(dtypes[0])
    y = (numbers(shapes[1], 1) * 3).astype(dtypes[1])
    case = lambda t, x, y: functional(t).cosine_similarity(x, y, dim, eps)  # noqa: E731
    same_as_torch(torch, case, x, y)


@given(
    shapes=st.tuples(PAIRS, PAIRS),
    p=st.sampled_from([2.0, 1, 3, INF]),
    eps=st.sampled_from([1e-6, 0.0]),
    keepdim=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
)
@settings(max_examples=80, deadline=None)
def test_pairwise_distance_as_in_torch(torch, shapes, p, eps, keepdim, dtype):
    x, y = (np.round(numbers(s, i)).astype(dtype) for i, s in enumerate(shapes))
    case = lambda t, x, y: functional(t).pairwise_distance(x, y, p, eps, keepdim)  # noqa: E731
    same_as_torch(torch, case, x, y)


def test_gradients_of_norms_and_distances_match_differences():
    x, y = leaf(numbers((2, 3))), leaf(numbers((3,), 1))
    for p in (1, 2, 3, INF):
        assert ta.gradcheck(lambda x, p=p: F.normalize(x, p, -1), (x,))
        assert ta.gradcheck(lambda x, y, p=p: F.pairwise_distance(x, y, p), (x, y))
    assert ta.gradcheck(lambda x, y: F.cosine_similarity(x, y, -1), (x, y))


def test_gradients_at_the_zero_vector_are_finite():
    for case in (
        lambda x: F.normalize(x, dim=0),
        lambda x: F.cosine_similarity(x, ta.ones(3), 0),
        lambda x: F.pairwise_distance(x, x.detach(), eps=0.0),
    ):
        x = ta.zeros(3, requires_grad=True)
        case(x).sum().backward()
        assert x.grad.isfinite().all().item()


def test_both_halves_run_by_hand():
    f = normalising.Softmax()
    assert f.forward(np.zeros((1, 2))).tolist() == [[0.5, 0.5]]
    assert f.backward(np.array([[1.0, 0.0]])).tolist() == [[0.25, -0.25]]


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_directions_along_any_dimension_are_contiguous(backend, dim):
    x = leaf(numbers((3, 4, 5)))
    y = F.normalize(x, dim=dim)
    np.testing.assert_allclose(y.norm(dim=dim).detach().numpy(), 1, rtol=1e-6)
    assert y.is_contiguous()
    weights = ta.tensor(numbers((3, 4, 5), 1))
    (y * weights).sum().backward()
    along = (x.grad * x.detach()).sum(dim).numpy()  # a longer x has the same direction
    np.testing.assert_allclose(along, 0, atol=1e-6)
    c = F.cosine_similarity(x.detach(), 2 * x.detach(), dim)
    np.testing.assert_allclose(c.numpy(), 1, rtol=1e-6)


@pytest.mark.parametrize("dim", [0, 1, 2, -2])
def test_directions_and_cosines_along_any_axis_are_those_of_numpy(dim):
    x, y = numbers((2, 3, 4)), numbers((2, 3, 4), 7)
    size = np.sqrt((x * x).sum(dim, keepdims=True))
    np.testing.assert_allclose(F.normalize(ta.tensor(x), dim=dim).numpy(), x / size, rtol=1e-12)
    cosine = (x * y).sum(dim) / np.sqrt((x * x).sum(dim) * (y * y).sum(dim))
    got = F.cosine_similarity(ta.tensor(x), ta.tensor(y), dim=dim)
    np.testing.assert_allclose(got.numpy(), cosine, rtol=1e-12)


@pytest.mark.parametrize("factor", [1e200, 1e-200])
def test_the_direction_of_a_vector_whose_square_is_no_float64(backend, factor):
    x = ta.tensor([[3 * factor, 4 * factor]], dtype=ta.float64)
    np.testing.assert_allclose(F.normalize(x, eps=1e-300).numpy(), [[0.6, 0.8]], rtol=1e-12)
    distance = F.pairwise_distance(x, -x, eps=0.0)
    np.testing.assert_allclose(distance.numpy(), [10 * factor], rtol=1e-12)


def test_one_number_is_a_row() -> None:
    x = ta.tensor(-3.0, requires_grad=True)
    assert F.normalize(x, dim=0).item() == -1
    assert F.cosine_similarity(x, ta.tensor(2.0), dim=0).item() == -1


def test_the_distance_of_two_rows_is_not_the_same_from_both_sides_with_a_large_eps() -> None:
    x, y = ta.tensor([[3.0, 0.0]]), ta.tensor([[0.0, 0.0]])
    assert F.pairwise_distance(x, y, eps=1.0).tolist() == pytest.approx([17**0.5])
    assert F.pairwise_distance(y, x, eps=1.0).tolist() == pytest.approx([5**0.5])
