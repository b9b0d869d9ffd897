"""Matrix products, linear and einsum: PyTorch's results and errors, differences, every backend.

SHAPES lists the pairs of shapes once; all tests draw from it.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tests.helpers import integers, leaf, numbers
from tinyattn.autograd.paths import nodes_below
from tinyattn.nn import functional as F
from tinyattn.ops import products
from tinyattn.ops.products import Linear, as_rows, by_rows
from tinyattn.ops.recurrent import GRULayer

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
    same_as_torch(torch, case, integers(x).astype(dtype), integers(y, 1).astype(dtype))


@pytest.mark.parametrize("shapes", [s for s in LINEAR if 0 not in s[1]])
def test_linear_as_in_torch(torch, shapes):
    x, w, b = (None if s is None else integers(s, i) for i, s in enumerate(shapes))

    def case(t, *tensors):
        return (F if t is ta else t.nn.functional).linear(*tensors)

    for dtype in ("float32", "float64"):
        arrays = [a.astype(dtype) for a in (x, w, b) if a is not None]
        same_as_torch(torch, case, *arrays)


@pytest.mark.parametrize(("name", "x", "y"), ALL)
def test_gradients_match_differences(backend, name, x, y):
    assert ta.gradcheck(lambda x, y: CASES[name](ta, x, y), (leaf(numbers(x)), leaf(numbers(y, 1))))


@pytest.mark.parametrize("shapes", LINEAR)
def test_gradients_of_linear_match_differences(backend, shapes):
    inputs = tuple(leaf(numbers(s, i)) for i, s in enumerate(shapes) if s is not None)
    assert ta.gradcheck(F.linear, inputs)


@pytest.mark.parametrize("left", VIEWS)
@pytest.mark.parametrize("right", VIEWS)
def test_gradients_through_views_match_differences(backend, left, right):
    case = lambda x, y: VIEWS[left](x) @ VIEWS[right](y)  # noqa: E731
    assert ta.gradcheck(case, (leaf(numbers((2, 3))), leaf(numbers((3, 2), 1))))
    assert ta.gradcheck(case, (leaf(numbers((2, 2, 3))), leaf(numbers((2, 3, 2), 1))))


@given(
    batch=st.sampled_from([(), (1,), (2,), (2, 3)]),
    m=st.integers(0, 9),
    k=st.integers(0, 9),
    p=st.integers(0, 9),
    transpose=st.booleans(),
)
@settings(max_examples=60)
def test_the_product_is_the_sum_of_products(batch, m, k, p, transpose):
    x, y = integers((*batch, m, k)), integers((*batch, k, p), 1)
    expected = (x[..., :, :, None] * y[..., None, :, :]).sum(-2)
    for name in ta.available_backends():
        if name == "numba":
            continue  # tests/kernels has it
        with ta.use_backend(name):
            a, b = ta.tensor(x), ta.tensor(y)
            if transpose:
                a = ta.tensor(np.ascontiguousarray(x.swapaxes(-1, -2))).transpose(-1, -2)
            np.testing.assert_allclose((a @ b).numpy(), expected, atol=1e-12)


ADDED = {
    "addmm": [
        ((2, 4), (2, 3), (3, 4)),
        ((4,), (2, 3), (3, 4)),
        ((2, 1), (2, 3), (3, 4)),
        ((), (2, 0), (0, 4)),
        ((4,), (0, 3), (3, 4)),
        ((3,), (2, 3), (3, 4)),
        ((2, 4), (2, 3), (2, 4)),
        ((1, 2, 4), (2, 3), (3, 4)),
        ((2, 4), (3,), (3, 4)),
    ],
    "baddbmm": [
        ((2, 2, 4), (2, 2, 3), (2, 3, 4)),
        ((4,), (2, 2, 3), (2, 3, 4)),
        ((2, 4), (2, 2, 3), (1, 3, 4)),
        ((3, 4), (2, 2, 3), (2, 3, 4)),
    ],
}


@pytest.mark.parametrize(
    ("name", "shapes"), [(name, shapes) for name in ADDED for shapes in ADDED[name]]
)
@given(
    dtype=st.sampled_from(["float32", "float64", "int64", "int32"]),
    beta=st.sampled_from([1, 0, 3, 0.5]),
    alpha=st.sampled_from([1, 0, -2, 0.5]),
)
@settings(max_examples=20)
def test_sums_with_products_as_in_torch(torch, name, shapes, dtype, beta, alpha):
    arrays = [integers(shape, i).astype(dtype) for i, shape in enumerate(shapes)]
    if dtype.startswith("int"):
        beta, alpha = int(beta), int(alpha)
    options = {"beta": beta, "alpha": alpha}
    same_as_torch(torch, lambda t, *x: getattr(t, name)(*x, **options), *arrays)
    same_as_torch(torch, lambda t, x, a, b: getattr(x, name)(a, b, **options), *arrays)


def test_a_beta_of_zero_drops_input_even_if_it_is_nan(torch):
    arrays = np.full((2, 2), np.nan), integers((2, 3)), integers((3, 2))
    same_as_torch(torch, lambda t, *x: t.addmm(*x, beta=0), *arrays)


@pytest.mark.parametrize(
    ("name", "shapes"), [("addmm", ADDED["addmm"][2]), ("baddbmm", ADDED["baddbmm"][1])]
)
def test_gradients_of_sums_with_products_match_differences(backend, name, shapes):
    leaves = tuple(leaf(numbers(s, i)) for i, s in enumerate(shapes))
    assert ta.gradcheck(lambda *x: getattr(ta, name)(*x, beta=0.5, alpha=-2), leaves)


EINSUMS = """
    ij,jk->ik  ij,jk  ij,kj->ik  bhqd,bhkd->bhqk  bqhd,bkhd->bhqk  ii  ii->i  iij->ij  iji->ji
    ij->  ij->ji  ij  ...ij,...jk->...ik  ...ij,jk  i,j->ij  i,i  ij,ij->i  i,i->i  ijij->ij
    bij,bjk,bkl->bil  ijk->j  ...->  i...->...  a...b,b...->a...  bn,anm,bm->ba  Ab,bA  ij,j->i
    ij,k->ij  ...,...->...  ij,->ij  abc,abc->  abcd,cbe->aed  ij,jk,kl,lm->im
