"""What names made of other operations are called with, and PyTorch's second names."""

from .harness import Call, Const, Entry
from .making import scenario


def several(count, kinds="d", value=False):
    """So many operands that broadcast, now and then not; and a number `value`."""

    def draw(d):
        parts = [d.array(shape, kinds) for shape in d.broadcast(count)]
        return Call(*parts, value=d.pick(2, -0.5)) if value and d.chance(0.5) else Call(*parts)

    return draw


def weighed(d):
    one, two = d.broadcast(2)
    x, y = d.array(one, "d"), d.array(two, "d")
    return Call(x, y, d.pick(0.25, 1, 0) if d.chance(0.5) else d.array(one, "d"))


def bounded(d):
    one, two = d.broadcast(2)
    x = d.array(one, "ffi", special=0.2)
    return Call(x, d.pick(0, 1.5) if d.chance(0.5) else d.array(two, "d").astype(x.dtype))


def diagonals(d):
    x = d.array(d.shape(2, 4), "ffi")
    return Call(x, d.int(-3, 3), d.dim(x.ndim), d.dim(x.ndim)) if d.chance(0.7) else Call(x)


def windows(d):
    x = d.array(d.shape(0, 3), "ffi")
    return Call(x, d.dim(x.ndim), d.int(0, 4), d.int(0, 3))


def put(d):
    x = d.array((3, 4), "ffi")
    if d.chance(0.3):
        mask = Const(x > 0)
        return Call(x, (mask,), d.array((), "d").astype(x.dtype), accumulate=d.chance(0.5))
    rows = d.indices(3, (2, 3), negative=True)
    columns = d.permutation(4)[:3]  # no place twice in a row
    if not d.chance(0.5):
        return Call(x, [Const(rows)], d.array((4,), "d").astype(x.dtype), True)
    rows = rows[0] * 0 + d.int(0, 2)
    values = d.array(d.pick((3,), (1,), ()), "d").astype(x.dtype)
    return Call(x, (Const(rows), Const(columns)), values, accumulate=d.chance(0.5))


def along(d):
    x = d.array(d.pick((3, 4), (1, 4), (3, 1)), "ffi")
    dim = d.dim(2)
    n = x.shape[dim] if -2 <= dim < 2 else 1
    if d.chance(0.2):
        return Call(x, Const(d.indices(x.size, (2, 2))))
    shape = d.pick((3, 4), (3, 1), (1, 1), (2, 2))
    return Call(x, Const(d.indices(n, shape, negative=d.chance(0.5))), dim)


def compared(d):
    one, two = d.broadcast(2)
    return Call(d.array(one, "fib"), d.array(two, "fib"))


def written(t):
    """results by `out=`, and errors of it"""
    x, y = t.ones(2, 2), t.full((2, 2), 3.0)
    out, nothing, wide = t.empty(2, 2), t.empty(0), t.zeros(2, 2, dtype=t.float64)
    same = [
        function(x, y, out=out) is out
        for function in (t.add, t.sub, t.mul, t.div, t.matmul, t.mm, t.multiply)
    ]
    t.cat([x, y], out=nothing)
    t.mul(x, y, out=wide)
    rows = t.zeros(3, 2)
    t.add(x[0], y[0], out=rows[1])
    t.stack([x, y], 1, out=(third := t.empty(2, 2, 2)))
    t.bmm(third, third, out=(fourth := t.empty(2, 2, 2)))
    return same, out, nothing, wide, rows, third, fourth


def gumbel(t):
    x = t.zeros(3, 4, requires_grad=True)
    soft = t.nn.functional.gumbel_softmax(x, 0.5, dim=0)
    hard = t.nn.functional.gumbel_softmax(x, hard=True)
    return soft.sum(0), hard.sum(-1), hard.detach().sort(-1)[0], hard.dtype


