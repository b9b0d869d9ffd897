"""The backward pass: what it adds to `.grad`, what it leaves alone, how far and fast it goes."""

import gc
import time

import numpy as np
import pytest

import tinyattn as ta
from tests.helpers import leaf
from tinyattn.autograd import Function

# Accumulation


def test_gradients_accumulate_until_they_are_cleared():
    x = leaf([1.0, 2.0])
    for times in (1, 2, 3):
        (x * x).sum().backward()
        assert x.grad.tolist() == [2.0 * times, 4.0 * times]
    x.grad = None
    (x * 5).sum().backward()
    assert x.grad.tolist() == [5.0, 5.0]


def test_a_tensor_used_often_gets_the_sum():
    x = leaf([3.0])
    (x * x * x + x + x * 2).sum().backward()
    assert x.grad.tolist() == [27.0 + 3.0]
    x = leaf([3.0])
    (x + x).sum().backward()
    assert x.grad.tolist() == [2.0]


def test_a_leaf_can_be_the_root():
    x = leaf([3.0])
    x.sum().backward()
    x.backward()
    assert x.grad.tolist() == [2.0]


def test_only_leaves_keep_a_gradient():
    x = leaf([1.0, 2.0])
    h = x * 2
    y = h.sum()
    y.backward()
    for result in (h, y):
        with pytest.warns(UserWarning, match="grad attribute of a Tensor that is not a leaf"):
            assert result.grad is None
    assert x.grad.requires_grad is False
    assert x.grad.is_leaf


def test_several_outputs_of_one_operation_meet_in_it():
    class SinCos(Function):
        def forward(self, x):
            self.save(x=x)
            return np.sin(x), np.cos(x)

        def backward(self, sin, cos):
            x = self.saved["x"]
            zero = np.zeros_like(x)
            return (zero if sin is None else sin * np.cos(x)) - (
                zero if cos is None else cos * np.sin(x)
            )

    for use, expected in (
        (lambda s, c: s * 2 + c, lambda v: 2 * np.cos(v) - np.sin(v)),
        (lambda s, c: s, np.cos),
        (lambda s, c: c, lambda v: -np.sin(v)),
    ):
        x = leaf([0.3, 2.0])
        use(*SinCos.apply(x)).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), expected(x.detach().numpy()))


# Nothing is shared with .grad


def test_grad_is_never_the_seed():
    x = leaf([1.0, 2.0])
    seed = ta.tensor(np.ones(2))
    for root in (x, x + 0, x.reshape(2, 1).reshape(2), x.clone()):
        x.grad = None
        root.backward(seed)
        assert not np.shares_memory(x.grad.numpy(), seed.numpy())
        x.grad.add_(5)
        assert seed.tolist() == [1.0, 1.0]


def test_grads_of_two_leaves_are_two_arrays():
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    (x + y).backward(ta.tensor(np.ones(2)))
    assert not np.shares_memory(x.grad.numpy(), y.grad.numpy())
    (x + y).backward(ta.tensor(np.ones(2)))
    assert x.grad.tolist() == y.grad.tolist() == [2.0, 2.0]


def test_a_gradient_that_is_handed_on_is_copied_and_a_new_one_is_kept():
    x, y, seed = leaf([1.0, 2.0]), leaf([3.0, 5.0]), ta.tensor([1.0, 10.0])
    (x - y).backward(seed)
    assert not np.shares_memory(x.grad.numpy(), seed.numpy())
    x.grad.zero_()
    assert seed.tolist() == [1.0, 10.0]
    assert y.grad.tolist() == [-1.0, -10.0]


def test_a_shared_gradient_is_not_added_to_in_place():
    # x + y hands one array to both; x gets more afterwards, y must not see it.
    x, y = leaf([1.0]), leaf([1.0])
    h, k = x * 1, y * 1
    ((h + k) + h * 10).sum().backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([11.0], [1.0])


