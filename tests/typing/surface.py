"""The type of everything public, asserted for type checkers; test_types.py runs them on this file.

Each function takes examples of what its area works on. `assert_type` holds only for exactly the
type that it names: `Any` where something definite is meant does not pass. The functions also run,
so that what is asserted is code that works.
"""

import contextlib
import importlib.util
import io
import warnings
from collections import OrderedDict
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import tinyattn as ta
from tinyattn import Tensor, autograd, learn, nn, optim, parallel, text, viz
from tinyattn.datasets import canvas, everyday, morse, reviews, sessions, stories
from tinyattn.kernels._types import Array
from tinyattn.nn import functional as F
from tinyattn.nn import init, utils
from tinyattn.nn.utils import prune, rnn
from tinyattn.optim import lr_scheduler
from tinyattn.utils.data import (
    DataLoader,
    RandomSampler,
    Subset,
    TensorDataset,
    default_collate,
    random_split,
)
from tinyattn.viz.chart import Chart

DType = np.dtype[Any]


def creation(x: Tensor) -> None:
    assert_type(ta.tensor([1, 2]), Tensor)
    assert_type(ta.tensor(1.0, dtype=ta.float64, requires_grad=True), Tensor)
    assert_type(ta.as_tensor([1.0]), Tensor)
    assert_type(ta.from_numpy(np.ones(2)), Tensor)
    assert_type(ta.zeros(2, 3), Tensor)
    assert_type(ta.zeros((2, 3), dtype=ta.int64), Tensor)
    assert_type(ta.ones(2), Tensor)
    assert_type(ta.empty(2), Tensor)
    assert_type(ta.full((2,), 1.0), Tensor)
    assert_type(ta.zeros_like(x), Tensor)
    assert_type(ta.ones_like(x), Tensor)
    assert_type(ta.empty_like(x), Tensor)
    assert_type(ta.full_like(x, 2), Tensor)
    assert_type(ta.arange(5), Tensor)
    assert_type(ta.linspace(0, 1, 5), Tensor)
    assert_type(ta.eye(2), Tensor)
    assert_type(ta.Tensor([1, 2]), Tensor)

    assert_type((ta.e, ta.inf, ta.nan, ta.pi), tuple[float, float, float, float])
    assert_type(ta.device("cpu"), ta.device)
    assert_type(ta.zeros(2, dtype=ta.uint8, device="cpu"), Tensor)


