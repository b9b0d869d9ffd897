"""What programs bring besides: rounding, cumprod, questions about elements, random draws."""

import math

import numpy as np
import pytest

import tinyattn as ta


def leaf(values):
    return ta.tensor(values, dtype=ta.float64, requires_grad=True)


def test_rounding():
    x = ta.tensor([-1.5, -0.5, 0.5, 1.7])
    assert x.floor().tolist() == [-2, -1, 0, 1]
    assert x.ceil().tolist() == [-1, 0, 1, 2]
    assert x.trunc().tolist() == [-1, 0, 0, 1]
    assert x.round().tolist() == [-2, 0, 0, 2]
    assert ta.tensor([1.234, 5.0]).double().round(decimals=1).tolist() == [1.2, 5.0]
    assert ta.tensor([125.0, 175.0]).round(decimals=-1).tolist() == [120.0, 180.0]
    assert ta.tensor([3, -4]).floor().tolist() == [3, -4]
    with pytest.raises(RuntimeError, match="decimals"):
        ta.tensor([1]).round(decimals=1)
    with pytest.raises(RuntimeError, match="bool"):
        ta.tensor([True]).floor()


@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "round", "frac"])
def test_gradients_of_rounding(name):
    assert ta.gradcheck(lambda x: getattr(ta, name)(x) + 0 * x, (leaf([-1.7, 0.3, 2.6]),))
    x = leaf([-1.7, 0.3, 2.6])
    getattr(x, name)().sum().backward()
    assert x.grad.tolist() == [float(name == "frac")] * 3
    y = leaf([0.5]) * 1
    if name in ("floor", "ceil", "round"):
        assert getattr(y, name + "_")() is y
        assert y.item() in (0, 1)


def test_remainders_have_the_sign_of_one_operand_or_the_other():
    x = ta.tensor([-7.0, 7.0])
    assert x.fmod(3).tolist() == [-1, 1]
    assert x.remainder(3).tolist() == [2, 1]
    assert ta.fmod(x, ta.tensor([-3.0, -3.0])).tolist() == [-1, 1]
    assert ta.gradcheck(ta.fmod, (leaf([-7.2, 7.3, 1.1]), leaf([3.1, -2.9, 0.4])))
    with pytest.raises(RuntimeError, match="divided by 0"):
        ta.tensor([1]).fmod(0)


def test_cumprod():
    assert ta.tensor([[1, 2], [3, 4]]).cumprod(1).tolist() == [[1, 2], [3, 12]]
    assert ta.tensor([[1, 2], [3, 4]]).cumprod(0).dtype == ta.int64
    for dim in (0, -1):
        assert ta.gradcheck(
            lambda x, d=dim: x.cumprod(d), (leaf([[2.0, 0.0, 3.0], [1.0, -1.0, 0.0]]),)
        )
    assert ta.gradcheck(lambda x: x.cumprod(0), (leaf(2.0),))


def test_where_elements_are_not_zero():
    x = ta.tensor([[0, 3], [5, 0]])
    assert x.nonzero().tolist() == [[0, 1], [1, 0]]
    assert [i.tolist() for i in x.nonzero(as_tuple=True)] == [[0, 1], [1, 0]]
    assert [i.tolist() for i in ta.where(x > 0)] == [[0, 1], [1, 0]]
    assert ta.tensor(3).nonzero().shape == (1, 0)
    assert ta.where(ta.tensor(3))[0].tolist() == [0]
    with pytest.raises(TypeError, match="both input and other"):
        ta.where(x > 0, x)


def test_sorting_and_counting():
    x = ta.tensor([3, 1, 3, 2])
    assert x.argsort().tolist() == [1, 3, 0, 2]
    assert x.argsort(descending=True).tolist()[:2] == [
        0,
        2,
    ]
    found, inverse, counts = ta.unique(x, return_inverse=True, return_counts=True)
    assert (found[inverse] == x).all()
    assert counts.tolist() == [1, 1, 2]
    assert ta.unique(ta.tensor([[1, 2], [1, 2]]), dim=0).tolist() == [[1, 2]]
    assert x.unique().tolist() == [1, 2, 3]
    assert x.unique(return_counts=True)[1].dtype == ta.int64
    inverse = ta.unique(ta.tensor([[4, 1], [1, 4]]), return_inverse=True)[1]
    assert inverse.tolist() == [[1, 0], [0, 1]]
    assert x.bincount(minlength=6).tolist() == [0, 1, 1, 2, 0, 0]
    assert x.bincount(ta.tensor([0.5, 1.0, 1.0, 1.0])).tolist() == [0, 1, 1, 1.5]
    for bad in (ta.tensor([-1]), ta.tensor([1.0]), ta.tensor([[1]])):
        with pytest.raises(RuntimeError, match="bincount: input"):
            bad.bincount()
    with pytest.raises(RuntimeError, match="minlength"):
        x.bincount(minlength=-1)
    with pytest.raises(RuntimeError, match="weights"):
        x.bincount(ta.ones(3))
    assert ta.isin(x, ta.tensor([3, 7])).tolist() == [True, False, True, False]