""".split()  # noqa: SIM905
SIZES = dict(zip("bhqdijklmneacA", [2, 3, 2, 4, 3, 3, 2, 4, 2, 3, 2, 2, 3, 2], strict=True))


def operands(equation, broadcast=False):
    """Arrays that fit; broadcast: those after the first have size 1 wherever they start."""
    arrays = []
    for term in equation.split("->")[0].split(","):
        before, dots, after = term.partition("...")
        shape = [SIZES[letter] for letter in before] + ([2, 3] if dots else [])
        shape += [SIZES[letter] for letter in after]
        if broadcast and arrays and shape:
            shape[0] = 1
        arrays.append(integers(tuple(shape), len(arrays)))
    return arrays


@pytest.mark.parametrize("equation", EINSUMS)
@pytest.mark.parametrize("broadcast", [False, True])
def test_einsum_as_in_torch(torch, equation, broadcast):
    for dtype in ("float32", "float64", "int64"):
        arrays = [x.astype(dtype) for x in operands(equation, broadcast)]
        same_as_torch(torch, lambda t, *x: t.einsum(equation, *x), *arrays)


@pytest.mark.parametrize("equation", EINSUMS)
def test_gradients_of_einsum_match_differences(equation):
    leaves = tuple(ta.tensor(x, requires_grad=True) for x in operands(equation))
    assert ta.gradcheck(lambda *x: ta.einsum(equation, *x), leaves)


FORMS = {
    "lists": lambda t, x, y: t.einsum(x, [0, 1], y, [1, 2], [0, 2]),
    "lists without output": lambda t, x, y: t.einsum(x, [0, 1], y, [1, 2]),
    "dots in lists": lambda t, x, y: t.einsum(x, [..., 0], [...]),
    "operands in a list": lambda t, x, y: t.einsum("ij,jk", [x, y]),
    "spaces": lambda t, x, y: t.einsum(" i j , j k -> k i ", x, y),
    "dots only in one": lambda t, x, y: t.einsum("i...,...->i", x, y[0, 0]),
    "dots summed": lambda t, x, y: t.einsum("...i->i", x),
    "too few operands": lambda t, x, y: t.einsum("ij,jk", x),
    "a letter from nowhere": lambda t, x, y: t.einsum("ij,jk->il", x, y),
    "an output letter twice": lambda t, x, y: t.einsum("ij,kj->ii", x, x),
    "a digit": lambda t, x, y: t.einsum("i1,jk", x, y),
    "too many letters": lambda t, x, y: t.einsum("ijk,jk", x, y),
    "too few letters": lambda t, x, y: t.einsum("i,jk", x, y),
    "sizes that differ": lambda t, x, y: t.einsum("ij,ij->ij", x, y),
    "a diagonal of no square": lambda t, x, y: t.einsum("ii", x),
    "no operand": lambda t, x, y: t.einsum("ij"),
    "a number out of range": lambda t, x, y: t.einsum(x, [60, 1], y, [1, 2]),
    "one dot": lambda t, x, y: t.einsum("i.j,jk", x, y),
    "dots twice": lambda t, x, y: t.einsum("......", x),
    "an arrow twice": lambda t, x, y: t.einsum("ij->ij->i", x),
    "two dtypes": lambda t, x, y: t.einsum("ij,jk->ik", x, y.float()),
    "no tensor": lambda t, x, y: t.einsum("ij,jk->ik", x, 3),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_einsum_as_in_torch(torch, name):
    same_as_torch(torch, FORMS[name], integers((2, 3)), integers((3, 4), 1))


def test_what_does_not_fit_an_equation_is_named():
    x, y = ta.ones(2, 3), ta.ones(4, 2)
    with pytest.raises(RuntimeError, match=r"'j' has size 4 in operand 1 of shape \[4, 2\], but 3"):
        ta.einsum("ij,jk->ik", x, y)
    with pytest.raises(RuntimeError, match=r"'ijk' names 3 dimensions.*shape \[2, 3\]"):
        ta.einsum("ijk", x)
    with pytest.raises(RuntimeError, match="2 operands, but 1 were given"):
        ta.einsum("ij,jk", x)
    with pytest.raises(RuntimeError, match=r"addmm: input: \[3\] .* product's \[2, 2\]"):
        ta.addmm(ta.ones(3), x, ta.ones(3, 2))


@pytest.mark.parametrize("left", [(4,), (3, 4), (2, 3, 4), (20,), (5, 20)])
@pytest.mark.parametrize("right", [(4,), (4, 5), (2, 4, 5), (20,), (20, 6)])
def test_a_product_with_a_vector_has_numpys_shape_and_numbers(backend, left, right):
    if left[-1] != right[-2 if len(right) > 1 else 0]:
        return
    r = np.random.default_rng(4)
    a, b = r.normal(size=left), r.normal(size=right)
    x, y = ta.tensor(a, requires_grad=True), ta.tensor(b, requires_grad=True)
    product = x @ y
    want = a @ b
    assert product.shape == want.shape
    np.testing.assert_allclose(product.detach().numpy(), want, rtol=1e-13, atol=1e-13)
    product.sum().backward()
    assert x.grad.shape == left
    assert y.grad.shape == right


def test_a_weight_used_many_times_sums_its_gradients(backend):
    w, b = leaf(numbers((2, 3))), leaf(numbers((2,), 1))

    def case(w, b):
        x = ta.ones(4, 3, dtype=ta.float64)
        total = 0
        for step in range(3):
            total = total + (F.linear(x * step, w, b).tanh() @ w).sum()
        return total

    assert ta.gradcheck(case, (w, b))


def test_the_gradient_of_many_rows_is_that_of_few_summed(backend):
    x, w = leaf(numbers((600, 3))), leaf(numbers((2, 3), 1))
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


def test_linear_takes_one_row_of_weights_and_one_number_for_all():
    x, row, number = leaf([[1.0, 2.0], [3.0, 4.0]]), leaf([10.0, 1.0]), leaf(5.0)
    y = F.linear(x, row)
    assert y.tolist() == [12.0, 34.0]
    assert F.linear(x[0], row).item() == 12
    (y * ta.tensor([1.0, 2.0]).double()).sum().backward()
    assert (x.grad.tolist(), row.grad.tolist()) == ([[10, 1], [20, 2]], [7, 10])
    for bias in (number, number[None]):
        y = F.linear(x, row[None], bias)
        assert y.tolist() == [[17.0], [39.0]]
        number.grad = None
        y.sum().backward()
        assert number.grad.item() == 2


def test_arguments_of_linear_that_do_not_fit_are_named():
    x, w = ta.ones(2, 3), ta.ones(4, 3)
    with pytest.raises(
        RuntimeError, match=r"linear: .*\(F, D\) or \(D,\), got \[2, 3\] and \[3, 4\]"
    ):
        F.linear(x, w.T)
    with pytest.raises(RuntimeError, match=r"linear: bias: .*\(F,\) = \[4\], got \[3\]"):
        F.linear(x, w, ta.ones(3))
    with pytest.raises(RuntimeError, match=r"linear: .*float32 and float64"):
        F.linear(x, w, ta.ones(4, dtype=ta.float64))
    with pytest.raises(RuntimeError, match="expected numbers, got two tensors of bool"):
        F.linear(x.bool(), w.bool())
    assert F.linear(x.long(), w.long(), ta.arange(4)).tolist() == [[3, 4, 5, 6]] * 2


def test_both_halves_run_by_hand():
    f = products.MatMul()
    assert f.forward(np.ones((1, 2)), np.full((2, 1), 3.0)).tolist() == [[6]]
    assert [g.tolist() for g in f.backward(np.ones((1, 1)))] == [[[3, 3]], [[1], [1]]]


@pytest.mark.parametrize("width", [3, 100])
def test_rows_are_copied_only_where_they_cannot_be_counted_through(width: int) -> None:
    whole = np.arange(20 * 30 * width, dtype=np.float32).reshape(20, 30, width)
    for x in (whole, whole[:, :, 1:], whole[:, ::2], whole[:1].swapaxes(0, 1)):
        assert by_rows(x) is x
        assert np.shares_memory(as_rows(x), x)
    for x in (whole.swapaxes(0, 1), whole[::2], whole[:, 1:, ::-1]):
        kept = by_rows(x)
        assert kept.flags.c_contiguous
        np.testing.assert_array_equal(kept, x)
        np.testing.assert_array_equal(as_rows(x), np.ascontiguousarray(x).reshape(-1, x.shape[-1]))


def test_linear_and_recurrent_layers_copy_an_input_once() -> None:
    """What forward has copied, backward does not copy again."""
    x = ta.randn(5, 70, 16)
    linear = Linear.apply(x.transpose(0, 1), ta.randn(4, 16, requires_grad=True), None)
    recurrent, _ = ta.nn.GRU(16, 8, batch_first=True)(ta.randn(70, 5, 16))
    nodes = nodes_below([y._edge[0] for y in (linear, recurrent)])
    kept = [node.saved["x"] for node in nodes if isinstance(node, (Linear, GRULayer))]
    assert [x.flags.c_contiguous for x in kept] == [True, True]