def test_a_part_is_not_added_into_a_gradient_that_others_have():
    x, y = leaf([1, 2]), leaf([1, 2])
    a, b = x * 1, y * 1
    part = a[0]
    ((a + b) * leaf([3, 4]).detach()).sum().backward(retain_graph=True)
    assert [x.grad.tolist(), y.grad.tolist()] == [[3, 4], [3, 4]]
    x.grad = y.grad = None
    (((a + b) * leaf([3, 4]).detach()).sum() + 10 * part + 5 * a[0]).backward()
    assert [x.grad.tolist(), y.grad.tolist()] == [[18, 4], [3, 4]]


def test_grad_is_never_a_saved_array():
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    z = (x * y).sum()
    z.backward(retain_graph=True)
    x.grad.mul_(0)
    y.grad.mul_(0)
    z.backward()
    assert x.grad.tolist() == [3.0, 4.0]
    assert y.grad.tolist() == [1.0, 2.0]
    assert y.tolist() == [3.0, 4.0]


def test_a_backward_may_hand_on_arrays_that_it_keeps():
    class Keeper(Function):
        def forward(self, x):
            self.save(three=np.full_like(x, 3.0))
            return x * 3

        def backward(self, grad):
            return self.saved["three"]

    x = leaf([1.0, 2.0])
    y = Keeper.apply(x).sum() + (x * 2).sum() + (x * 4).sum()
    for times in (1, 2, 3):
        y.backward(retain_graph=True)
        assert x.grad.tolist() == [9.0 * times] * 2


def test_a_broadcast_gradient_becomes_an_array_of_its_own():
    x = leaf(range(6))
    x.sum().backward()
    assert x.grad.numpy().flags.writeable
    assert 0 not in x.grad.numpy().strides
    x.grad.numpy()[0] = 7
    assert x.grad.tolist() == [7.0] + [1.0] * 5


def test_grad_keeps_its_memory_while_it_grows():
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    grad = x.grad
    (x * x).sum().backward()
    assert x.grad is grad
    assert grad.tolist() == [4.0, 8.0]


# Shapes and dtypes


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((3,), (2, 3)),
        ((), (2, 3)),
        ((2, 1), (2, 3)),
        ((1, 3), (2, 1)),
        ((1,), (4, 1, 3)),
        ((1,), (1, 2, 3)),
        ((3, 1), (2, 3, 4)),
        ((0,), (2, 1)),
    ],
)
def test_broadcasting_is_undone(one, other):
    rng = np.random.default_rng(0)
    x, y = (ta.tensor(rng.normal(size=s), requires_grad=True) for s in (one, other))
    seed = rng.normal(size=np.broadcast_shapes(one, other))
    (x * y).backward(ta.tensor(seed))
    for this, that in ((x, y), (y, x)):
        full = np.broadcast_to(this.detach().numpy(), seed.shape)
        flat = np.zeros(this.shape)
        for index in np.ndindex(seed.shape):
            own = tuple(
                i if n != 1 else 0
                for i, n in zip(index[seed.ndim - this.ndim :], this.shape, strict=True)
            )
            flat[own] += (seed * np.broadcast_to(that.detach().numpy(), full.shape))[index]
        assert this.grad.shape == this.shape
        np.testing.assert_allclose(this.grad.numpy(), flat, atol=1e-12)


def test_each_gradient_has_the_dtype_of_its_tensor():
    x, y = leaf([1.0, 2.0], dtype=ta.float32), leaf([3.0, 4.0])
    z = x * y
    assert z.dtype == ta.float64
    z.sum().backward()
    (x * y).sum().backward()
    assert x.grad.dtype == ta.float32
    assert y.grad.dtype == ta.float64
    assert x.grad.tolist() == [6.0, 8.0]
    h = x.double() * 2
    h.backward(ta.tensor([1.0, 1.0]))
    assert x.grad.dtype == ta.float32


def test_a_float32_seed_serves_a_float64_result():
    x = leaf([1.0, 2.0])
    (x * 2).backward(ta.tensor([1.0, 1.0]))
    assert x.grad.dtype == ta.float64


# Order, depth, width


