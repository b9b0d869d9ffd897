"""Operations that move elements: whatever the size, by NumPy or by the kernels, they give the same
values and gradients, which are right.

Small tensors go by NumPy. Here the sizes at which the kernels take over are set to 0, so that
every operation goes by them at shapes that can be checked.
"""

import numpy as np
import pytest

import tinyattn as ta
from tinyattn.kernels import copies
from tinyattn.nn import functional as F
from tinyattn.ops import indexing

ROWS = ta.tensor([2, 0, 2, 4])
PLACES = ta.tensor(np.arange(60).reshape(3, 4, 5) * 7 % 4)
MASK = ta.tensor(np.arange(60).reshape(3, 4, 5) % 3 == 0)


def changed(change):
    def function(x):
        y = x * 1
        change(y, x)
        return y

    return function


CASES = {
    "contiguous": lambda x: x.permute(2, 0, 1).contiguous() * 2,
    "reshape": lambda x: x.transpose(0, 2).reshape(-1),
    "clone": lambda x: x.clone(),
    "cat": lambda x: ta.cat([x, x * 2, x[:, :, :0]], 2),
    "cat of rows": lambda x: ta.cat([x[:1], x], 0),
    "stack": lambda x: ta.stack([x, x * 3], 1),
    "stack at the end": lambda x: ta.stack([x, x * 3], -1),
    "stack of five at the end": lambda x: ta.stack([x, x * 3, x, x.sin(), x * 2], -1),
    "unbind, one part unused": lambda x: ta.stack(x.unbind(2)[:4], 1),
    "split": lambda x: x.split([1, 3], 1)[1] * x.split([1, 3], 1)[0],
    "split, one part unused": lambda x: x.split(2, 2)[1] * 5,
    "unbind": lambda x: x.unbind(1)[2] * x.unbind(1)[0],
    "tensor_split": lambda x: x.tensor_split([3, 1], 1)[2] * 2,
    "slice": lambda x: x[1:, ::2, 3],
    "flip": lambda x: x.flip(0, 2),
    "roll": lambda x: x.roll((2, -1), (0, 2)),
    "roll, flat": lambda x: x.roll(7),
    "roll, one axis twice": lambda x: x.roll((2, 3), (1, 1)),
    "repeat": lambda x: x.repeat(2, 1, 3, 1),
    "repeat_interleave": lambda x: x.repeat_interleave(3, 1),
    "repeat_interleave, flat": lambda x: x.repeat_interleave(2),
    "tril": lambda x: x.tril(1),
    "triu": lambda x: x.triu(-1),
    "pad": lambda x: F.pad(x, (1, -1, 2, 0), value=3.0),
    "expand": lambda x: x[:, :1].expand(3, 4, 5).contiguous(),
    "gather": lambda x: x.gather(1, PLACES),
    "gather, smaller": lambda x: x.gather(2, PLACES[:2, :3]),
    "gather, expanded": lambda x: x.gather(1, PLACES[:, :2, :1].expand(3, 2, 5)),
    "gather, expanded before": lambda x: x.gather(2, PLACES[:1, :1].expand(3, 4, 5)),
    "index_select": lambda x: x.index_select(2, ROWS),
    "index_select of a transposed one": lambda x: x.transpose(0, 2).index_select(0, ROWS),
    "rows": lambda x: x.transpose(0, 2)[ROWS],
    "rows, from the end": lambda x: x[:, ROWS - 4],
    "two arrays": lambda x: x[:, ROWS - 2, ROWS],
    "two arrays apart": lambda x: x[ROWS - 3, :, ROWS],
    "an array and an int": lambda x: x[1, :, ROWS],
    "mask": lambda x: x[MASK],
    "mask of rows": lambda x: x[ta.tensor([True, False, True])],
    "masked_select": lambda x: x.masked_select(MASK),
    "masked_fill": lambda x: (x * 1).masked_fill(MASK, 2.0),
    "embedding": lambda x: F.embedding(ROWS, x.reshape(12, 5)),
    "scatter": lambda x: x.scatter(1, PLACES, x * 2),
    "scatter of a number": lambda x: x.scatter(1, PLACES[:, :2, :3], 4.0),
    "scatter_add": lambda x: x.scatter_add(1, PLACES, x * 2),
    "scatter_add, smaller": lambda x: x.scatter_add(2, PLACES[:2, :3], x * 2),
    "index_add": lambda x: x.index_add(2, ROWS, x[:, :, :4] * 3),
    "index_copy": lambda x: x.index_copy(2, ta.tensor([3, 1]), x[:, :, :2] * 3),
    "x[slice] = v": changed(lambda y, x: y.__setitem__((0, slice(1, 3)), x[1, :2] * 2)),
    "x[rows] = v": changed(lambda y, x: y.__setitem__((slice(None), ROWS[1:3]), x[:, :2] * 2)),
    "x[i, j] = v": changed(lambda y, x: y.__setitem__((ROWS[1:3], ROWS[:2]), x[:2, 0] * 2)),
    "x[mask] = v": changed(lambda y, x: y.__setitem__(MASK, (x * 2)[MASK])),
    "x[mask] = a number": changed(lambda y, x: y.__setitem__(MASK, 7.0)),
    "x[mask of rows] = v": changed(lambda y, x: y.__setitem__(MASK[:, 0, 0], x[0] * 2)),
    "of a view": changed(lambda y, x: y[0].mul_(x[1])),
    "of a transposed view": changed(lambda y, x: y.transpose(0, 2)[1:3].copy_(x[0, 0, 0] * 2)),
}  # fmt: skip