def test_the_slices_that_are_told_apart_have_a_dimension_and_elements():
    assert ta.unique(ta.ones(2, 0), dim=1).shape == (2, 0)
    for shape, dim in (((2, 0), 0), ((0, 0), 1)):
        with pytest.raises(RuntimeError, match="unique: input: expected slices with elements"):
            ta.unique(ta.ones(shape), dim=dim)
    with pytest.raises(IndexError, match="dim: Dimension out of range"):
        ta.unique(ta.ones(2), dim=1)
    with pytest.raises(IndexError, match="dim: expected a tensor that has dimensions"):
        ta.unique(ta.tensor(1.0), dim=0)


def test_numbers_are_looked_for_too():
    """`isin(tokens, PAD)`; a number has the precision of the tensor that it is compared with."""
    x = ta.tensor([3, 1, 2, 3])
    assert ta.isin(x, 3).tolist() == [True, False, False, True]
    assert ta.isin(x, 2.5).tolist() == [False] * 4
    assert ta.isin(ta.tensor([0.1]), 0.1).tolist() == [True]
    assert ta.isin(2, x).item() is True
    assert ta.isin(x, ta.tensor([3, 1]), invert=True).tolist() == [False, False, True, False]
    with pytest.raises(TypeError, match="test_elements: expected a Tensor, got list"):
        ta.isin(x, [3])
    with pytest.raises(TypeError, match="elements: expected a Tensor, got int"):
        ta.isin(1, 2)


@pytest.mark.parametrize("name", ["hstack", "vstack"])
def test_what_is_stacked_is_a_list_of_tensors(name):
    with pytest.raises(RuntimeError, match=f"{name}: tensors: expected a non-empty list"):
        getattr(ta, name)([])
    with pytest.raises(TypeError, match=f"{name}: tensors: expected a tuple or list of Tensors"):
        getattr(ta, name)(ta.ones(2, 3))
    with pytest.raises(TypeError, match=f"{name}: tensors: element 1: expected a Tensor, got int"):
        getattr(ta, name)([ta.ones(2), 1])


@pytest.mark.parametrize("tolerance", ["rtol", "atol"])
def test_a_tolerance_is_not_negative(tolerance):
    for wrong in (-1e-3, math.nan):
        with pytest.raises(RuntimeError, match=f"{tolerance}: expected a number >= 0"):
            ta.allclose(ta.ones(2), ta.ones(2), **{tolerance: wrong})


def test_comparing_whole_tensors():
    x, nan = ta.tensor([1.0, math.inf]), ta.tensor([math.nan])
    assert x.equal(x)
    assert not x.equal(x[:1])
    assert ta.allclose(x, x * (1 + 1e-7))
    assert not x.allclose(x + 1)
    assert x.isclose(x + 1).tolist() == [False, True]
    assert not nan.allclose(nan)
    assert nan.allclose(nan, equal_nan=True)
    assert x.allclose(ta.tensor([1.5, math.inf]), rtol=0, atol=0.5)
    with pytest.raises(RuntimeError, match="one dtype"):
        x.allclose(x.double())
    assert ta.is_tensor(x)
    assert not ta.is_tensor(1)
    assert ta.numel(x) == 2


def test_repeat_interleave_and_meshgrid():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    assert x.repeat_interleave(2).tolist() == [1, 1, 2, 2, 3, 3, 4, 4]
    assert x.repeat_interleave(ta.tensor([2, 0]), dim=0).tolist() == [[1, 2], [1, 2]]
    assert ta.gradcheck(lambda x: x.repeat_interleave(ta.tensor([1, 2]), 1), (x,))
    for wrong, message in (
        (-1, ">= 0"),
        (ta.tensor([1, 2, 3]), "or 2 of them"),
        (ta.ones(2), "integers"),
    ):
        with pytest.raises(RuntimeError, match=message):
            x.repeat_interleave(wrong, 0)
    with pytest.raises(RuntimeError, match="output_size"):
        x.repeat_interleave(2, 0, output_size=3)
    a, b = leaf([1.0, 2.0]), leaf([5.0, 6.0, 7.0])
    for indexing, shape in (("ij", (2, 3)), ("xy", (3, 2))):
        one, two = ta.meshgrid(a, b, indexing=indexing)
        assert one.shape == two.shape == shape
        assert set(one.tolist()[0]) == ({1} if indexing == "ij" else {1, 2})
    assert ta.gradcheck(lambda a, b: math.prod(ta.meshgrid([a, b], indexing="xy")), (a, b))
    with pytest.warns(UserWarning, match="indexing"):
        ta.meshgrid(a, b)
    with pytest.raises(RuntimeError, match="indexing"):
        ta.meshgrid(a, indexing="yx")
    with pytest.raises(RuntimeError, match="shape"):
        ta.meshgrid(x, indexing="ij")


