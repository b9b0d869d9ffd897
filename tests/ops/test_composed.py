"""Names made of other operations, `out=`, and PyTorch's second names."""

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn


def leaf(values):
    return ta.tensor(values, requires_grad=True)


def test_lerp_goes_from_input_to_end():
    x, end, weight = leaf([0.0, 2.0]), leaf([4.0, 4.0]), leaf([0.25, 0.5])
    y = ta.lerp(x, end, weight)
    assert y.tolist() == [1, 3]
    y.sum().backward()
    assert x.grad.tolist() == [0.75, 0.5]
    assert end.grad.tolist() == [0.25, 0.5]
    assert weight.grad.tolist() == [4, 2]
    with pytest.raises(RuntimeError, match="lerp: end: expected the dtype float32 of input, got f"):
        x.lerp(end.double(), 0.5)
    with pytest.raises(RuntimeError, match="lerp: input: expected floats, got int64"):
        ta.lerp(ta.tensor([1]), ta.tensor([2]), 0.5)
    with pytest.raises(RuntimeError, match="lerp: end: expected floats, got int64"):
        ta.lerp(ta.tensor([1.0]), ta.tensor([2]), 0.5)


def test_addcmul_and_addcdiv_add_a_multiple():
    x, one, two = ta.tensor([1.0]), ta.tensor([6.0]), ta.tensor([2.0])
    assert ta.addcmul(x, one, two, value=0.5).tolist() == [7]
    assert x.addcdiv(one, two, value=-1).tolist() == [-2]
    assert x.addcmul(one, two).tolist() == [13]
    with pytest.raises(RuntimeError, match="addcdiv: expected floats"):
        ta.addcdiv(ta.tensor([1]), ta.tensor([1]), ta.tensor([1]))
    assert ta.addcdiv(x, ta.tensor([1]), two).tolist() == [1.5]
    assert ta.addcdiv(x, two, ta.tensor([1])).tolist() == [3]


def test_clamp_with_one_bound():
    x = ta.tensor([-2.0, 0.5, 3.0])
    assert x.clamp_min(0).tolist() == [0, 0.5, 3]
    assert ta.clamp_max(x, 1).tolist() == [-2, 0.5, 1]
    assert x.clamp_min_(-1) is x
    assert x.clamp_max_(2).tolist() == [-1, 0.5, 2]


def test_shapes():
    x = ta.arange(6).reshape(2, 3)
    assert x.reshape_as(ta.zeros(3, 2)).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert x.ravel().tolist() == [0, 1, 2, 3, 4, 5]
    one, two = ta.broadcast_tensors(ta.ones(3, 1), ta.ones(2))
    assert one.shape == two.shape == (3, 2)
    assert ta.broadcast_tensors(ta.tensor([[1], [2]]), ta.tensor([3]))[0].tolist() == [[1], [2]]
    assert ta.broadcast_tensors(ta.ones(()))[0].shape == ()
    with pytest.raises(RuntimeError, match=r"the shapes don't broadcast: \[2\], \[3\]"):
        ta.broadcast_tensors(ta.ones(2), ta.ones(3))
    assert ta.argwhere(ta.tensor([[0, 1], [1, 0]])).tolist() == [[0, 1], [1, 0]]


