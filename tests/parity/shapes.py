"""What operations on shapes and indices are called with."""

import numpy as np

from .harness import CASES, Call, Const, Entry


def factored(d, n):
    """A shape of n elements, now and then with a -1 or wrong."""
    shape = []
    while n > 1 and d.chance(0.7):
        k = d.pick(*[k for k in range(1, n + 1) if n % k == 0])
        shape.append(k)
        n //= k
    shape.append(n)
    if d.chance(0.3):
        shape[d.int(0, len(shape) - 1)] = -1
    if d.chance(0.05):
        shape.append(2)
    return tuple(shape)


def shaped(d):
    x = d.array(kinds="ffib")
    shape = factored(d, x.size)
    return Call(x, shape)


def spread(name):
    """A form whose sizes may come one by one."""
    return {
        name: lambda t, x, shape: getattr(t, name)(x, shape),
        f"Tensor.{name}": lambda t, x, shape: getattr(x, name)(shape),
        f"Tensor.{name}, one by one": lambda t, x, shape: getattr(x, name)(*shape),
    }


def methods(name):
    return {k: v for k, v in spread(name).items() if k.startswith("Tensor")}


def axes(n, **more):
    """(x, n axes)"""

    def draw(d):
        x = d.array(kinds="ffib", **more)
        return Call(x, *(d.dim(x.ndim) for _ in range(n)))

    return draw


def permuted(d):
    x = d.array(kinds="ffib")
    order = [int(a) - x.ndim * d.chance(0.3) for a in d.permutation(x.ndim)]
    if x.ndim > 1 and d.chance(0.05):
        order[0] = order[1]
    return Call(x, tuple(order))


def squeezed(d):
    shape = tuple(1 if d.chance(0.5) else n for n in d.shape())
    x = d.array(shape, "ffb")
    choice = d.random()
    if choice < 0.3:
        return Call(x)
    if choice < 0.5 and x.ndim:
        return Call(x, d.dims(x.ndim))
    return Call(x, d.dim(x.ndim))


def expanded(d):
    shape = d.shape(empty=0.03)
    size = [d.int(1, 4) if n == 1 else n for n in shape]
    size = [-1 if d.chance(0.2) else n for n in size]
    if d.chance(0.3):
        size = [d.int(1, 3), *size]
    if d.chance(0.05):
        size = [*size, 2]
    return Call(d.array(shape, "ffib"), tuple(size))


def flattened(d):
    x = d.array(kinds="ffib")
    if d.chance(0.3):
        return Call(x)
    one, two = sorted(d.dim(x.ndim, 0) % max(x.ndim, 1) for _ in range(2))
    if d.chance(0.1):
        one, two = two, one
    return Call(x, one, two - x.ndim if x.ndim and d.chance(0.4) else two)


def unflattened(d):
    x = d.array(d.shape(1, 3), "ffib")
    dim = d.dim(x.ndim)
    n = x.shape[dim] if -x.ndim <= dim < x.ndim else 4
    return Call(x, dim, factored(d, n))


def joined(stack):
    def draw(d):
        shape = d.shape(0 if stack else 1, 3)
        n = d.int(1, 3)
        dim = d.dim(len(shape) + stack)
        parts = []
        for _ in range(n):
            own = list(shape)
            if not stack and d.chance(0.7) and -len(shape) <= dim < len(shape):
                own[dim] = d.int(0, 3)
            if d.chance(0.03) and own:
                own[0] += 1
            parts.append(d.array(tuple(own), "fffi"))
        if not stack and d.chance(0.1):
            parts.append(np.zeros(0))
        parts = tuple(parts) if d.chance(0.5) else parts
        return Call(parts, dim) if d.chance(0.5) else Call(parts, dim=dim)

    return draw