def test_multinomial_draws_by_weight():
    g = ta.Generator().manual_seed(1)
    weights = ta.tensor([[1.0, 0.0, 3.0], [0.0, 2.0, 2.0]])
    drawn = ta.multinomial(weights, 8000, replacement=True, generator=g)
    shares = np.stack([np.bincount(row, minlength=3) / 8000 for row in drawn.numpy()])
    assert np.abs(shares - [[0.25, 0, 0.75], [0, 0.5, 0.5]]).max() < 0.02
    firsts = [ta.multinomial(weights[0], 1, generator=g).item() for _ in range(2000)]
    assert abs(firsts.count(2) / 2000 - 0.75) < 0.05
    both = ta.multinomial(weights, 2, generator=g)
    assert sorted(both[0].tolist()) == [0, 2]
    assert sorted(both[1].tolist()) == [1, 2]
    firsts = [ta.multinomial(weights[0], 2, generator=g)[0].item() for _ in range(2000)]
    assert abs(firsts.count(2) / 2000 - 0.75) < 0.05


def test_a_draw_never_takes_what_has_no_weight():
    weights = ta.tensor([0.0, 1.0, 0.0, 1e-30, 0.0])
    assert set(ta.multinomial(weights, 500, replacement=True).tolist()) == {1}


@pytest.mark.parametrize(
    ("weights", "count", "message"),
    [
        ([0.0, 0.0], 1, "0 weights are positive$"), ([1.0, 0.0], 2, "replacement=True"),
        ([-1.0, 2.0], 1, "not negative"), ([math.nan, 1.0], 1, "finite"), ([math.inf], 1, "finite"),
        ([[[1.0]]], 1, r"\(V,\) or \(B, V\)"), ([1.0], 0, "at least 1"), ([1, 2], 1, "float32"),
    ],
)  # fmt: skip
def test_weights_that_are_none(weights, count, message):
    with pytest.raises(RuntimeError, match=message):
        ta.multinomial(ta.tensor(weights), count)


def test_draws_have_their_means():
    g = ta.Generator().manual_seed(2)
    n = 20000
    assert abs(ta.bernoulli(ta.full((n,), 0.3), generator=g).mean().item() - 0.3) < 0.02
    assert abs(ta.ones(n).bernoulli(0.7, generator=g).mean().item() - 0.7) < 0.02
    assert abs(ta.zeros(n).bernoulli_(0.2, generator=g).mean().item() - 0.2) < 0.02
    assert abs(ta.zeros(n).exponential_(4.0, generator=g).mean().item() - 0.25) < 0.02
    y = ta.normal(3.0, 2.0, (n,), generator=g)
    assert abs(y.mean().item() - 3) < 0.05
    assert abs(y.std().item() - 2) < 0.05
    y = ta.normal(ta.tensor([0.0, 100.0]), ta.tensor([0.0, 1.0]))
    assert y[0].item() == 0
    assert abs(y[1].item() - 100) < 10
    z = ta.zeros(n, dtype=ta.int64).random_(2, 5, generator=g)
    assert set(z.tolist()) == {2, 3, 4}
    assert set(z.random_(2).tolist()) == {0, 1}
    assert ta.zeros(n, dtype=ta.uint8).random_().max().item() > 200
    for wrong in (
        lambda: ta.bernoulli(ta.tensor([1.5])), lambda: ta.zeros(2).bernoulli_(-0.1),
        lambda: ta.zeros(2).exponential_(0.0), lambda: ta.normal(0.0, -1.0, (2,)),
    ):  # fmt: skip
        with pytest.raises(RuntimeError):
            wrong()
    for wrong in (lambda: ta.normal(0.0, 1.0), lambda: ta.normal(ta.zeros(2), 1.0, (2,))):
        with pytest.raises(TypeError, match="size"):
            wrong()