TABLE = {
    "lerp": Entry(
        weighed,
        (
            lambda t: t.lerp(t.tensor([1]), t.tensor([2]), 0.5),
            lambda t: t.lerp(t.ones(2), t.ones(2, dtype=t.float64), 0.5),
            lambda t: t.lerp(t.ones(2), 1.0, 0.5),
        ),
    ),
    "addcmul": Entry(several(3, "d", True), (lambda t: t.addcmul(t.ones(2), 1.0, t.ones(2)),)),
    "addcdiv": Entry(
        several(3, "d", True), (lambda t: t.addcdiv(t.tensor([1]), t.tensor([2]), t.tensor([2])),)
    ),
    **{f"clamp_{end}{mark}": Entry(bounded) for end in ("min", "max") for mark in ("", "_")},
    "reshape_as": Entry(
        lambda d: (lambda x: Call(x, d.pick(x, x.reshape(-1), x[:0])))(d.array(d.shape(1, 3)))
    ),
    "ravel": Entry(lambda d: Call(d.array())),
    "broadcast_tensors": Entry(several(3)),
    "diagonal": Entry(
        diagonals,
        (
            lambda t: t.ones(2).diagonal(),
            lambda t: t.ones(2, 2).diagonal(0, 1, -1),
        ),
    ),
    "fill_diagonal_": Entry(
        lambda d: Call(d.array(d.pick((3, 3), (2, 4), (2, 2, 2))), 7.0),
        (
            lambda t: t.ones(2).fill_diagonal_(1),
            lambda t: t.ones(2, 2, 3).fill_diagonal_(1),
        ),
    ),
    **{
        name: Entry(
            lambda d: Call(d.array(d.shape(2, 3), "ffi"), d.int(-2, 2)),
            (lambda t, name=name: getattr(t.ones(2), name)(),),
        )
        for name in ("tril_", "triu_")
    },
    "unfold": Entry(
        windows,
        (lambda t: t.ones(3).unfold(0, 4, 1), lambda t: t.ones(3).unfold(0, 2, 0)),
        {"Tensor.unfold": lambda t, x, *args: x.unfold(*args)},
    ),
    "argwhere": Entry(lambda d: Call(d.array(kinds="fib")), gradients=False),
    **dict.fromkeys(
        ("index_put", "index_put_"),
        Entry(
            put,
            (
                lambda t: t.ones(2).index_put((t.tensor([0]),), t.tensor([1])),
                lambda t: t.ones(2).index_put_((t.tensor([2]),), t.tensor([1.0])),
                lambda t: t.ones(2).index_put((t.tensor([2]),), t.tensor([1.0]), accumulate=True),
                lambda t: t.ones(2).index_put((t.tensor([0]),), t.ones(3), accumulate=True),
            ),
        ),
    ),
    "take_along_dim": Entry(
        along, (lambda t: t.take_along_dim(t.ones(2, 2), t.tensor([0]), 1),), layouts=False
    ),
    "is_floating_point": Entry(lambda d: Call(d.array(kinds="fib")), gradients=False),
    **{name: Entry(several(2)) for name in ("multiply", "subtract", "divide", "true_divide")},
    **{
        name: Entry(compared, gradients=False)
        for name in ("greater", "greater_equal", "less", "less_equal", "not_equal")
    },
    **{name: Entry(lambda d: Call(d.array(kinds="ffi"))) for name in ("absolute", "negative")},
    "concatenate": Entry(
        lambda d: Call([d.array((2, 3)), d.array((1, 3))]),
        forms={"concatenate": lambda t, x: t.concatenate(x)},
    ),
    "gumbel_softmax": scenario(
        gumbel,
        cases=1,
        wrong=(
            lambda t: t.nn.functional.gumbel_softmax(t.tensor([1, 2])),
            lambda t: t.nn.functional.gumbel_softmax(t.ones(2), dim=1),
        ),
    ),
    "out=": scenario(
        written,
        cases=1,
        wrong=(
            lambda t: t.add(t.ones(2), 1.5, out=t.zeros(2, dtype=t.int64)),
            lambda t: t.add(t.ones(2, requires_grad=True), 1, out=t.zeros(2)),
            lambda t: t.add(t.ones(2), 1, out=t.zeros(2, requires_grad=True)),
            lambda t: t.add(t.ones(2), 1, out=[0, 0]),
        ),
    ),
}