def cut(kind):
    def draw(d):
        x = d.array(d.shape(1, 3), "ffib")
        dim = d.dim(x.ndim)
        n = x.shape[dim] if -x.ndim <= dim < x.ndim else 3
        if kind == "chunk" or (kind == "split" and d.chance(0.5)):
            how = d.int(1, n + 2)
        elif kind == "split":
            first = d.int(0, n)
            how = [first, n - first + d.chance(0.05)]
        elif d.chance(0.5):
            how = d.int(1, n + 2)
        else:
            how = sorted(d.int(-n, n + 1) for _ in range(d.int(0, 3)))
            how = tuple(how) if d.chance(0.5) else how
        return Call(x, how, dim) if d.chance(0.7) else Call(x, how, dim=dim)

    return draw


def narrowed(d):
    x = d.array(d.shape(1, 3, empty=0.03), "ffib")
    dim = d.dim(x.ndim)
    n = x.shape[dim] if -x.ndim <= dim < x.ndim else 3
    start = d.int(-n, n)
    return Call(x, dim, start, d.int(0, max(n - start % max(n, 1), 0) + d.chance(0.05)))


def selected(d):
    x = d.array(d.shape(1, 3, empty=0.03), "ffib")
    dim = d.dim(x.ndim)
    n = x.shape[dim] if -x.ndim <= dim < x.ndim else 3
    return Call(x, dim, d.int(-n, max(n - 1, -n)) + 9 * d.chance(0.04))


def by_index(d):
    x = d.array(d.shape(1, 3, empty=0.03), "ffib")
    dim = d.dim(x.ndim)
    n = x.shape[dim] if -x.ndim <= dim < x.ndim else 3
    index = d.indices(n, d.pick((3,), (0,), (5,), (1,)))
    if d.chance(0.05) and x.ndim == 1:  # with more axes PyTorch's error is another
        index = index + n
    index = index if n or not index.size else index[:0]
    return Call(x, dim, index.astype(d.pick("int64", "int64", "int32")))


def gathered(d):
    shape = d.shape(0, 3, empty=0.0)
    x = d.array(shape, "ffib")
    dim = d.dim(x.ndim)
    n = shape[dim] if -len(shape) <= dim < len(shape) else 1
    own = [d.int(1, k) for k in shape]
    if own and -len(shape) <= dim < len(shape):
        own[dim] = d.int(0, 4)
    index = d.indices(n, tuple(own))
    if d.chance(0.05):
        index = index + n
    return Call(x, dim, index)


def masked(d):
    one, two = d.broadcast(2)
    value = d.pick(0.0, -1e9, float("-inf"), 2, np.array(1.5))
    x = d.array(one, "ff")
    return Call(
        x, d.array(two, "b"), value.astype(x.dtype) if isinstance(value, np.ndarray) else value
    )


def masked_in_place(d):
    x = d.array(d.shape(), "ff")
    two = tuple(1 if d.chance(0.3) else n for n in x.shape[d.int(0, x.ndim) :])
    return Call(x, d.array(two, "b"), d.pick(0.0, float("-inf"), 2))


def flipped(d):
    x = d.array(kinds="ffib")
    return Call(x, d.dims(x.ndim)) if x.ndim else Call(x, ())


def triangle(d):
    x = d.array(d.shape(2, 4), "ffib")
    if d.chance(0.05):
        x = d.array((3,))
    choice = d.random()
    if choice < 0.3:
        return Call(x)
    return Call(x, d.int(-4, 4)) if choice < 0.7 else Call(x, diagonal=d.int(-4, 4))


def repeated(d):
    x = d.array(d.shape(0, 3), "ffib")
    n = x.ndim + d.int(0, 1) - (x.ndim > 0 and d.chance(0.05))
    return Call(x, tuple(d.int(0 if d.chance(0.1) else 1, 3) for _ in range(n)))


def rolled(d):
    x = d.array(kinds="ffib")
    if d.chance(0.3):
        return Call(x, d.int(-5, 5))
    if d.chance(0.4) and x.ndim:
        dims = d.dims(x.ndim)
        return Call(x, tuple(d.int(-5, 5) for _ in dims), dims)
    return Call(x, d.int(-5, 5), d.dim(x.ndim))