@pytest.mark.parametrize("n", [64, 2000])
def test_diamonds_take_linear_time(n):
    x = leaf([1.0])
    y = x
    for _ in range(n):
        y = y * 0.5 + y * 0.5  # 2^n paths
    start = time.perf_counter()
    y.sum().backward()
    assert x.grad.tolist() == [1.0]
    assert time.perf_counter() - start < 5


def test_each_operation_runs_once_and_after_all_that_use_it():
    order = []

    class Noted(Function):
        def forward(self, *xs, name):
            self.name = name
            return sum(xs)

        def backward(self, grad):
            order.append(self.name)
            return (grad,) * len(self.edges)

    x = leaf([1.0])
    a = Noted.apply(x, name="a")
    b = Noted.apply(a, name="b")
    c = Noted.apply(a, b, name="c")
    d = Noted.apply(a, c, b, name="d")
    d.sum().backward()
    assert order == ["d", "c", "b", "a"]
    assert x.grad.tolist() == [4.0]


def test_ten_thousand_leaves():
    leaves = [leaf([float(i)]) for i in range(10_000)]
    total = leaves[0]
    for other in leaves[1:]:
        total = total + other
    total.sum().backward()
    assert all(each.grad.tolist() == [1.0] for each in leaves)


# Twice, and wrong uses


def test_backward_twice_says_what_to_do():
    x = leaf([2.0])
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"backward through the graph a second time.*Mul") as e:
        y.backward()
    assert "retain_graph=True" in str(e.value)
    assert x.grad.tolist() == [4.0]


def test_a_part_of_a_freed_graph_raises_too():
    x = leaf([2.0])
    h = x * x
    h.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        (h * 3).sum().backward()


def test_what_was_saved_is_handed_over_by_the_last_pass_only():
    x = leaf([[0.5, -1.0, 2.0], [1.0, 0.0, 3.0]])
    loss = ta.nn.functional.cross_entropy(x, ta.tensor([2, 0]))
    saved = loss.grad_fn.saved["dx"]
    want = saved.copy()
    loss.backward(retain_graph=True)
    x.grad *= 2  # the graph still needs what it saved
    loss.backward(retain_graph=True)
    np.testing.assert_allclose(x.grad.numpy(), 3 * want)
    np.testing.assert_array_equal(saved, want)
    x.grad = None
    loss.backward()
    assert x.grad.numpy() is saved  # a large gradient is not copied once more
    np.testing.assert_array_equal(saved, want)


def test_retain_graph_allows_more_passes():
    x = leaf([2.0])
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [12.0]
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_saved_arrays_are_freed_by_the_pass():
    x = leaf(range(1000))
    h = x * x
    y = h.sum()
    y.backward()
    assert not h.grad_fn.saved


def test_a_result_that_is_not_a_scalar_needs_a_gradient():
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"only for scalar outputs.*\[2\].*gradient="):
        (x * 2).backward()
    (x[:1] * 2).backward()  # one element is enough, as in PyTorch
    assert x.grad.tolist() == [2.0, 0.0]


@pytest.mark.parametrize("shape", [(3,), (2, 1), (1, 2), ()])
def test_the_gradient_has_the_shape_of_the_result(shape):
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"gradient: expected .*\[2\]"):
        (x * 2).backward(ta.ones(shape))
    assert x.grad is None


def test_the_gradient_is_a_tensor():
    x = leaf([1.0, 2.0])
    with pytest.raises(TypeError, match="gradient: expected a Tensor, got ndarray"):
        (x * 2).backward(np.ones(2))


def test_a_tensor_outside_any_graph_has_no_backward():
    for y in (ta.ones(()), leaf([1.0]).detach(), (leaf([1.0]) > 0)):
        with pytest.raises(RuntimeError, match="does not require grad"):
            y.sum().backward()


def test_gradients_of_gradients_are_refused_by_name():
    x = leaf([1.0])
    y = (x * x).sum()
    with pytest.raises(NotImplementedError, match=r"create_graph.*first order"):
        y.backward(create_graph=True)
    with pytest.raises(NotImplementedError, match=r"create_graph.*first order"):
        ta.autograd.grad(y, x, create_graph=True)