def old_programs(x: Tensor) -> None:
    assert_type(ta.FloatTensor(2, 3), Tensor)
    assert_type(ta.DoubleTensor([1.0]), Tensor)
    assert_type(ta.LongTensor([1]), Tensor)
    assert_type(ta.IntTensor([1]), Tensor)
    assert_type(ta.ByteTensor([1]), Tensor)
    assert_type(ta.BoolTensor([True]), Tensor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_type(ta.range(0, 3), Tensor)
        assert_type(init.uniform(ta.ones(2)), Tensor)
        assert_type(init.normal(ta.ones(2)), Tensor)
        assert_type(init.constant(ta.ones(2), 1.0), Tensor)
        assert_type(init.eye(ta.ones(2, 2)), Tensor)
        assert_type(init.xavier_uniform(ta.ones(2, 2)), Tensor)
        assert_type(init.xavier_normal(ta.ones(2, 2)), Tensor)
        assert_type(init.kaiming_uniform(ta.ones(2, 2)), Tensor)
        assert_type(init.kaiming_normal(ta.ones(2, 2)), Tensor)
        assert_type(init.orthogonal(ta.ones(2, 2)), Tensor)
        assert_type(utils.clip_grad_norm([ta.ones(2)], 1.0), Tensor)
    assert_type(autograd.Variable(ta.ones(2)), Tensor)
    assert_type(ta.get_default_dtype(), DType)
    assert_type(ta.set_default_dtype(ta.float32), None)
    assert_type(ta.set_float32_matmul_precision("high"), None)
    assert_type(ta.get_float32_matmul_precision(), str)
    assert_type(ta.use_deterministic_algorithms(True), None)
    assert_type(ta.set_printoptions(profile="default"), None)
    print(ta.float16, ta.half, ta.bfloat16)
    assert_type(isinstance(x.dtype, ta.dtype), bool)
    assert_type(ta.zeros_like(x, memory_format=ta.preserve_format), Tensor)
    assert_type(x.contiguous(ta.contiguous_format).clone(memory_format=None), Tensor)
    with ta.inference_mode():
        y = x.detach().clone()
    assert_type((y.addcmul_(y, y), y.addcdiv_(y, y + 1)), tuple[Tensor, Tensor])
    assert_type(y.lerp_(y, 0.5), Tensor)


def names_of_programs(x: Tensor, i: Tensor) -> None:
    assert_type(ta.floor(x), Tensor)
    assert_type(ta.ceil(x), Tensor)
    assert_type(ta.round(x, decimals=1), Tensor)
    assert_type(ta.trunc(x), Tensor)
    assert_type(ta.frac(x), Tensor)
    assert_type((ta.diag(x), x.diag()), tuple[Tensor, Tensor])
    assert_type((ta.tril_indices(2, 2), ta.triu_indices(2, 2)), tuple[Tensor, Tensor])
    assert_type((ta.log2(x), ta.clip(x, 0), ta.nan_to_num(x)), tuple[Tensor, Tensor, Tensor])
    assert_type((x.log2(), x.clip(0), x.nan_to_num()), tuple[Tensor, Tensor, Tensor])
    assert_type((ta.concat([x]), ta.hstack([x]), ta.vstack([x])), tuple[Tensor, Tensor, Tensor])
    assert_type((ta.swapaxes(x, 0, 1), x.swapaxes(0, 1)), tuple[Tensor, Tensor])
    assert_type(ta.fmod(x, 2), Tensor)
    assert_type(ta.remainder(x, 2), Tensor)
    assert_type(ta.floor_divide(x, 2), Tensor)
    assert_type(ta.bitwise_and(i, 1), Tensor)
    assert_type(ta.bitwise_or(i, 1), Tensor)
    assert_type(ta.bitwise_xor(i, 1), Tensor)
    assert_type(ta.bitwise_not(i), Tensor)
    assert_type((ta.allclose(x, x), ta.equal(x, x), ta.is_tensor(x)), tuple[bool, bool, bool])
    assert_type(ta.isclose(x, x), Tensor)
    assert_type(ta.isin(x, x), Tensor)
    assert_type(ta.isin(x, 3, invert=True), Tensor)
    assert_type(ta.numel(x), int)
    assert_type(ta.cumprod(x, 0), Tensor)
    assert_type(ta.argsort(x), Tensor)
    assert_type(ta.bincount(i.flatten()), Tensor)
    assert_type(ta.count_nonzero(x), Tensor)
    assert_type(ta.median(x), Tensor)
    assert_type(ta.median(x, 0).values, Tensor)
    assert_type(ta.diff(x), Tensor)
    assert_type(ta.var_mean(x, 0), tuple[Tensor, Tensor])
    assert_type(ta.std_mean(x), tuple[Tensor, Tensor])
    assert_type((ta.tile(x, (2,)), ta.movedim(x, 0, 1)), tuple[Tensor, Tensor])
    assert_type((ta.moveaxis(x, 0, 1), ta.trace(x)), tuple[Tensor, Tensor])
    assert_type(ta.randint_like(x, 3), Tensor)
    assert_type((x.tile(2), x.movedim(0, 1), x.moveaxis(0, 1)), tuple[Tensor, Tensor, Tensor])
    assert_type((x.trace(), x.count_nonzero(), x.diff()), tuple[Tensor, Tensor, Tensor])
    assert_type((x.median(), x.median(0).indices), tuple[Tensor, Tensor])
    assert_type(x.data_ptr(), int)
    assert_type(ta.nonzero(x), Tensor)
    assert_type(ta.nonzero(x, as_tuple=True), tuple[Tensor, ...])
    assert_type(ta.where(x > 0), tuple[Tensor, ...])
    assert_type(ta.unique(x), Any)
    assert_type(ta.meshgrid(x[0], x[0], indexing="ij"), tuple[Tensor, ...])
    assert_type(ta.repeat_interleave(x, 2), Tensor)
    assert_type(ta.repeat_interleave(ta.tensor([1, 2])), Tensor)
    row, index = ta.tensor([0, 1]), ta.zeros(2, 2, dtype=ta.int64)
    assert_type(ta.index_add(x, 0, row, x), Tensor)
    assert_type(ta.index_copy(x, 0, row, x), Tensor)
    assert_type(ta.index_fill(x, 0, row, 1.0), Tensor)
    assert_type(ta.masked_select(x, x > 0), Tensor)
    assert_type(ta.scatter(x, 0, index, 1.0), Tensor)
    assert_type(ta.scatter_add(x, 0, index, x), Tensor)
    assert_type(ta.finfo(ta.float32).max, float)
    assert_type(ta.iinfo(ta.int32).max, int)
    assert_type((x.floor(), x.ceil(), x.round()), tuple[Tensor, Tensor, Tensor])
    assert_type((x.trunc(), x.frac(), x.fmod(2)), tuple[Tensor, Tensor, Tensor])
    assert_type((x.remainder(2), x.floor_divide(2)), tuple[Tensor, Tensor])
    assert_type(
        (x.long().bitwise_and(1), x.long().bitwise_or(1), x.long().bitwise_xor(1)),
        tuple[Tensor, Tensor, Tensor],
    )
    assert_type(x.long().bitwise_not(), Tensor)
    assert_type((x.allclose(x), x.equal(x)), tuple[bool, bool])
    assert_type((x.isclose(x), x.cumprod(0), x.argsort()), tuple[Tensor, Tensor, Tensor])
    assert_type((x.nonzero(), x.long().flatten().bincount()), tuple[Tensor, Tensor])
    assert_type(x.unique(), Any)
    assert_type(x.repeat_interleave(2), Tensor)
    assert_type((x.index_add(0, row, x), x.index_copy(0, row, x)), tuple[Tensor, Tensor])
    assert_type((x.index_fill(0, row, 1.0), x.masked_select(x > 0)), tuple[Tensor, Tensor])
    assert_type((x.scatter(0, index, 1.0), x.scatter_add(0, index, x)), tuple[Tensor, Tensor])
    y = x.detach().clone()
    assert_type((y.floor_(), y.ceil_(), y.round_()), tuple[Tensor, Tensor, Tensor])
    assert_type((y.abs_(), y.sqrt_(), y.exp_()), tuple[Tensor, Tensor, Tensor])
    assert_type((y.log_(), y.sigmoid_(), y.tanh_()), tuple[Tensor, Tensor, Tensor])
    assert_type((y.neg_(), y.relu_()), tuple[Tensor, Tensor])
    assert_type((y.index_add_(0, row, y), y.index_copy_(0, row, y)), tuple[Tensor, Tensor])
    assert_type((y.index_fill_(0, row, 1.0), y.scatter_(0, index, 1.0)), tuple[Tensor, Tensor])
    assert_type(y.scatter_add_(0, index, y.clone()), Tensor)
    assert_type((x.new_zeros(2), x.new_ones(2), x.new_empty(2)), tuple[Tensor, Tensor, Tensor])
    assert_type((x.new_full((2,), 1.0), x.new_tensor([1])), tuple[Tensor, Tensor])


def random(x: Tensor) -> None:
    assert_type(ta.manual_seed(0), ta.Generator)
    assert_type(ta.initial_seed(), int)
    assert_type(ta.default_generator, ta.Generator)
    g = ta.Generator()
    assert_type(g.manual_seed(0), ta.Generator)
    assert_type(ta.bernoulli(x.sigmoid(), generator=g), Tensor)
    assert_type(ta.multinomial(x.exp(), 1, generator=g), Tensor)
    assert_type(ta.normal(0.0, 1.0, (2, 3)), Tensor)
    assert_type(x.sigmoid().bernoulli(), Tensor)
    assert_type(x.exp().multinomial(1), Tensor)
    y = x.detach().clone()
    assert_type(y.bernoulli_(0.5), Tensor)
    assert_type(y.exponential_(), Tensor)
    assert_type(y.random_(0, 5), Tensor)
    assert_type(ta.get_rng_state(), Tensor)
    assert_type(ta.set_rng_state(ta.get_rng_state()), None)
    assert_type(ta.rand(2, 3), Tensor)
    assert_type(ta.rand_like(x), Tensor)
    assert_type(ta.randn((2, 3)), Tensor)
    assert_type(ta.randn_like(x), Tensor)
    assert_type(ta.randint(0, 5, (2,)), Tensor)
    assert_type(ta.randperm(3), Tensor)
    assert_type(ta.dropout(x, 0.5), Tensor)


def dtypes_and_backends() -> None:
    assert_type(ta.float32, np.dtype[np.float32])
    assert_type(ta.float64, np.dtype[np.float64])
    assert_type(ta.int32, np.dtype[np.int32])
    assert_type(ta.int64, np.dtype[np.int64])
    assert_type(ta.bool, np.dtype[np.bool])
    assert_type(ta.float, np.dtype[np.float32])
    assert_type(ta.double, np.dtype[np.float64])
    assert_type(ta.int, np.dtype[np.int32])
    assert_type(ta.long, np.dtype[np.int64])
    assert_type(ta.available_backends(), tuple[str, ...])
    assert_type(ta.backend().name, str)
    with ta.use_backend("numpy"):
        assert_type(ta.get_num_threads(), int)
    assert_type(ta.set_num_threads(ta.get_num_threads()), None)


def functions(x: Tensor, i: Tensor, b: Tensor) -> None:
    assert_type(ta.abs(x), Tensor)
    assert_type(ta.add(x, 1), Tensor)
    assert_type(ta.clamp(x, 0, 1), Tensor)
    assert_type(ta.clone(x), Tensor)
    assert_type(ta.cos(x), Tensor)
    assert_type(ta.div(x, x), Tensor)
    assert_type(ta.eq(x, x), Tensor)
    assert_type(ta.erf(x), Tensor)
    assert_type(ta.exp(x), Tensor)
    assert_type(ta.expm1(x), Tensor)
    assert_type(ta.ge(x, 0), Tensor)
    assert_type(ta.gt(x, 0), Tensor)
    assert_type(ta.isfinite(x), Tensor)
    assert_type(ta.isinf(x), Tensor)
    assert_type(ta.isnan(x), Tensor)
    assert_type(ta.le(x, 0), Tensor)
    assert_type(ta.log(x), Tensor)
    assert_type(ta.log1p(x), Tensor)
    assert_type(ta.logical_and(b, b), Tensor)
    assert_type(ta.logical_not(b), Tensor)
    assert_type(ta.logical_or(b, b), Tensor)
    assert_type(ta.lt(x, 0), Tensor)
    assert_type(ta.maximum(x, x), Tensor)
    assert_type(ta.minimum(x, x), Tensor)
    assert_type(ta.mul(x, 2), Tensor)
    assert_type(ta.ne(x, 0), Tensor)
    assert_type(ta.neg(x), Tensor)
    assert_type(ta.pow(x, 2), Tensor)
    assert_type(ta.reciprocal(x), Tensor)
    assert_type(ta.relu(x), Tensor)
    assert_type(ta.rsqrt(x), Tensor)
    assert_type(ta.sigmoid(x), Tensor)
    assert_type(ta.sign(x), Tensor)
    assert_type(ta.sin(x), Tensor)
    assert_type(ta.sqrt(x), Tensor)
    assert_type(ta.square(x), Tensor)
    assert_type(ta.sub(x, x), Tensor)
    assert_type(ta.tanh(x), Tensor)
    assert_type(ta.where(b, x, 0.0), Tensor)
    assert_type(ta.gather(x, 1, i), Tensor)
    assert_type(ta.index_select(x, 1, i[0]), Tensor)
    assert_type(ta.masked_fill(x, b, 0.0), Tensor)
    assert_type(ta.cosine_similarity(x, x), Tensor)
    assert_type(ta.pairwise_distance(x, x), Tensor)
    assert_type(ta.layer_norm(x, (2,)), Tensor)
    assert_type(ta.rms_norm(x, (2,)), Tensor)
    assert_type(ta.softmax(x, -1), Tensor)
    assert_type(ta.log_softmax(x, -1), Tensor)
    assert_type(ta.conv1d(x, ta.ones(3, 2, 1)), Tensor)
    assert_type(ta.attention(x, x, x), Tensor)
    assert_type(ta.attention(x, x, x, need_weights=True), tuple[Tensor, Tensor])
    assert_type(ta.attention(x, x, x, lambda q, k: q @ k.mT), Tensor)


def products(x: Tensor) -> None:
    assert_type(ta.matmul(x, x), Tensor)
    assert_type(ta.mm(x, x), Tensor)
    assert_type(ta.bmm(x[None], x[None]), Tensor)
    assert_type(ta.addmm(x, x, x), Tensor)
    assert_type(ta.baddbmm(x[None], x[None], x[None]), Tensor)
    assert_type(ta.mv(x, x[0]), Tensor)
    assert_type(ta.dot(x[0], x[0]), Tensor)
    assert_type(ta.outer(x[0], x[0]), Tensor)
    assert_type(ta.einsum("ij,jk->ik", x, x), Tensor)
    assert_type(ta.einsum(x, [0, 1], x, [1, 2]), Tensor)


def reductions(x: Tensor, b: Tensor) -> None:
    assert_type(ta.sum(x), Tensor)
    assert_type(ta.mean(x, 0), Tensor)
    assert_type(ta.amax(x, (0, 1)), Tensor)
    assert_type(ta.amin(x, 0), Tensor)
    assert_type(ta.argmax(x), Tensor)
    assert_type(ta.argmin(x, 1), Tensor)
    assert_type(ta.var(x), Tensor)
    assert_type(ta.std(x, 0), Tensor)
    assert_type(ta.prod(x), Tensor)
    assert_type(ta.cumsum(x, 0), Tensor)
    assert_type(ta.all(b), Tensor)
    assert_type(ta.any(b), Tensor)
    assert_type(ta.logsumexp(x, 0), Tensor)
    assert_type(ta.norm(x), Tensor)
    assert_type(ta.max(x), Tensor)
    assert_type(ta.max(x, 0)[1], Tensor)
    assert_type(ta.max(x, 0).values, Tensor)
    assert_type(ta.max(x, x), Tensor)
    assert_type(ta.min(x), Tensor)
    assert_type(ta.min(x, 0).indices, Tensor)
    assert_type(ta.sort(x).values, Tensor)
    assert_type(ta.topk(x, 1).indices, Tensor)


def shapes(x: Tensor) -> None:
    assert_type(ta.broadcast_to(x, (2, 2, 2)), Tensor)
    assert_type(ta.cat([x, x]), Tensor)
    assert_type(ta.chunk(x, 2), tuple[Tensor, ...])
    assert_type(ta.flatten(x), Tensor)
    assert_type(ta.flip(x, 0), Tensor)
    assert_type(ta.narrow(x, 0, 0, 1), Tensor)
    assert_type(ta.permute(x, (1, 0)), Tensor)
    assert_type(ta.repeat(x, 2, 1), Tensor)
    assert_type(ta.reshape(x, (4,)), Tensor)
    assert_type(ta.roll(x, 1), Tensor)
    assert_type(ta.select(x, 0, 0), Tensor)
    assert_type(ta.split(x, [1, 1]), tuple[Tensor, ...])
    assert_type(ta.squeeze(x), Tensor)
    assert_type(ta.stack((x, x), 1), Tensor)
    assert_type(ta.t(x), Tensor)
    assert_type(ta.tensor_split(x, 2), tuple[Tensor, ...])
    assert_type(ta.transpose(x, 0, 1), Tensor)
    assert_type(ta.tril(x), Tensor)
    assert_type(ta.triu(x, 1), Tensor)
    assert_type(ta.unbind(x), tuple[Tensor, ...])
    assert_type(ta.unflatten(x, 0, (1, -1)), Tensor)
    assert_type(ta.unsqueeze(x, 0), Tensor)


def operators(x: Tensor, i: Tensor, b: Tensor) -> None:
    assert_type(x + x, Tensor)
    assert_type(1 + x, Tensor)
    assert_type(x - 1.0, Tensor)
    assert_type(1 - x, Tensor)
    assert_type(x * x, Tensor)
    assert_type(2 * x, Tensor)
    assert_type(x / 2, Tensor)
    assert_type(x // 2, Tensor)
    assert_type(1 // x, Tensor)
    assert_type(x % 2, Tensor)
    assert_type(1 % x, Tensor)
    assert_type(1 / x, Tensor)
    assert_type(x**2, Tensor)
    assert_type(2**x, Tensor)
    assert_type(x @ x, Tensor)
    _ = np.ones((2, 2), np.float32) @ x  # a Tensor, which NumPy's stubs do not know
    assert_type(-x, Tensor)
    assert_type(+x, Tensor)
    assert_type(abs(x), Tensor)
    assert_type(x == x, Tensor)
    assert_type(x != 0, Tensor)
    assert_type(x < 0, Tensor)
    assert_type(x <= x, Tensor)
    assert_type(x > 0, Tensor)
    assert_type(x >= 0, Tensor)
    assert_type(b & b, Tensor)
    assert_type(True & b, Tensor)
    assert_type(b | b, Tensor)
    assert_type(True | b, Tensor)
    assert_type(b ^ b, Tensor)
    assert_type(True ^ b, Tensor)
    assert_type(~b, Tensor)
    assert_type(x[0], Tensor)
    assert_type(x[0, ..., None, :1], Tensor)
    assert_type(x[i], Tensor)
    assert_type(x[x > 0], Tensor)
    assert_type(x[[0, 1]], Tensor)
    y = x.detach().clone()
    y[0] = 1.0
    y[1] = x[0].detach()
    y += 1
    y -= 1
    y *= 2
    y /= 2
    y //= 2
    y %= 2
    y **= 2
    assert_type(y, Tensor)
    m = b.clone()
    m &= b
    m |= b
    m ^= b
    assert_type(m, Tensor)
    n = i.clone()
    n <<= 1
    n >>= 1
    assert_type(n, Tensor)
    assert_type(i << 1, Tensor)
    assert_type(1 << i, Tensor)
    assert_type(i >> 1, Tensor)
    assert_type(1 >> i, Tensor)
    assert_type(len(x), int)
    assert_type(list(x), list[Tensor])
    assert_type(iter(x), Iterator[Tensor])
    assert_type(float(x.sum()), float)
    assert_type(int(x.sum()), int)
    assert_type(bool(x.sum()), bool)
    assert_type(repr(x), str)
    assert_type(1.0 in x, bool)
    assert_type(f"{x.sum():.2f}", str)
    assert_type(range(i[0, 0]), range)


def attributes(x: Tensor) -> None:
    assert_type(x.shape, ta.Size)
    assert_type(x.size(), ta.Size)
    assert_type(x.size().numel(), int)
    assert_type(x.nelement(), int)
    assert_type(x.element_size(), int)
    assert_type(x.device, ta.device)
    assert_type(x.is_cuda, bool)
    assert_type(x.is_sparse, bool)
    assert_type(x.size(0), int)
    assert_type(x.dtype, DType)
    assert_type(x.ndim, int)
    assert_type(x.dim(), int)
    assert_type(x.numel(), int)
    assert_type(x.T, Tensor)
    assert_type(x.mT, Tensor)
    assert_type(x.data, Tensor)
    assert_type(x.detach(), Tensor)
    assert_type(x.requires_grad, bool)
    assert_type(x.is_leaf, bool)
    assert_type(x.grad_fn, autograd.Function | None)
    assert_type(x.is_floating_point(), bool)
    assert_type(x.is_contiguous(), bool)
    assert_type(x.sum().item(), bool | int | float)
    x.tolist()  # lists in lists, as deep as x has dimensions: Any
    assert_type(x.detach().numpy(), Array)


def gradients(x: Tensor) -> None:
    assert_type(x.grad, Tensor | None)
    assert_type(x.requires_grad_(), Tensor)
    y = x * 2
    assert_type(y.retain_grad(), None)
    assert_type(y.register_hook(lambda grad: grad).remove(), None)
    assert_type(x.register_post_accumulate_grad_hook(lambda leaf: None).remove(), None)
    assert_type(x.sum().backward(), None)
    assert_type(autograd.backward([x.sum()]), None)
    assert_type(autograd.grad(x.sum(), [x]), tuple[Tensor, ...])
    assert_type(ta.is_grad_enabled(), bool)
    assert_type(autograd.is_grad_enabled(), bool)


def of_a_tensor(x: Tensor, i: Tensor, b: Tensor) -> None:
    assert_type(x.to(ta.float64), Tensor)
    assert_type(x.to("cpu"), Tensor)
    assert_type(x.to("cpu", ta.float64), Tensor)
    assert_type(x.to(x), Tensor)
    assert_type(x.cpu(), Tensor)
    assert_type(x.pin_memory(), Tensor)
    assert_type(x.type(), str)
    assert_type(x.type(ta.float32), Tensor)
    assert_type(x.byte(), Tensor)
    assert_type(x.new(2, 3), Tensor)
    assert_type(x.detach().detach_(), Tensor)
    assert_type(x.float(), Tensor)
    assert_type(x.double(), Tensor)
    assert_type(x.long(), Tensor)
    assert_type(x.int(), Tensor)
    assert_type(x.bool(), Tensor)
    assert_type(x.type_as(x), Tensor)
    assert_type(x.where(b, 0.0), Tensor)
    assert_type(x.abs(), Tensor)
    assert_type(x.add(1), Tensor)
    assert_type(x.sub(1), Tensor)
    assert_type(x.mul(2), Tensor)
    assert_type(x.div(2), Tensor)
    assert_type(x.pow(2), Tensor)
    assert_type(x.neg(), Tensor)
    assert_type(x.matmul(x), Tensor)
    assert_type(x.eq(x), Tensor)
    assert_type(x.ne(x), Tensor)
    assert_type(x.lt(x), Tensor)
    assert_type(x.le(x), Tensor)
    assert_type(x.gt(x), Tensor)
    assert_type(x.ge(x), Tensor)
    assert_type(x.logical_and(b), Tensor)
    assert_type(x.logical_or(b), Tensor)
    assert_type(x.logical_not(), Tensor)
    assert_type(x.sign(), Tensor)
    assert_type(x.square(), Tensor)
    assert_type(x.reciprocal(), Tensor)
    assert_type(x.sqrt(), Tensor)
    assert_type(x.rsqrt(), Tensor)
    assert_type(x.exp(), Tensor)
    assert_type(x.expm1(), Tensor)
    assert_type(x.log(), Tensor)
    assert_type(x.log1p(), Tensor)
    assert_type(x.sin(), Tensor)
    assert_type(x.cos(), Tensor)
    assert_type(x.erf(), Tensor)
    assert_type(x.tanh(), Tensor)
    assert_type(x.sigmoid(), Tensor)
    assert_type(x.relu(), Tensor)
    assert_type(x.maximum(x), Tensor)
    assert_type(x.minimum(x), Tensor)
    assert_type(x.clamp(min=0), Tensor)
    assert_type(x.isnan(), Tensor)
    assert_type(x.isinf(), Tensor)
    assert_type(x.isfinite(), Tensor)
    assert_type(x.clone(), Tensor)
    assert_type(x.mm(x), Tensor)
    assert_type(x[None].bmm(x[None]), Tensor)
    assert_type(x.addmm(x, x), Tensor)
    assert_type(x[None].baddbmm(x[None], x[None]), Tensor)
    assert_type(x.mv(x[0]), Tensor)
    assert_type(x[0].dot(x[0]), Tensor)
    assert_type(x[0].outer(x[0]), Tensor)
    assert_type(x.softmax(-1), Tensor)
    assert_type(x.log_softmax(-1), Tensor)
    assert_type(x.sum(0), Tensor)
    assert_type(x.mean((0, 1), keepdim=True), Tensor)
    assert_type(x.amax(), Tensor)
    assert_type(x.amin(0), Tensor)
    assert_type(x.max(), Tensor)
    assert_type(x.max(0).values, Tensor)
    assert_type(x.min(), Tensor)
    assert_type(x.min(0).indices, Tensor)
    assert_type(x.argmax(0), Tensor)
    assert_type(x.argmin(), Tensor)
    assert_type(x.var(0), Tensor)
    assert_type(x.std(), Tensor)
    assert_type(x.prod(0), Tensor)
    assert_type(x.cumsum(0), Tensor)
    assert_type(x.all(), Tensor)
    assert_type(x.any(0), Tensor)
    assert_type(x.logsumexp(0), Tensor)
    assert_type(x.norm(), Tensor)
    assert_type(x.sort(0).values, Tensor)
    assert_type(x.topk(1).indices, Tensor)
    assert_type(x.index_select(0, i[0]), Tensor)
    assert_type(x.gather(1, i), Tensor)
    assert_type(x.masked_fill(b, 0.0), Tensor)


def shapes_of_a_tensor(x: Tensor) -> None:
    assert_type(x.view(4), Tensor)
    assert_type(x.view((2, -1)), Tensor)
    assert_type(x.view_as(x), Tensor)
    assert_type(x.reshape(4, 1), Tensor)
    assert_type(x.contiguous(), Tensor)
    assert_type(x.flatten(), Tensor)
    assert_type(x.unflatten(0, (1, 2)), Tensor)
    assert_type(x.unsqueeze(0), Tensor)
    assert_type(x.squeeze(0), Tensor)
    assert_type(x.clone().unsqueeze_(0).squeeze_(0).transpose_(0, 1).t_(), Tensor)
    assert_type(x.expand(2, 2, 2), Tensor)
    assert_type(x.expand_as(x), Tensor)
    assert_type(x.broadcast_to((2, 2)), Tensor)
    assert_type(x.permute(1, 0), Tensor)
    assert_type(x.transpose(0, 1), Tensor)
    assert_type(x.t(), Tensor)
    assert_type(x.select(0, 0), Tensor)
    assert_type(x.narrow(0, 0, 1), Tensor)
    assert_type(x.split(1), tuple[Tensor, ...])
    assert_type(x.chunk(2), tuple[Tensor, ...])
    assert_type(x.tensor_split([1]), tuple[Tensor, ...])
    assert_type(x.unbind(), tuple[Tensor, ...])
    assert_type(x.flip(0, 1), Tensor)
    assert_type(x.roll(1, 0), Tensor)
    assert_type(x.repeat(2, 2), Tensor)
    assert_type(x.tril(), Tensor)
    assert_type(x.triu(1), Tensor)


@ta.no_grad()
def in_place(x: Tensor, b: Tensor) -> None:
    assert_type(x.add_(1), Tensor)
    assert_type(x.sub_(x), Tensor)
    assert_type(x.mul_(2), Tensor)
    assert_type(x.div_(2), Tensor)
    assert_type(x.clamp_(0, 1), Tensor)
    assert_type(x.copy_(x.clone()), Tensor)
    assert_type(x.fill_(1.0), Tensor)
    assert_type(x.zero_(), Tensor)
    assert_type(x.uniform_(0, 1), Tensor)
    assert_type(x.normal_(), Tensor)
    assert_type(x.masked_fill_(b, 0.0), Tensor)


def functional(x: Tensor, i: Tensor) -> None:
    labels = i[:, 0]
    assert_type(F.attention(x, x, x), Tensor)
    assert_type(F.attention(x, x, x, need_weights=True), tuple[Tensor, Tensor])
    assert_type(F.scaled_dot_product_attention(x, x, x, is_causal=True), Tensor)
    assert_type(F.scores["dot"](x, x), Tensor)
    assert_type(F.binary_cross_entropy_with_logits(x, x.sigmoid()), Tensor)
    assert_type(F.conv1d(x, ta.ones(3, 2, 1)), Tensor)
    assert_type(F.cosine_similarity(x, x), Tensor)
    assert_type(F.cross_entropy(x, labels), Tensor)
    assert_type(F.dropout(x, 0.5), Tensor)
    assert_type(F.elu(x), Tensor)
    assert_type(F.embedding(i, x), Tensor)
    assert_type(F.gelu(x), Tensor)
    assert_type(F.glu(x), Tensor)
    assert_type(F.huber_loss(x, x), Tensor)
    assert_type(F.kl_div(x, x.softmax(-1)), Tensor)
    assert_type(F.l1_loss(x, x), Tensor)
    assert_type(F.layer_norm(x, [2]), Tensor)
    assert_type(F.leaky_relu(x), Tensor)
    assert_type(F.linear(x, x), Tensor)
    assert_type(F.log_softmax(x, -1), Tensor)
    assert_type(F.logsigmoid(x), Tensor)
    assert_type(F.mse_loss(x, x), Tensor)
    assert_type(F.binary_cross_entropy(x.sigmoid(), x.sigmoid()), Tensor)
    assert_type(F.max_pool1d(x, 1), Tensor)
    assert_type(F.avg_pool1d(x, 1), Tensor)
    assert_type(F.adaptive_max_pool1d(x, 1), Tensor)
    assert_type(F.batch_norm(x, None, None, training=True), Tensor)
    assert_type(F.embedding_bag(i, x), Tensor)
    assert_type(F.adaptive_avg_pool1d(x, 1), Tensor)
    assert_type(F.nll_loss(x, labels), Tensor)
    assert_type(F.normalize(x), Tensor)
    assert_type(F.one_hot(i), Tensor)
    assert_type(F.pad(x, (1, 1)), Tensor)
    assert_type(F.pairwise_distance(x, x), Tensor)
    assert_type(F.relu(x), Tensor)
    assert_type(F.rms_norm(x, (2,)), Tensor)
    assert_type(F.sigmoid(x), Tensor)
    assert_type(F.silu(x), Tensor)
    assert_type(F.smooth_l1_loss(x, x), Tensor)
    assert_type(F.softmax(x, -1), Tensor)
    assert_type(F.softplus(x), Tensor)
    assert_type(F.softsign(x), Tensor)
    assert_type(F.tanh(x), Tensor)


def layers(x: Tensor, i: Tensor) -> None:
    labels = i[:, 0]
    assert_type(nn.Linear(2, 3)(x), Tensor)
    assert_type(nn.Linear(2, 3).weight, nn.Parameter)
    assert_type(nn.Linear(2, 3).bias, nn.Parameter | None)
    assert_type(nn.Conv1d(2, 3, 1)(x), Tensor)
    assert_type(nn.Embedding(5, 3)(i), Tensor)
    assert_type(nn.Embedding.from_pretrained(x)(i), Tensor)
    assert_type(nn.Dropout(0.1)(x), Tensor)
    assert_type(nn.Identity()(x), Tensor)
    assert_type(nn.LayerNorm(2)(x), Tensor)
    assert_type(nn.RMSNorm(2)(x), Tensor)
    assert_type(nn.ELU()(x), Tensor)
    assert_type(nn.GELU()(x), Tensor)
    assert_type(nn.GLU()(x), Tensor)
    assert_type(nn.LeakyReLU()(x), Tensor)
    assert_type(nn.LogSigmoid()(x), Tensor)
    assert_type(nn.LogSoftmax(-1)(x), Tensor)
    assert_type(nn.ReLU()(x), Tensor)
    assert_type(nn.SiLU()(x), Tensor)
    assert_type(nn.Sigmoid()(x), Tensor)
    assert_type(nn.Softmax(-1)(x), Tensor)
    assert_type(nn.Softplus()(x), Tensor)
    assert_type(nn.Softsign()(x), Tensor)
    assert_type(nn.Tanh()(x), Tensor)
    assert_type(nn.BCEWithLogitsLoss()(x, x.sigmoid()), Tensor)
    assert_type(nn.BCELoss()(x.sigmoid(), x.sigmoid()), Tensor)
    assert_type(nn.MaxPool1d(1)(x), Tensor)
    assert_type(nn.AdaptiveAvgPool1d(1)(x), Tensor)
    assert_type(nn.Flatten()(x), Tensor)
    assert_type(nn.Unflatten(0, (1, 2))(x), Tensor)
    assert_type(nn.AvgPool1d(1)(x), Tensor)
    assert_type(nn.AdaptiveMaxPool1d(1)(x), Tensor)
    assert_type(nn.BatchNorm1d(2)(x), Tensor)
    assert_type(nn.BatchNorm1d(2).running_mean, Tensor | None)
    assert_type(nn.BatchNorm1d(2).reset_running_stats(), None)
    assert_type(nn.EmbeddingBag(5, 3)(i), Tensor)
    assert_type(nn.CosineSimilarity()(x, x), Tensor)
    assert_type(nn.PairwiseDistance()(x, x), Tensor)
    assert_type(utils.parameters_to_vector([x]), Tensor)
    assert_type(utils.vector_to_parameters(x.detach().flatten(), [x.detach()]), None)
    assert_type(ta.distributions.Categorical(probs=x).sample(), Tensor)
    assert_type(ta.distributions.Categorical(logits=x).log_prob(labels), Tensor)
    assert_type(ta.distributions.Categorical(logits=x).entropy(), Tensor)
    assert_type(nn.LazyLinear(2)(x), Tensor)
    assert_type(nn.LazyConv1d(2, 1)(x), Tensor)
    assert_type(nn.CrossEntropyLoss()(x, labels), Tensor)
    assert_type(nn.HuberLoss()(x, x), Tensor)
    assert_type(nn.KLDivLoss(reduction="sum")(x, x.softmax(-1)), Tensor)
    assert_type(nn.L1Loss()(x, x), Tensor)
    assert_type(nn.MSELoss()(x, x), Tensor)
    assert_type(nn.NLLLoss()(x, labels), Tensor)
    assert_type(nn.SmoothL1Loss()(x, x), Tensor)
    assert_type(nn.LearnedPositions(9, 2)(x[None]), Tensor)
    assert_type(nn.RotaryPositions()(x[None]), Tensor)
    assert_type(nn.SinusoidalPositions(2)(x[None]), Tensor)
    assert_type(nn.apply_rotary(x[None]), Tensor)
    assert_type(nn.Parameter(x.detach()), nn.Parameter)


def recurrent_layers(x: Tensor) -> None:
    packed = rnn.pack_sequence([x, x[:1]])
    assert_type(nn.GRU(2, 3)(x), tuple[Tensor, Tensor])
    assert_type(nn.GRU(2, 3)(packed), tuple[rnn.PackedSequence, Tensor])
    assert_type(nn.GRU(2, 3).flatten_parameters(), None)
    assert_type(nn.LSTM(2, 3)(x), tuple[Tensor, tuple[Tensor, Tensor]])
    assert_type(nn.RNN(2, 3)(x), tuple[Tensor, Tensor])
    assert_type(nn.GRUCell(2, 3)(x), Tensor)
    assert_type(nn.LSTMCell(2, 3)(x), tuple[Tensor, Tensor])
    assert_type(nn.RNNCell(2, 3)(x), Tensor)
    assert_type(isinstance(nn.GRU(2, 3), nn.RNNBase), bool)
    assert_type(isinstance(nn.GRUCell(2, 3), nn.RNNCellBase), bool)


def attention_layers(x: Tensor) -> None:
    assert_type(nn.Attention("additive", 2)(x, x, x), Tensor)
    assert_type(nn.Attention()(x, x, x, need_weights=True), tuple[Tensor, Tensor])
    heads = nn.MultiheadAttention(2, 2)
    assert_type(heads(x, x, x, need_weights=False), tuple[Tensor, Tensor | None])
    assert_type(nn.MultiheadAttention(2, 2)(x, x, x), tuple[Tensor, Tensor])
    assert_type(nn.KeyValueCache().append(x, x), tuple[Tensor, Tensor])
    assert_type(nn.KeyValueCache().reorder(x), None)
    assert_type(len(nn.KeyValueCache()), int)
    cache = nn.KeyValueCache()
    assert_type(cache.keys, Tensor | None)
    assert_type(cache.values, Tensor | None)
    encoder_layer = nn.TransformerEncoderLayer(2, 1, 4)
    decoder_layer = nn.TransformerDecoderLayer(2, 1, 4)
    assert_type(nn.TransformerEncoderLayer(2, 1, 4)(x), Tensor)
    assert_type(nn.TransformerDecoderLayer(2, 1, 4)(x, x), Tensor)
    assert_type(nn.TransformerEncoder(encoder_layer, 1)(x), Tensor)
    assert_type(nn.TransformerDecoder(decoder_layer, 1)(x, x), Tensor)
    decoder = nn.TransformerDecoder(decoder_layer, 1)
    assert_type(decoder.new_cache(), list[tuple[nn.KeyValueCache, nn.KeyValueCache]])
    assert_type(nn.Transformer(2, 1, 1, 1, 4)(x, x), Tensor)
    assert_type(nn.Transformer.generate_square_subsequent_mask(3), Tensor)


def containers(x: Tensor, module: nn.Module) -> None:
    assert_type(nn.Sequential(nn.Linear(2, 2), nn.ReLU())(x), Tensor)
    assert_type(nn.Sequential(nn.Linear(2, 2))[0], nn.Module)
    modules = nn.ModuleList([nn.Linear(2, 2)])
    assert_type(modules[0], nn.Module)
    assert_type(modules[:1], nn.ModuleList)
    assert_type(nn.ModuleList([module]).append(module), nn.ModuleList)
    assert_type(modules.extend([module]), nn.ModuleList)
    assert_type(modules.insert(0, module), nn.ModuleList)
    assert_type(modules.pop(0), nn.Module)
    assert_type(len(modules), int)
    weights = nn.ParameterList([ta.ones(2)])
    assert_type(weights[0], nn.Parameter)
    assert_type(weights[:1], nn.ParameterList)
    assert_type(weights.append(ta.ones(1)), nn.ParameterList)
    assert_type(weights.extend([ta.ones(1)]), nn.ParameterList)
    by_name = nn.ParameterDict({"a": ta.ones(1)})
    assert_type(by_name["a"], nn.Parameter)
    assert_type(by_name.keys(), KeysView[str])
    assert_type(by_name.values(), ValuesView[nn.Parameter])
    assert_type(by_name.items(), ItemsView[str, nn.Parameter])
    assert_type(by_name.update({"b": ta.ones(1)}), None)
    named = nn.ModuleDict({"a": nn.Linear(2, 2)})
    assert_type(named["a"], nn.Module)
    assert_type(named.keys(), KeysView[str])
    assert_type(named.values(), ValuesView[nn.Module])
    assert_type(named.items(), ItemsView[str, nn.Module])
    assert_type(named.update({"b": nn.ReLU()}), None)
    assert_type(named.pop("a"), nn.Module)
    assert_type(nn.ModuleDict(named).clear(), None)


def of_a_module(module: nn.Linear) -> None:
    assert_type(module.parameters(), Iterator[nn.Parameter])
    assert_type(module.named_parameters(), Iterator[tuple[str, nn.Parameter]])
    assert_type(module.buffers(), Iterator[Tensor])
    assert_type(module.named_buffers(), Iterator[tuple[str, Tensor]])
    assert_type(module.children(), Iterator[nn.Module])
    assert_type(module.named_children(), Iterator[tuple[str, nn.Module]])
    assert_type(module.modules(), Iterator[nn.Module])
    assert_type(module.named_modules(), Iterator[tuple[str, nn.Module]])
    assert_type(module.get_submodule(""), nn.Module)
    assert_type(module.get_parameter("weight"), nn.Parameter)
    assert_type(module.state_dict(), OrderedDict[str, Tensor])
    assert_type(module.load_state_dict(module.state_dict()).missing_keys, list[str])
    assert_type(module.load_state_dict(module.state_dict()).unexpected_keys, list[str])
    assert_type(module.train(), nn.Linear)
    assert_type(module.eval(), nn.Linear)
    assert_type(module.training, bool)
    assert_type(module.apply(lambda m: None), nn.Linear)
    assert_type(module.to(ta.float32), nn.Linear)
    assert_type(module.double(), nn.Linear)
    assert_type(module.to("cpu"), nn.Linear)
    assert_type(module.cpu(), nn.Linear)
    assert_type(module.float(), nn.Linear)
    assert_type(module.requires_grad_(), nn.Linear)
    assert_type(module.zero_grad(), None)
    assert_type(module.reset_parameters(), None)
    assert_type(module.extra_repr(), str)
    assert_type(module.forward(ta.ones(1, 2)), Tensor)
    assert_type(module.register_parameter("p", None), None)
    assert_type(module.register_buffer("b", ta.ones(1)), None)
    assert_type(module.add_module("m", nn.ReLU()), None)
    assert_type(module.register_module("n", nn.ReLU()), None)
    assert_type(module.register_forward_hook(lambda m, args, out: None).remove(), None)
    assert_type(module.register_full_backward_hook(lambda m, i, o: None).remove(), None)
    assert_type(module.register_forward_pre_hook(lambda m, args: None).remove(), None)


@ta.no_grad()
def initialisation(x: Tensor) -> None:
    assert_type(init.uniform_(x), Tensor)
    assert_type(init.normal_(x), Tensor)
    assert_type(init.trunc_normal_(x), Tensor)
    assert_type(init.constant_(x, 1.0), Tensor)
    assert_type(init.zeros_(x), Tensor)
    assert_type(init.ones_(x), Tensor)
    assert_type(init.eye_(x), Tensor)
    assert_type(init.xavier_uniform_(x), Tensor)
    assert_type(init.xavier_normal_(x), Tensor)
    assert_type(init.kaiming_uniform_(x), Tensor)
    assert_type(init.kaiming_normal_(x), Tensor)
    assert_type(init.orthogonal_(x), Tensor)
    assert_type(init.calculate_gain("tanh"), float)


def sequences(x: Tensor) -> None:
    packed = rnn.pack_padded_sequence(x[None], [1, 1])
    assert_type(packed, rnn.PackedSequence)
    assert_type(packed.data, Tensor)
    assert_type(packed.batch_sizes, Tensor)
    assert_type(packed.sorted_indices, Tensor | None)
    assert_type(packed.unsorted_indices, Tensor | None)
    assert_type(packed.to("cpu").double().float().cpu(), rnn.PackedSequence)
    assert_type(nn.GRU(2, 3).all_weights, list[list[nn.Parameter]])
    assert_type(rnn.pack_padded_sequence(x[None], ta.tensor([1, 1])), rnn.PackedSequence)
    assert_type(rnn.PackedSequence(packed.data, packed.batch_sizes), rnn.PackedSequence)
    assert_type(rnn.pack_sequence([x, x]), rnn.PackedSequence)
    assert_type(rnn.pad_packed_sequence(packed), tuple[Tensor, Tensor])
    assert_type(rnn.pad_sequence([x, x]), Tensor)
    assert_type(rnn.unpack_sequence(packed), list[Tensor])
    assert_type(rnn.unpad_sequence(x[None], ta.tensor([1, 1])), list[Tensor])


def ranks(x: Tensor) -> None:
    model = parallel.DistributedDataParallel(nn.Linear(2, 1), bucket_cap_mb=2)
    assert_type(model, parallel.DistributedDataParallel)
    assert_type(model.module, nn.Module)
    with model.no_sync():
        model(ta.ones(1, 2))
    assert_type(parallel.get_rank(), int)
    assert_type(parallel.get_world_size(), int)
    assert_type(parallel.all_gather_object("a"), list[str])
    assert_type(parallel.broadcast_object("a"), str)
    assert_type(parallel.all_reduce(x.detach()), None)
    assert_type(parallel.barrier(), None)
    assert_type(parallel.share(3), float)
    with parallel.own_random(1) as nothing:
        assert_type(nothing, None)
    with contextlib.suppress(SystemExit):
        parallel.abort("the end")
    sampler = parallel.DistributedSampler(range(4))
    assert_type(sampler, parallel.DistributedSampler)
    assert_type(iter(sampler), Iterator[int])
    assert_type(sampler.set_epoch(1), None)


def quantised(x: Tensor, module: nn.Linear) -> None:
    quantization = ta.quantization
    small = quantization.quantize_dynamic(module, {nn.Linear}, dtype=ta.qint8)
    assert_type(small, nn.Module)
    assert_type(ta.qint8, DType)
    assert isinstance(small, quantization.QuantizedLinear)
    assert_type(small.weight_scale, Tensor)
    assert_type(small(x), Tensor)


def training(module: nn.Linear) -> None:
    optimizer = optim.SGD(module.parameters(), lr=0.1)
    assert_type(optim.SGD(module.parameters()), optim.SGD)
    assert_type(optim.Adam(module.parameters()), optim.Adam)
    assert_type(optim.AdamW(module.parameters()), optim.AdamW)
    assert_type(optim.Adagrad(module.parameters()), optim.Adagrad)
    assert_type(optim.RMSprop(module.parameters()), optim.RMSprop)
    assert_type(issubclass(optim.SGD, optim.Optimizer), bool)
    assert_type(optimizer.zero_grad(), None)
    assert_type(optimizer.step(), None)
    assert_type(optimizer.step(lambda: ta.ones(1)), Tensor)
    assert_type(optimizer.state_dict(), dict[str, Any])
    assert_type(optimizer.load_state_dict(optimizer.state_dict()), None)
    assert_type(optimizer.add_param_group({"params": [nn.Parameter(ta.ones(1))]}), None)
    assert_type(utils.clip_grad_norm_(module.parameters(), 1.0), Tensor)
    assert_type(utils.clip_grad_value_(module.parameters(), 1.0), None)
    linear = nn.Linear(4, 4)
    assert_type(prune.l1_unstructured(linear, "weight", 0.5), nn.Linear)
    assert_type(prune.random_unstructured(linear, "weight", 1), nn.Linear)
    assert_type(prune.ln_structured(linear, "weight", 1, n=2, dim=0), nn.Linear)
    assert_type(prune.random_structured(linear, "weight", 0.2, dim=1), nn.Linear)
    assert_type(prune.custom_from_mask(linear, "bias", ta.ones(4)), nn.Linear)
    assert_type(prune.identity(linear, "bias"), nn.Linear)
    pairs = [(linear, "weight")]
    assert_type(prune.global_unstructured(pairs, prune.L1Unstructured, amount=0.5), None)
    assert_type(prune.is_pruned(linear), bool)
    assert_type(prune.remove(prune.remove(linear, "weight"), "bias"), nn.Linear)
    assert_type(nn.shrink.hidden_units(linear, nn.Linear(4, 2), 0.5), Tensor)
    assert_type(nn.shrink.heads(nn.MultiheadAttention(4, 2), 1), Tensor)
    optimizer.step()
    scheduler = lr_scheduler.StepLR(optimizer, 2)
    assert_type(scheduler.step(), None)
    assert_type(scheduler.get_last_lr(), list[float])
    assert_type(scheduler.get_lr(), list[float])
    assert_type(scheduler.state_dict(), dict[str, Any])
    assert_type(scheduler.load_state_dict(scheduler.state_dict()), None)
    assert_type(issubclass(lr_scheduler.StepLR, lr_scheduler.LRScheduler), bool)
    optimizer = optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    optimizer.step()
    assert_type(lr_scheduler.CosineAnnealingLR(optimizer, 5), lr_scheduler.CosineAnnealingLR)
    assert_type(lr_scheduler.ExponentialLR(optimizer, 0.9), lr_scheduler.ExponentialLR)
    assert_type(lr_scheduler.InverseSquareRootLR(optimizer, 4), lr_scheduler.InverseSquareRootLR)
    assert_type(lr_scheduler.LambdaLR(optimizer, lambda t: 0.5), lr_scheduler.LambdaLR)
    assert_type(lr_scheduler.LinearLR(optimizer), lr_scheduler.LinearLR)
    assert_type(lr_scheduler.MultiStepLR(optimizer, [2, 4]), lr_scheduler.MultiStepLR)
    assert_type(lr_scheduler.ConstantLR(optimizer), lr_scheduler.ConstantLR)
    restarts = lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 2)
    assert_type(restarts.step(0.5), None)
    both = [lr_scheduler.StepLR(optimizer, 2), restarts]
    assert_type(lr_scheduler.SequentialLR(optimizer, both, [3]), lr_scheduler.SequentialLR)
    assert_type(lr_scheduler.ChainedScheduler(both), lr_scheduler.ChainedScheduler)
    assert_type(lr_scheduler.OneCycleLR(optimizer, 0.1, 10), lr_scheduler.OneCycleLR)
    assert_type(lr_scheduler.ReduceLROnPlateau(optimizer), lr_scheduler.ReduceLROnPlateau)
    assert_type(lr_scheduler.ReduceLROnPlateau(optimizer).step(1.0), None)


def checks(x: Tensor, module: nn.Linear) -> None:
    y = x.detach().double().requires_grad_()
    assert_type(ta.gradcheck(lambda z: (z * z).sum(), (y,)), bool)
    assert_type(ta.gradcheck_module(nn.Linear(2, 1).double(), (y.detach(),)), bool)
    assert_type(issubclass(ta.GradcheckError, Exception), bool)
    step = ta.replay(lambda batch: module(batch).sum())
    assert_type(len(step.recordings), int)
    report = ta.doctor(module, x)
    assert_type(report.findings[:1][0:0] == [], bool)
    assert_type(report.ratios, dict[str, float])
    assert_type(report.over_time, dict[str, list[float]])
    assert_type(ta.doctor(module, x).ratios, dict[str, float])
    with ta.explain():
        assert_type(ta.explain(x.sum()).steps[0].title, str)


def files(folder: Path, module: nn.Linear) -> None:
    assert_type(ta.save(module.state_dict(), folder / "weights.safetensors"), None)
    assert_type(ta.load(folder / "weights.safetensors"), Any)
    file = io.BytesIO()
    assert_type(ta.save({0: ta.ones(1)}, file), None)
    file.seek(0)
    assert_type(ta.load(file, map_location="cpu", weights_only=True), Any)
    assert_type(ta.save_checkpoint(folder / "checkpoint", module, step=3), None)
    assert_type(ta.load_checkpoint(folder / "checkpoint", module), dict[str, Any])


def modes(x: Tensor) -> None:
    with ta.no_grad():
        assert_type((x * 2).requires_grad, bool)
        with ta.enable_grad(), ta.set_grad_enabled(True):
            assert_type(ta.is_grad_enabled(), bool)
    with autograd.detect_anomaly(), autograd.set_detect_anomaly(True):
        assert_type(x.exp(), Tensor)

    @ta.no_grad()
    def twice(z: Tensor) -> Tensor:
        return z * 2

    @ta.no_grad
    def thrice(z: Tensor) -> Tensor:
        return z * 3

    @ta.enable_grad()
    def squared(z: Tensor) -> Tensor:
        return z * z

    @ta.set_grad_enabled(False)
    def cubed(z: Tensor) -> Tensor:
        return z**3

    assert_type(twice(x), Tensor)
    assert_type(thrice(x), Tensor)
    assert_type(squared(x), Tensor)
    assert_type(cubed(x), Tensor)


class Double(autograd.Function):
    def forward(self, x: Array) -> Array:
        return 2 * x

    def backward(self, grad: Array) -> Array:
        return 2 * grad


class Halved(autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x / 2

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad / 2


def texts(folder: Path) -> None:
    vocab = text.Vocab.build([["a", "b"], ["a"]])
    assert_type(text.Vocab.build([["a"]]), text.Vocab)
    assert_type(vocab.id("a"), int)
    assert_type(vocab.token(0), str)
    assert_type(vocab.encode(["a", "b"]), list[int])
    assert_type(vocab.decode([0]), list[str])
    assert_type(vocab.to_list(), list[str])
    assert_type(len(vocab), int)
    assert_type((text.PAD, text.BOS, text.EOS, text.UNK), tuple[int, int, int, int])
    assert_type(text.TOKENISERS["word"], text.Tokeniser)
    assert_type(text.TOKENISERS["word"].tokenize("a b"), list[str])
    assert_type(text.TOKENISERS["word"].detokenize(["a", "b"]), str)
    assert_type(text.guess_tokeniser(["a b"]), str)
    assert_type(text.normalize("a b"), str)
    assert_type(text.source_key("a b"), str)
    file = folder / "pairs.tsv"
    file.write_text("a\tb\nc\td\n")
    pairs = text.read_pairs(file)
    assert_type(text.read_pairs(file), list[tuple[str, str]])
    with file.open("rb") as lines:
        assert_type(next(text.lines_of(lines, "pairs.tsv")), tuple[str, str])
    assert_type(text.split_by_source(pairs, 1, 0, 0)[0], list[tuple[str, str]])
    assert_type(issubclass(text.DataError, ValueError), bool)
    ids = [([4], [5]), ([4, 5], [4])]
    assert_type(text.drop_long(ids, 9)[1], int)
    assert_type(text.batches(ids, 2), Iterator[text.Batch])
    assert_type(text.count_batches(ids, 2), int)
    batch = next(text.batches(ids, 2))
    assert_type(batch.source, NDArray[np.int64])
    assert_type(batch.lengths, NDArray[np.int64])
    assert_type(batch.target_in, NDArray[np.int64])
    assert_type(batch.target_out, NDArray[np.int64])
    assert_type(batch.index, NDArray[np.int64])

    def step(tokens: Tensor, state: int) -> tuple[Tensor, Tensor, int]:
        return F.one_hot((tokens + 1) % 4, 4).float(), ta.ones(len(tokens), 3), state + 1

    found = text.greedy(step, 0, [3])
    assert_type(text.greedy(step, 0, [3]), list[text.Found])
    assert_type(found[0].ids, list[int])
    assert_type(found[0].weights, Array)
    assert_type(found[0].finished, bool)
    assert_type(text.sample(step, 0, [3], seed=1), list[text.Found])

    def select(state: int, rows: Tensor, sentences: Tensor | None) -> int:
        return state

    beams = text.beam(step, select, 0, [3], size=2)
    assert_type(text.beam(step, select, 0, [3], size=2), list[text.Beam])
    assert_type(beams[0].found(), text.Found)
    assert_type(beams[0].path(0, 0), list[int])
    assert_type(beams[0].tokens, NDArray[np.int64])
    assert_type(beams[0].parents, NDArray[np.int64])
    assert_type(beams[0].choices, NDArray[np.int64])
    assert_type(beams[0].sums, Array)
    assert_type(beams[0].log_probs, Array)
    assert_type(beams[0].weights, Array)
    assert_type(beams[0].ended, list[text.Hypothesis])
    assert_type(beams[0].ended[0].score, float)
    assert_type(beams[0].ended[0].log_prob, float)
    assert_type((beams[0].ended[0].step, beams[0].ended[0].slot), tuple[int, int])
    assert_type(everyday.generate(1, seed=0), list[tuple[str, str]])
    assert_type(everyday.links("书", "book"), list[tuple[tuple[int, int], tuple[int, int]]])


def datasets(folder: Path) -> None:
    sound = morse.generate(1, seed=0)[0]
    assert_type(sound, morse.Recording)
    assert_type(sound.text, str)
    assert_type(sound.sound, NDArray[np.float32])
    assert_type(sound.spans, list[tuple[float, float]])
    assert_type(morse.frames(sound.sound[None]), NDArray[np.float32])
    assert_type(canvas.relation((0, 0), (0, 9)), str)
    if importlib.util.find_spec("sklearn") is not None:
        picture = canvas.generate(1, seed=0, test=True)[0]
        assert_type(picture, canvas.Canvas)
        assert_type(picture.points, NDArray[np.float32])
        assert_type(picture.corners, list[tuple[int, int]])
        assert_type(canvas.caption(picture), str)
        assert_type(canvas.patches([picture], 2), NDArray[np.float32])
    assert_type(canvas.on_digit((0, 0), 2), NDArray[np.bool_])
    assert_type(stories.generate(1, seed=0, test=True)[0].words, list[str])
    assert_type(stories.is_for_tests("Toma"), bool)
    assert_type(sessions.generate(1, seed=0)[0].causes, list[int])
    (folder / "u.data").write_text("1\t2\t3\t4\n1\t3\t3\t5\n")
    assert_type(sessions.movielens(folder / "u.data"), tuple[list[sessions.Session], int])
    (folder / "pos.txt").write_text("好\n", encoding="utf-8")
    (folder / "neg.txt").write_text("差\n", encoding="utf-8")
    assert_type(reviews.load(folder=folder), list[tuple[str, int]])


def subwords() -> None:
    texts = ["ab abc", "abc ab"] * 20
    if importlib.util.find_spec("sentencepiece") is not None:
        model = text.learn_subwords(texts, "bpe", 300)
        assert_type(text.learn_subwords(texts, "bpe", 300), bytes)
        assert_type(text.subword_tokeniser(model), text.Tokeniser)
        assert_type(text.pieces_of(model), list[str])
    assert_type(text.word_starts(["▁a", "b"]), list[int])


def pictures() -> None:
    weights = np.full((1, 2), 0.5)
    assert_type(viz.attention_text(weights, ["a", "b"], ["c"]), str)
    assert_type(viz.attention_text(ta.tensor(weights), ["a", "b"], ["c"]), str)
    assert_type(viz.attention_figure(weights, ["a", "b"], ["c"]), Chart)
    assert_type(viz.jacobian(viz.jacobian_of(ta.tanh, ta.ones(2))), Chart)
    assert_type(viz.gates(viz.gates_of(lambda: nn.GRU(1, 1)(ta.ones(2, 1, 1)))[0]), Chart)
    assert_type(viz.gradient_norms([1.0, 2.0]), Chart)
    assert_type(viz.graph(ta.ones(2, requires_grad=True).sum()).svg, str)
    assert_type(viz.curve_figure([1, 2], {"loss": [3.0, 2.0]}, "step"), Chart)


def traces(folder: Path) -> None:
    trace = viz.Trace("书", "book", ["书"], ["book"], {"cross": np.ones((1, 1, 1, 1))})
    assert_type(trace.effective_words(), Array)
    assert_type(trace.to_dict(), dict[str, Any])
    assert_type(viz.Trace.from_dict(trace.to_dict()), viz.Trace)
    assert_type(trace.save(folder / "trace.npz"), None)
    assert_type(viz.Trace.load(folder / "trace.npz"), viz.Trace)
    assert_type(viz.attention_page([trace]), viz.Page)
    assert_type(viz.forming_page([1], [[trace]], [0.5]), viz.Page)
    assert_type(viz.attention_page([trace]).save(folder / "page.html"), None)


def exercises() -> None:
    def softmax_backward(y: Array, grad: Array) -> Array:
        return grad

    assert_type(learn.check(softmax_backward), bool)


def data_sets() -> None:
    pairs = TensorDataset(ta.ones(4, 2), ta.ones(4))
    assert_type(pairs[0], tuple[Tensor, ...])
    assert_type(len(pairs), int)
    parts = random_split(pairs, [3, 1], generator=ta.Generator())
    assert_type(parts, list[Subset[tuple[Tensor, ...]]])
    assert_type(parts[0][0], tuple[Tensor, ...])
    loader = DataLoader(parts[0], batch_size=2, shuffle=True, collate_fn=default_collate)
    assert_type(len(loader), int)
    assert_type(iter(loader), Iterator[Any])
    assert_type(iter(RandomSampler(pairs)), Iterator[int])