def index(d, x):
    """One of every kind of index, and mixtures of them."""
    parts, rest = [], list(x.shape)
    broadcast = d.int(1, 3)
    while rest and d.chance(0.8):
        n = rest.pop(0)
        choice = d.random()
        if choice < 0.25:
            parts.append(d.int(-n, max(n - 1, 0)) + 9 * d.chance(0.02))
        elif choice < 0.55:
            step = d.pick(None, 1, 2, 3)
            ends = [d.pick(None, d.int(-n - 1, n + 1)) for _ in range(2)]
            parts.append(slice(*ends, step))
        elif choice < 0.7:
            parts.append(d.indices(n, (broadcast,), True) if n else slice(None))
        elif choice < 0.75:
            parts.append(d.indices(n, (2, 1), True).tolist() if n else slice(None))
        elif choice < 0.85:
            parts.append(d.array((n,), "b"))
        elif choice < 0.9:
            parts.append(None)
            rest.insert(0, n)
        elif Ellipsis not in [p for p in parts if not isinstance(p, (np.ndarray, list))]:
            parts.append(Ellipsis)
            rest = rest[d.int(0, len(rest)) :]
        else:
            parts.append(slice(None))
    if d.chance(0.1):
        return d.array(x.shape, "b")
    if len(parts) == 1 and d.chance(0.7):
        return parts[0]
    return tuple(parts)


def got(d):
    x = d.array(kinds="ffib")
    return Call(x, index(d, x))


def assigned(d):
    x = d.array(d.shape(1, 3), "ff")
    where = index(d, x)
    value = d.pick(1.5, 0, d.array((), "f"), d.array((1,), "f"))
    try:
        shape = x[where].shape  # NumPy's meaning is PyTorch's in nearly every case
        if d.chance(0.5):
            value = d.array(tuple(shape), "f")
    except IndexError:
        pass
    return Call(x, where, value.astype(x.dtype) if isinstance(value, np.ndarray) else value)


def put(lib, x, where, value):
    y = x * 1
    y[where] = value
    return y