def test_an_error_in_a_backward_leaves_whole_gradients():
    class Fails(Function):
        def forward(self, x):
            return x * 1

        def backward(self, grad):
            raise ZeroDivisionError("in backward")

    old, new = leaf([1.0]), leaf([1.0])
    (old * 3 + new * 3).sum().backward()
    h = Fails.apply(old * 2)
    late = leaf([1.0])
    y = (h * late * new).sum()
    with pytest.raises(ZeroDivisionError, match="in backward"):
        y.backward()
    assert old.grad.tolist() == [3.0]
    assert late.grad is None or late.grad.tolist() == [2.0]
    assert new.grad.tolist() in ([3.0], [5.0])
    old.grad = new.grad = late.grad = None
    (old * late * new).sum().backward()
    assert old.grad.tolist() == late.grad.tolist() == new.grad.tolist() == [1.0]


# The way pruned: backward(inputs=...)


def test_inputs_limit_what_grows():
    x, y = leaf([1.0]), leaf([2.0])
    (x * y).sum().backward(inputs=[x])
    assert x.grad.tolist() == [2.0]
    assert y.grad is None
    (x * y).sum().backward(inputs=y)
    assert y.grad.tolist() == [1.0]
    assert x.grad.tolist() == [2.0]


def test_inputs_may_lie_in_the_middle():
    x = leaf([3.0])
    h = x * x
    (h * 5).sum().backward(inputs=[h])
    assert h.grad.tolist() == [5.0]
    assert x.grad is None
    h.sum().backward()  # the pass ended at h: what lies below is untouched
    assert x.grad.tolist() == [6.0]


def test_an_input_in_the_middle_that_keeps_its_gradient_gets_it_once():
    h = leaf([3.0]) * 2
    h.retain_grad()
    (h * 5).sum().backward(inputs=[h])
    assert h.grad.tolist() == [5.0]


# Leaves, detach, requires_grad


def test_detach_cuts_the_way():
    x = leaf([2.0])
    (x * (x * x).detach()).sum().backward()
    assert x.grad.tolist() == [4.0]
    d = x.detach()
    assert not d.requires_grad
    assert d.is_leaf
    assert d.grad_fn is None
    assert np.shares_memory(d.numpy(), x.detach().numpy())


def test_what_is_a_leaf():
    x = leaf([1.0])
    assert x.is_leaf
    assert x.grad_fn is None
    assert not (x * 2).is_leaf
    assert (x * 2).grad_fn is not None
    assert "Mul" in repr((x * 2).grad_fn)
    assert ta.ones(2).is_leaf
    assert (ta.ones(2) * 2).is_leaf


def test_requires_grad_on_and_off():
    x = ta.ones(2)
    assert x.requires_grad_() is x
    y = (x * 2).sum()
    x.requires_grad_(False)
    assert not (x * 2).requires_grad
    x.requires_grad = True
    y.backward()
    assert x.grad.tolist() == [2.0, 2.0]
    h = x * 2
    h.requires_grad_()
    with pytest.raises(RuntimeError, match=r"requires_grad.*leaf.*Mul.*detach"):
        h.requires_grad_(False)


def test_asking_again_for_a_gradient_changes_nothing():
    x = leaf([2.0])
    seen = []
    x.register_hook(lambda grad: seen.append(grad.tolist()))
    y = (x * 3).sum()
    x.requires_grad_()
    x.requires_grad = True
    assert ta.autograd.grad(y, x, retain_graph=True)[0].tolist() == [3.0]
    y.backward()
    assert seen[-1] == [3.0]


@pytest.mark.parametrize("dtype", [ta.int64, ta.int32, ta.bool])
def test_integers_need_no_gradient(dtype):
    x = ta.ones(2).to(dtype)
    with pytest.raises(RuntimeError, match=r"only floating point .*(int|bool)"):
        x.requires_grad_()
    with pytest.raises(RuntimeError, match="only floating point"):
        ta.tensor([1, 2], dtype=dtype, requires_grad=True)
    assert not leaf([1.0]).to(dtype).requires_grad
    assert not (leaf([1.0]) > 0).requires_grad