def run(name):
    numbers = np.random.default_rng(3).normal(size=(3, 4, 5))
    x = ta.tensor(numbers, requires_grad=True)
    y = CASES[name](x)
    weights = np.random.default_rng(4).normal(size=y.shape)
    (y * ta.tensor(weights)).sum().backward()
    return y.detach().numpy(), x.grad.numpy()


@pytest.mark.parametrize("name", CASES)
def test_kernels_give_what_numpy_gives(name, backend, monkeypatch):
    few = run(name)
    for module in (copies, indexing):
        monkeypatch.setattr(module, "FEW", -1)
    monkeypatch.setattr(copies, "DENSE", -1)
    for got, want in zip(run(name), few, strict=True):
        np.testing.assert_array_equal(got, want)
    assert ta.gradcheck(CASES[name], ta.randn(3, 4, 5, dtype=ta.float64, requires_grad=True))


def test_repeat_interleave_of_counts_alone() -> None:
    assert ta.repeat_interleave(ta.tensor([2, 0, 1])).tolist() == [0, 0, 2]
    for input, dim in ((ta.tensor([[1, 2]]), None), (ta.tensor([1, 2]), 0)):
        with pytest.raises(RuntimeError, match="repeats: may be left out for an input"):
            ta.repeat_interleave(input, dim=dim)


def test_moveaxis_is_movedim() -> None:
    x = ta.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(ta.moveaxis(x, 0, 2), np.moveaxis(x.numpy(), 0, 2))


def test_masked_integers_of_any_number_are_filled() -> None:
    x = ta.arange(5000).reshape(50, 100)
    y = x.clone().masked_fill_(x % 2 == 0, -1)
    want = np.where(x.numpy() % 2 == 0, -1, x.numpy())
    np.testing.assert_array_equal(y, want)
    z = x.clone()
    z[z % 2 == 0] = -1
    np.testing.assert_array_equal(z, want)


def test_the_gradient_of_a_value_that_fills_many_places() -> None:
    x, value = ta.zeros(80, 100, requires_grad=True), ta.ones((), requires_grad=True)
    mask = ta.arange(8000).reshape(80, 100) % 4 == 0
    (x.masked_fill(mask, value) * 3).sum().backward()
    assert value.grad is not None
    assert value.grad.item() == 3 * 2000
    np.testing.assert_array_equal(x.grad, np.where(mask.numpy(), 0, 3))