TABLE = {
    "view": Entry(
        shaped, (lambda t: t.ones(6).view(4), lambda t: t.ones(6).view(-1, -1)), methods("view")
    ),
    "view_as": Entry(
        lambda d: Call(d.array((2, 6)), d.array(d.pick((3, 4), (12,), (5,)))),
    ),
    "reshape": Entry(
        shaped,
        (lambda t: t.ones(6).reshape(4), lambda t: t.reshape(t.ones(6), 2.0)),
        spread("reshape"),
    ),
    "contiguous": Entry(lambda d: Call(d.array(kinds="ffib"))),
    "transpose": Entry(axes(2), (lambda t: t.ones(2, 3).transpose(0, 2),)),
    "permute": Entry(
        permuted,
        (lambda t: t.ones(2, 3).permute(0), lambda t: t.permute(t.ones(2, 3), (0, 2))),
        spread("permute"),
    ),
    "t": Entry(lambda d: Call(d.array(d.shape(0, 3 if d.chance(0.1) else 2), "ffib"))),
    "T": Entry(
        lambda d: Call(d.array(d.shape(2, 2), "ffib")), forms={"Tensor.T": lambda t, x: x.T}
    ),
    "mT": Entry(
        lambda d: Call(d.array(d.shape(2, 4), "ffib")),
        (lambda t: t.ones(2).mT,),
        {"Tensor.mT": lambda t, x: x.mT},
    ),
    "unsqueeze": Entry(
        lambda d: (lambda x: Call(x, d.dim(x.ndim + 1)))(d.array(kinds="ffib")),
        (lambda t: t.ones(2).unsqueeze(3),),
    ),
    "squeeze": Entry(squeezed, (lambda t: t.ones(2).squeeze(1),)),
    "unsqueeze_": Entry(
        lambda d: (lambda x: Call(x, d.dim(x.ndim + 1)))(d.array(kinds="ffib")),
        (lambda t: t.ones(2).unsqueeze_(3),),
    ),
    "squeeze_": Entry(squeezed, (lambda t: t.ones(2).squeeze_(1),)),
    "transpose_": Entry(
        lambda d: (lambda x: Call(x, d.dim(x.ndim), d.dim(x.ndim)))(d.array(d.shape(1, 4), "ffib")),
        (lambda t: t.ones(2, 3).transpose_(0, 2),),
    ),
    "t_": Entry(lambda d: Call(d.array(d.shape(0, 2), "ffib"))),
    "expand": Entry(
        expanded,
        (lambda t: t.ones(2, 3).expand(3), lambda t: t.ones(2).expand(3)),
        methods("expand"),
    ),
    "expand_as": Entry(lambda d: Call(*(d.array(s, "ff") for s in d.broadcast(2)))),
    "broadcast_to": Entry(
        expanded,
        (lambda t: t.broadcast_to(t.ones(2), (3,)),),
        {k: v for k, v in spread("broadcast_to").items() if "one by one" not in k},
    ),
    "flatten": Entry(flattened, (lambda t: t.flatten(t.ones(2, 3), 1, 0),)),
    "unflatten": Entry(unflattened, (lambda t: t.unflatten(t.ones(6), 0, (4, 2)),)),
    "cat": Entry(
        joined(False),
        (
            lambda t: t.cat([]),
            lambda t: t.cat([t.ones(2), t.ones(2, 2)]),
            lambda t: t.cat(t.ones(2)),
        ),
    ),
    "stack": Entry(
        joined(True), (lambda t: t.stack([]), lambda t: t.stack([t.ones(2), t.ones(3)]))
    ),
    "split": Entry(
        cut("split"),
        (
            lambda t: t.split(t.ones(4), [1, 2]),
            lambda t: t.split(t.ones(4), -1),
            lambda t: t.split(t.ones(()), 1),
        ),
    ),
    "chunk": Entry(
        cut("chunk"), (lambda t: t.chunk(t.ones(4), 0), lambda t: t.chunk(t.ones(()), 2))
    ),
    "tensor_split": Entry(
        cut("tensor_split"),
        (lambda t: t.tensor_split(t.ones(4), 0), lambda t: t.tensor_split(t.ones(()), 2)),
    ),
    "unbind": Entry(axes(1), (lambda t: t.unbind(t.ones(())),)),
    "narrow": Entry(
        narrowed, (lambda t: t.narrow(t.ones(3), 0, 1, 3), lambda t: t.narrow(t.ones(3), 0, 1, -1))
    ),
    "select": Entry(
        selected, (lambda t: t.select(t.ones(3), 0, 3), lambda t: t.select(t.ones(()), 0, 0))
    ),
    "index_select": Entry(
        by_index,
        (
            lambda t: t.index_select(t.ones(3), 0, t.ones(2)),
            lambda t: t.index_select(t.ones(3), 0, t.ones(2, 2).long()),
            lambda t: t.index_select(t.ones(3), 0, t.tensor([-1])),
        ),
    ),
    "gather": Entry(
        gathered,
        (
            lambda t: t.gather(t.ones(3), 0, t.ones(2)),
            lambda t: t.gather(t.ones(2, 3), 0, t.zeros(2).long()),
            lambda t: t.gather(t.ones(2, 3), 0, t.zeros(1, 4).long()),
            lambda t: t.gather(t.ones(3), 0, t.tensor([-1])),
        ),
    ),
    "masked_fill": Entry(
        masked,
        (
            lambda t: t.ones(3).masked_fill(t.ones(3), 0.0),
            lambda t: t.ones(3).masked_fill(t.ones(2) > 0, 0.0),
            lambda t: t.ones(3).masked_fill(t.ones(3) > 0, t.ones(3)),
        ),
    ),
    "masked_fill_": Entry(
        masked_in_place, (lambda t: t.ones(3).masked_fill_(t.ones(2, 3) > 0, 1.0),)
    ),
    "flip": Entry(
        flipped,
        (lambda t: t.flip(t.ones(2, 3), (0, 0)), lambda t: t.flip(t.ones(2), (1,))),
        {
            "flip": lambda t, x, dims: t.flip(x, dims),
            "Tensor.flip": lambda t, x, dims: x.flip(dims),
            "Tensor.flip, one by one": lambda t, x, dims: x.flip(*dims) if dims else x.flip(dims),
        },
    ),
    "tril": Entry(triangle, (lambda t: t.tril(t.ones(3)),)),
    "triu": Entry(triangle, (lambda t: t.triu(t.ones(3)),)),
    "repeat": Entry(
        repeated,
        (lambda t: t.ones(2, 3).repeat(2), lambda t: t.ones(2).repeat(-1)),
        methods("repeat"),
    ),
    "roll": Entry(
        rolled, (lambda t: t.roll(t.ones(2, 3), (1, 2), 0), lambda t: t.roll(t.ones(2), 1, 1))
    ),
    "__getitem__": Entry(
        got,
        (
            lambda t: t.ones(2)[2],
            lambda t: t.ones(2)[0, 0],
            lambda t: t.ones(2)[t.ones(3) > 0],
            lambda t: t.ones(2)[t.tensor([2])],
            lambda t: t.ones(2)[::-1],
            lambda t: t.ones(2)[0.5],
            lambda t: t.ones(2)["x"],
            lambda t: t.ones(2, 2)[..., ..., 0],
        ),
        {"x[i]": lambda t, x, i: x[i]},
        cases=5 * CASES,
    ),
    "__setitem__": Entry(
        assigned,
        (
            lambda t: t.ones(2).__setitem__(2, 1.0),
            lambda t: t.ones(2).__setitem__(0, t.ones(2)),
            lambda t: t.ones(2, 3).__setitem__(slice(None), t.ones(2)),
        ),
        {"x[i] = v": put},
        cases=2 * CASES,
    ),
    "__len__": Entry(
        lambda d: Call(d.array(d.shape(1, 3))),
        (lambda t: len(t.ones(())),),
        {"len(x)": lambda t, x: len(x)},
    ),
    "__iter__": Entry(
        lambda d: Call(d.array(d.shape(1, 3))),
        (lambda t: list(t.ones(())),),
        {"list(x)": lambda t, x: list(x)},
    ),
    "item": Entry(lambda d: Call(d.array(d.pick((), (1,), (1, 1), (2,)), "fib"))),
    "tolist": Entry(lambda d: Call(d.array(kinds="dib")), layouts=False),
    "size": Entry(
        lambda d: (lambda x: Call(x) if d.chance(0.3) else Call(x, d.dim(x.ndim)))(
            d.array(d.shape(1, 3))
        )
    ),
    **{
        name: Entry(lambda d: Call(d.array(kinds="fib")))
        for name in ("dim", "numel", "is_floating_point", "detach")
    },
    "is_contiguous": Entry(lambda d: Call(d.array(d.shape(2, 3, empty=0)))),
    "requires_grad_": Entry(
        lambda d: Call(d.array(kinds="ff"), True),
        (lambda t: t.ones(2).long().requires_grad_(),),
        {"Tensor.requires_grad_": lambda t, x, on: x.detach().requires_grad_(on)},
        gradients=False,
    ),
    "numpy": Entry(
        lambda d: Call(Const(d.array(kinds="fib"))),
        (lambda t: t.ones(2, requires_grad=True).numpy(),),
        {"Tensor.numpy": lambda t, x: t.tensor(x.numpy())},
    ),
    **{
        name: Entry(
            lambda d: Call(d.array(kinds="fib")),
            forms={f"Tensor.{name}": lambda t, x, n=name: plainly(getattr(x, n))},
            gradients=False,
        )
        for name in ("shape", "ndim", "dtype", "requires_grad", "is_leaf", "data", "grad")
    },
}


def plainly(value):
    return tuple(value) if isinstance(value, tuple) else value