def test_a_diagonal_is_a_view():
    x = ta.arange(6.0).reshape(2, 3)
    assert x.diagonal().tolist() == [0, 4]
    assert x.diagonal(1).tolist() == [1, 5]
    x.diagonal(-1).fill_(9)
    assert x.tolist() == [[0, 1, 2], [9, 4, 5]]
    w = leaf([[1.0, 2.0], [3.0, 4.0]])
    y = w * 1
    y.diagonal().mul_(10)
    y.sum().backward()
    assert y.tolist() == [[10, 2], [3, 40]]
    assert w.grad.tolist() == [[10, 1], [1, 10]]
    batch = ta.arange(8).reshape(2, 2, 2)
    assert ta.diagonal(batch, dim1=1, dim2=-1).tolist() == [[0, 3], [4, 7]]
    w.grad = None
    w.diagonal(1).sum().backward()
    assert w.grad.tolist() == [[0, 1], [0, 0]]
    cube = leaf(np.arange(8.0).reshape(2, 2, 2))
    (ta.diagonal(cube, 0, 1, 2) * ta.tensor([1.0, 2.0])).sum().backward()
    assert cube.grad.tolist() == [[[1, 0], [0, 2]]] * 2
    with pytest.raises(RuntimeError, match="diagonal: dim1 and dim2: expected two dimensions"):
        ta.diagonal(batch, 0, 2, -1)


def test_a_diagonal_of_read_only_memory_is_read_only():
    with pytest.raises(RuntimeError):
        ta.ones(1).expand(3, 3).diagonal().fill_(0)


def test_fill_diagonal_and_triangles_in_place():
    mask = ta.zeros(2, 3)
    assert mask.fill_diagonal_(1) is mask
    assert mask.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert ta.zeros(2, 2, 2).fill_diagonal_(1).tolist() == [[[1, 0], [0, 0]], [[0, 0], [0, 1]]]
    for shape in ((2,), (2, 2, 3)):
        with pytest.raises(RuntimeError, match="expected a matrix, or dimensions of one size"):
            ta.zeros(shape).fill_diagonal_(1)
    with pytest.raises(RuntimeError, match="wrap: expected False"):
        mask.fill_diagonal_(1, wrap=True)
    x = ta.full((2, 2), -np.inf)
    assert x.triu_(1) is x
    assert x.tolist() == [[0, -np.inf], [0, 0]]
    assert ta.ones(2, 2).tril_(-1).tolist() == [[0, 0], [1, 0]]
    assert ta.ones(2, 2).tril_().tolist() == [[1, 0], [1, 1]]
    assert ta.ones(2, 2).triu_().tolist() == [[1, 1], [0, 1]]


def test_unfold_cuts_windows():
    x = leaf([1.0, 2.0, 3.0, 4.0])
    y = x.unfold(0, 2, 1)
    assert y.tolist() == [[1, 2], [2, 3], [3, 4]]
    y.sum().backward()
    assert x.grad.tolist() == [1, 2, 2, 1]
    assert ta.zeros(2, 5, 3).unfold(1, 3, 2).shape == (2, 2, 3, 3)
    assert ta.arange(4).reshape(2, 2).unfold(-1, 2, 5).tolist() == [[[0, 1]], [[2, 3]]]
    assert ta.tensor(7).unfold(0, 1, 5).tolist() == [7]
    assert ta.tensor(7).unfold(0, 0, 1).shape == (0,)
    assert x.unfold(0, 0, 2).shape == (3, 0)
    with pytest.raises(RuntimeError, match="size: expected at most 4, the size of dimension 0, go"):
        x.unfold(0, 5, 1)
    with pytest.raises(RuntimeError, match="step"):
        x.unfold(0, 2, 0)


def test_take_along_dim_broadcasts():
    x = ta.tensor([[10, 20], [30, 40]])
    assert ta.take_along_dim(x, ta.tensor([[1]]), 1).tolist() == [[20], [40]]
    assert x.take_along_dim(ta.tensor([[1, 0]]), 0).tolist() == [[30, 20]]
    assert x.take_along_dim(ta.tensor([3, 0])).tolist() == [40, 10]
    assert x.take_along_dim(ta.tensor([-1])).tolist() == [40]
    assert x.take_along_dim(ta.tensor([[-2, -1]]), 0).tolist() == [[10, 40]]
    assert x.take_along_dim(ta.tensor([[-1, 0]]), 0).tolist() == [[30, 20]]
    with pytest.raises(
        RuntimeError, match=r"as many dimensions in indices as in input \[2, 2\], g"
    ):
        x.take_along_dim(ta.tensor([1]), 0)
    with pytest.raises(RuntimeError, match=r"input \[2, 2\] and indices \[3, 1\] don't broadcast"):
        x.take_along_dim(ta.zeros(3, 1, dtype=ta.long), 1)