def test_a_generator_is_a_source_of_its_own():
    ta.manual_seed(0)
    expected = ta.rand(2).tolist()
    ta.manual_seed(0)
    g = ta.Generator().manual_seed(7)
    first = [
        ta.randn(3, generator=g),
        ta.randint(9, (3,), generator=g),
        ta.randperm(5, generator=g),
    ]
    assert ta.rand(2).tolist() == expected
    g.manual_seed(7)
    again = [
        ta.randn(3, generator=g),
        ta.randint(9, (3,), generator=g),
        ta.randperm(5, generator=g),
    ]
    assert all(a.equal(b) for a, b in zip(first, again, strict=True))
    assert g.initial_seed() == 7
    assert ta.rand(2, generator=ta.Generator()).equal(ta.rand(2, generator=ta.Generator()))
    state = g.get_state()
    one = ta.rand(4, generator=g)
    assert ta.rand(4, generator=g.set_state(state)).equal(one)
    assert g.seed() == g.initial_seed()
    assert str(g.device) == "cpu"
    with pytest.raises(TypeError, match="generator: expected a Generator"):
        ta.rand(2, generator=7)


def test_other_names():
    x, y = leaf([[1.0, 2.0]]), leaf([[3.0, 4.0]])
    assert ta.concat([x, y]).tolist() == [[1, 2], [3, 4]]
    assert ta.vstack([x[0], y]).tolist() == [[1, 2], [3, 4]]
    assert ta.hstack([x, y]).tolist() == [[1, 2, 3, 4]]
    assert ta.hstack([x[0], y[0, 0]]).tolist() == [1, 2, 3]
    assert x.swapaxes(0, 1).tolist() == [[1], [2]]
    assert x.clip(1.5, 9).tolist() == [[1.5, 2]]
    assert ta.gradcheck(ta.log2, (x,))
    assert ta.log2(ta.tensor([8, 1])).tolist() == [3, 0]
    assert ta.gradcheck(ta.log10, (x,))
    expected = [-2, 0, 3, -math.inf]
    assert ta.allclose(ta.log10(ta.tensor([0.01, 1, 1000, 0])), ta.tensor(expected))
    assert ta.tensor([100]).log10().dtype == ta.float32


def test_numbers_in_place_of_nan_and_infinities():
    x = ta.tensor([math.nan, math.inf, -math.inf, 2.0], requires_grad=True)
    y = x.nan_to_num()
    assert y.tolist() == [0, ta.finfo(ta.float32).max, ta.finfo(ta.float32).min, 2]
    y.sum().backward()
    assert x.grad.tolist() == [0, 0, 0, 1]
    assert x.nan_to_num(1.0, 5.0, -5.0).tolist() == [1, 5, -5, 2]
    assert ta.tensor([3]).nan_to_num().tolist() == [3]


def test_numpys_names_of_dim_and_keepdim():
    x = ta.tensor([[1.0, 5.0], [3.0, 2.0]])
    for name in ("sum", "mean", "argmax", "argmin", "std", "var", "all", "any"):
        method = getattr(x, name)
        assert method(axis=1).equal(method(1))
        assert method(axis=0, keepdims=True).equal(method(0, keepdim=True))
        assert method(0, keepdims=True).equal(method(0, keepdim=True))
        with pytest.raises(TypeError, match="another name of dim"):
            method(0, axis=0)
    for name in ("max", "min"):
        values, indices = getattr(x, name)(axis=1, keepdims=True)
        assert values.equal(getattr(x, name)(1, True)[0])
        assert indices.shape == (2, 1)


def test_diagonals_and_triangles():
    x = leaf([1.0, 2.0])
    assert x.diag(1).tolist() == [[0, 1, 0], [0, 0, 2], [0, 0, 0]]
    assert x.diag(-1).tolist() == [[0, 0, 0], [1, 0, 0], [0, 2, 0]]
    matrix = leaf([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert [matrix.diag(k).tolist() for k in (-1, 0, 1, 2, 3)] == [[4], [1, 5], [2, 6], [3], []]
    assert ta.gradcheck(lambda x, m: x.diag() + m.diag(1), (x, matrix))
    with pytest.raises(RuntimeError, match="vector or a matrix"):
        ta.ones(1, 1, 1).diag()
    assert ta.tril_indices(2, 3, -1).tolist() == [[1], [0]]
    assert ta.triu_indices(2, 3, 1).tolist() == [[0, 0, 1], [1, 2, 2]]


@pytest.mark.parametrize("name", ["neg", "abs", "sqrt", "exp", "log", "sigmoid", "tanh", "relu"])
def test_in_place_as_out_of_place(name):
    x = leaf([0.5, 2.0])
    y = x * 1
    assert getattr(y, name + "_")() is y
    assert y.equal(getattr(x, name)())
    assert ta.gradcheck(lambda x: getattr(x * 1, name + "_")(), (x,))


def test_lists_and_text_are_repeated():
    n = ta.tensor(2)
    assert [0] * n == [0, 0]
    assert "ab" * n == "abab"
    assert (3 * n).item() == 6
    with pytest.raises(TypeError):
        [0] * ta.tensor(1.5)