def test_a_leaf_that_is_gone_takes_nothing():
    x, y = leaf([1.0]), leaf([2.0])
    z = (x * y).sum()
    del x
    gc.collect()
    z.backward()
    assert y.grad.tolist() == [1.0]


# Sums over time that wait: a product with the same batch of matrices at every step


def random(*shape):
    values = np.random.default_rng(sum(shape)).standard_normal(shape)
    return ta.tensor(values, requires_grad=True)


def steps(memory, queries):
    """Dot attention without softmax, a query a step, the memory transposed anew each time."""
    total = 0
    for query in queries:
        scores = ta.matmul(query, memory.transpose(1, 2))
        total = total + (ta.matmul(scores, memory) * query).sum()
    return total


@pytest.mark.parametrize("hooked", [False, True])
def test_products_with_one_memory_at_every_step(hooked):
    leaves = [random(*s) for s in ((2, 3, 4), (2, 1, 4), (2, 1, 4), (1, 2, 4))]
    seen = []

    def run(memory, *queries):
        memory = memory * 1
        if hooked and memory.requires_grad:
            memory.register_hook(lambda grad: seen.append(grad.shape))
            memory.retain_grad()
        return steps(memory, queries)

    assert ta.gradcheck(run, leaves)
    assert set(seen) == ({(2, 3, 4)} if hooked else set())


@pytest.mark.parametrize("way", [lambda m: m * 1, lambda m: m], ids=["inside", "leaf"])
def test_backward_computes_the_sums_that_grad_does(way):
    """grad() needs each where it arrives; backward() lets them wait, also behind a transpose."""
    leaves = [random(*s) for s in ((2, 3, 4), (2, 1, 4), (2, 1, 4), (1, 2, 4))]
    memory, *queries = leaves
    want = ta.autograd.grad(steps(way(memory), queries), leaves)
    steps(way(memory), queries).backward()
    for x, w in zip(leaves, want, strict=True):
        np.testing.assert_allclose(x.grad.numpy(), w.numpy(), rtol=1e-12)


def test_a_sum_over_time_meets_an_ordinary_gradient():
    memory, query = random(2, 3, 4), random(2, 1, 4)
    assert ta.gradcheck(lambda m, q: steps(m * 1, [q, q]) + (m * m).sum(), (memory, query))
    assert ta.gradcheck(lambda m, q: (m.exp() * 2).sum() + steps(m, [q, q]), (memory, query))
    flat = random(4, 6)
    assert ta.gradcheck(
        lambda f, q: steps(f.reshape(2, 2, 6)[..., :4].permute(0, 1, 2) * 1, [q]), (flat, query)
    )


def test_the_gradient_of_a_row_of_a_transposed_tensor_is_transposed_back():
    x = ta.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    (x.transpose(0, 1)[1] * ta.tensor([10.0, 20.0])).sum().backward()
    assert x.grad.tolist() == [[0.0, 10.0, 0.0], [0.0, 20.0, 0.0]]


@pytest.mark.parametrize("first", ["product", "row"])
def test_a_weight_that_is_multiplied_and_indexed_gets_both_gradients(first):
    x, w = ta.tensor([[1.0, 2.0], [3.0, 4.0]]), ta.ones(2, 2, requires_grad=True)
    terms = [lambda: (x @ w).sum(), lambda: 10 * w[0].sum()]
    one, other = terms if first == "product" else terms[::-1]
    (one() + other()).backward()
    assert w.grad.tolist() == [[14.0, 14.0], [6.0, 6.0]]


def test_a_number_and_a_view_of_it_add_their_gradients():
    x = leaf([1.0, 2.0])
    for total in (
        lambda s: s * 2 + (s[None] * 3).sum(),
        lambda s: (s[None] * 3).sum() + s * 2,
        lambda s: s * 1 + s * 1 + (s[None] * 3).sum(),
    ):
        (dx,) = ta.autograd.grad(total(x.sum(0)), [x])
        assert dx.tolist() == [5.0, 5.0]