def test_index_put_writes_or_adds():
    x, rows = ta.zeros(2, 2), ta.tensor([0, 1, 0])
    assert x.index_put_((rows,), ta.ones(2), accumulate=True) is x
    assert x.tolist() == [[2, 2], [1, 1]]
    assert x.index_put_((ta.tensor([1]), ta.tensor([0])), ta.tensor(7.0)) is x
    assert x.tolist() == [[2, 2], [7, 1]]
    w, v = leaf([1.0, 2.0, 3.0]), leaf([5.0, 6.0])
    places = [ta.tensor([0, 0])]
    added = ta.index_put(w, places, v, accumulate=True)
    assert added.tolist() == [12, 2, 3]
    (added * ta.tensor([2.0, 3.0, 4.0])).sum().backward()
    assert w.grad.tolist() == [2, 3, 4]
    assert v.grad.tolist() == [2, 2]
    w.grad = None
    written = w.index_put((ta.tensor([2]),), ta.tensor([9.0]))
    assert (written.tolist(), w.tolist()) == ([1, 2, 9], [1, 2, 3])
    written.sum().backward()
    assert w.grad.tolist() == [1, 1, 0]
    with pytest.raises(RuntimeError, match="values: expected the dtype float32 of input, got int"):
        x.index_put_((rows,), ta.tensor([1]))
    with pytest.raises(RuntimeError, match="values: expected the dtype float32 of input, got int"):
        x.index_put((rows,), ta.tensor([1]))


def test_second_names():
    x, y = ta.tensor([1.0, -2.0]), ta.tensor([1.0, 3.0])
    assert ta.multiply(x, y).tolist() == x.multiply(y).tolist() == [1, -6]
    assert ta.subtract(x, y, alpha=2).tolist() == x.subtract(y, alpha=2).tolist() == [-1, -8]
    assert ta.divide(x, y).tolist() == x.true_divide(y).tolist() == x.div(y).tolist()
    assert ta.absolute(x).tolist() == x.absolute().tolist() == [1, 2]
    assert ta.negative(x).tolist() == x.negative().tolist() == [-1, 2]
    assert ta.greater(y, x).tolist() == y.greater(x).tolist() == [False, True]
    assert ta.greater_equal(y, x).tolist() == y.greater_equal(x).tolist() == [True, True]
    assert ta.less(x, y).tolist() == x.less(y).tolist() == [False, True]
    assert ta.less_equal(y, x).tolist() == y.less_equal(x).tolist() == [True, False]
    assert ta.not_equal(x, y).tolist() == x.not_equal(y).tolist() == [False, True]
    assert ta.concatenate([x, y], dim=0).tolist() == [1, -2, 1, 3]
    assert ta.multiply.__doc__ == "Another name of `mul`."
    assert ta.is_floating_point(x)
    assert not ta.is_floating_point(ta.tensor([1]))


def test_out_is_written_and_returned():
    x, y = ta.ones(2, 2), ta.full((2, 2), 3.0)
    out = ta.zeros(2, 2)
    for function, value in (
        (ta.add, 4),
        (ta.sub, -2),
        (ta.mul, 3),
        (ta.div, 1 / 3),
        (ta.matmul, 6),
        (ta.mm, 6),
    ):
        assert function(x, y, out=out) is out
        np.testing.assert_allclose(out.numpy(), np.full((2, 2), value), rtol=1e-6)
    assert ta.add(x, y, alpha=2, out=out).tolist() == [[7, 7], [7, 7]]
    assert ta.sub(x, y, alpha=2, out=out).tolist() == [[-5, -5], [-5, -5]]
    assert ta.div(y, 2, rounding_mode="floor", out=out).tolist() == [[1, 1], [1, 1]]
    pairs = ta.zeros(2, 2, 2)
    assert ta.stack([x, y], 2, out=pairs) is pairs
    assert pairs[0, 0].tolist() == [1, 3]
    assert ta.bmm(pairs, pairs, out=ta.empty(0)).shape == (2, 2, 2)
    assert ta.cat([x, y], 1, out=ta.empty(0)).tolist() == [[1, 1, 3, 3]] * 2
    wide = ta.zeros(2, 2, dtype=ta.float64)
    assert ta.mul(x, 0.5, out=wide).dtype == ta.float64
    rows = ta.zeros(3, 2)
    ta.add(x[0], 1, out=rows[1])
    assert rows.tolist() == [[0, 0], [2, 2], [0, 0]]


def test_out_refuses_what_it_cannot_hold():
    x, out = ta.ones(2), ta.zeros(2)
    with pytest.raises(
        RuntimeError, match=r"add: out: expected shape \[2\] or no elements, got \["
    ):
        ta.add(x, x, out=ta.zeros(3))
    with pytest.raises(RuntimeError, match="mul: out: float32 can't be written into int64"):
        ta.mul(x, 0.5, out=ta.zeros(2, dtype=ta.int64))
    with pytest.raises(TypeError, match="add: out: expected a Tensor, got list"):
        ta.add(x, x, out=[])
    w = ta.ones(2, requires_grad=True)
    for call in (lambda: ta.add(w, x, out=out), lambda: ta.add(x, x, out=w)):
        with pytest.raises(RuntimeError, match="add: out: gradients don't go through it"):
            call()
    with ta.no_grad():
        assert ta.add(w, x, out=out).tolist() == [2, 2]


def test_what_out_overwrites_is_noticed_by_a_backward():
    w, held = ta.ones(2, requires_grad=True), ta.ones(2)
    loss = (w * held).sum()
    ta.add(held, 1, out=held)
    with pytest.raises(RuntimeError, match="add"):
        loss.backward()


def test_gumbel_softmax_draws_near_one_hot_vectors():
    ta.manual_seed(0)
    logits = leaf([[2.0, 0.0, -1.0]]).expand(4000, 3)
    soft = nn.functional.gumbel_softmax(logits, tau=0.5)
    np.testing.assert_allclose(soft.sum(-1).detach().numpy(), 1, rtol=1e-5)
    share = (soft.argmax(-1) == 0).float().mean().item()
    assert abs(share - logits.softmax(-1)[0, 0].item()) < 0.03
    assert soft.std(0)[0] > nn.functional.gumbel_softmax(logits, tau=5).std(0)[0]


def test_hard_gumbel_softmax_is_one_hot_with_the_gradient_of_the_soft_one():
    x, y = leaf([[0.5, 1.0], [0.0, 2.0]]), leaf([[0.5, 1.0], [0.0, 2.0]])
    weights = ta.tensor([[1.0, 2.0], [3.0, 5.0]])
    ta.manual_seed(1)
    hard = nn.functional.gumbel_softmax(x, tau=2, hard=True, dim=0)
    ta.manual_seed(1)
    soft = nn.functional.gumbel_softmax(y, tau=2, dim=0)
    assert hard.sum(0).tolist() == [1, 1]
    assert hard.detach().unique().tolist() == [0, 1]
    assert hard.argmax(0).tolist() == soft.argmax(0).tolist()
    (hard * weights).sum().backward()
    (soft * weights).sum().backward()
    assert x.grad.tolist() == y.grad.tolist()


def test_gumbel_softmax_is_soft_and_of_temperature_1_unless_it_is_said():
    x = ta.tensor([[0.5, 1.0, 0.0]])
    ta.manual_seed(2)
    usual = nn.functional.gumbel_softmax(x)
    ta.manual_seed(2)
    assert ta.equal(usual, nn.functional.gumbel_softmax(x, tau=1, hard=False))
