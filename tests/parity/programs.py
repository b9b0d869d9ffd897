"""What names that programs bring are called with: scatter, unique, rounding, old constructors."""

import numpy as np

from .harness import Call, Const, Entry, Of, in_place
from .making import facts, scenario


def unary(kinds, special=0.2):
    return Entry(lambda d: Call(d.array(kinds=kinds, special=special)))


def rounded(d):
    x = d.array(kinds="ffi", special=0.2)
    if x.dtype.kind == "f" and d.chance(0.4):
        return Call(x, decimals=d.int(-1, 3))
    return Call(x)


def divided(kinds="ffi"):
    def draw(d):
        one, two = d.broadcast(2)
        x, y = d.array(one, kinds), d.array(two, kinds)
        return Call(x, d.pick(2, -3, 0.5) if d.chance(0.3) else y)

    return draw


def bits(d):
    kinds = d.pick("i", "b")
    one, two = d.broadcast(2)
    return Call(d.array(one, kinds), d.array(two, kinds))


def scattered(add):
    """(x, dim, index, source): places without doubles where the last one counts."""

    def draw(d):
        x = d.array(d.shape(1, 3, empty=0.03), "ffi")
        dim = d.dim(x.ndim)
        axis = dim % x.ndim if -x.ndim <= dim < x.ndim else 0
        shape = tuple(d.int(0 if d.chance(0.05) else min(1, n), n) for n in x.shape)
        n = x.shape[axis]
        if add:
            index = d.indices(n, shape)
        else:
            order = np.argsort(d.random((*shape[:axis], *shape[axis + 1 :], n)), -1)
            index = np.moveaxis(order[..., : shape[axis]], -1, axis)
        if index.size and d.chance(0.05):
            index.reshape(-1)[0] = n + 1
        if not add and d.chance(0.3):
            return Call(x, dim, Const(index), 2)
        return Call(x, dim, Const(index), d.array(shape, "f").astype(x.dtype))

    return draw


def some(d):
    x = d.array(kinds="fib")
    x = np.where(d.random(x.shape) < 0.5, 0, x).astype(x.dtype)
    return Call(x, as_tuple=True) if d.chance(0.5) else Call(x)


def rows(fill, doubles):
    def draw(d):
        x = d.array(d.shape(1, 3, empty=0.03), "ffi")
        dim = d.dim(x.ndim, 0)
        n = x.shape[dim]
        count = d.int(0, n)
        index = d.indices(n, count) if doubles else d.permutation(n)[:count]
        if fill:
            return Call(x, dim, Const(index), d.pick(2, -1))
        shape = list(x.shape)
        shape[dim] = count
        return Call(x, dim, Const(index), d.array(tuple(shape), "f").astype(x.dtype))

    return draw


def both(name, draw, wrong=()):
    """The operation and the one in place."""
    return {
        name: Entry(draw, wrong),
        f"{name}_": Entry(draw, forms={f"Tensor.{name}_": in_place(f"{name}_")}),
    }


def masked(d):
    one, two = d.broadcast(2)
    return Call(d.array(one, "ffib"), d.array(two, "b"))


def sorting(d):
    x = d.array(d.shape(1, 3), "fi", "apart")
    return Call(x, d.dim(x.ndim), descending=d.chance(0.5))


def distinct(d):
    x = d.array(kinds="ib")
    options = {k: True for k in ("return_inverse", "return_counts") if d.chance(0.5)}
    if x.ndim and x.size and d.chance(0.3):
        options["dim"] = d.dim(x.ndim, 0)
    return Call(x, **options)


def counted(d):
    x = d.indices(5, d.int(1, 6))
    options = {"minlength": d.int(0, 8)} if d.chance(0.4) else {}
    if d.chance(0.4):
        options["weights"] = Const(d.array(x.shape, d.pick("f", "i")))
    return Call(Const(x), **options)


def alike(d):
    x = d.array(kinds="ffi", special=0.2)
    y = x.copy()
    if d.chance(0.5):
        y = (y * (1 + 1e-6)).astype(x.dtype)
    if d.chance(0.3):
        y = d.array(x.shape).astype(x.dtype)
    return x, y


def close(d):
    options = {"equal_nan": d.chance(0.5)} if d.chance(0.5) else {}
    return Call(*alike(d), **options)


def repeated(d):
    x = d.array(d.shape(0, 3, empty=0.03), "ffi")
    if d.chance(0.3):
        return Call(x, d.int(0, 3))
    dim = d.dim(x.ndim)
    n = x.shape[dim] if -x.ndim <= dim < x.ndim else 1
    return Call(x, Const(d.indices(3, n)) if d.chance(0.5) else d.int(0, 3), dim)


def gridded(d):
    lines = [d.array(d.shape(0, 1), "f") for _ in range(d.int(1, 3))]
    return Call(*(x.astype("float64") for x in lines), indexing=d.pick("ij", "xy"))


def made(name, *more):
    """x.new_zeros(size) and its like."""

    def draw(d):
        options = {"dtype": Of(d.pick("float32", "int64"))} if d.chance(0.3) else {}
        if d.chance(0.3):
            options["device"] = "cpu"
        return Call(d.array(kinds="fi"), d.shape(), *more, **options)

    form = lambda t, x, *a, **o: getattr(x, name)(*a, **o)  # noqa: E731
    form = facts(form) if name == "new_empty" else form
    return Entry(draw, forms={f"Tensor.{name}": form}, gradients=False)


def constructed(name):
    def draw(d):
        data = d.pick(
            (), ([1, 2],), ((3, 0),), ([[1, 0], [2, 5]],), ([True, False],), ([1.5, 2.0],),
            (np.arange(3),), (d.array((2, 2), "i"),),
        )  # fmt: skip
        return Call(*(Const(x) if isinstance(x, np.ndarray) else x for x in data))

    def form(t, *data):
        if data and isinstance(data[0], t.Tensor):
            data = (data[0].numpy(),)
        return getattr(t, name)(*data)

    sized = lambda t: facts(lambda t: getattr(t, name)(2, 3))(t)  # noqa: E731
    return Entry(
        draw,
        (lambda t: getattr(t, name)(2.5), lambda t: getattr(t, name)("x"),
         lambda t: getattr(t, name)([[1], [1, 2]]), lambda t: getattr(t, name)(2, device="cuda")),
        {name: form, f"{name}, sizes": lambda t, *a: sized(t)},
        gradients=False,
    )  # fmt: skip


def draws(function):
    """What is known of random numbers: shape, dtype, and that equal generators give equal ones."""

    def check(t, *args):
        one, two = (function(t, t.Generator().manual_seed(3), *args) for _ in range(2))
        return tuple(one.shape), one.dtype, bool((one == two).all())

    return check


def sized(d):
    return Call(d.shape())


def weighted(d):
    shape = (d.int(1, 3), d.int(2, 5)) if d.chance(0.5) else (d.int(2, 5),)
    return Call(Const(d.array(shape, "f", "positive")), d.int(1, 2), d.chance(0.5))


def seeds(t):
    g = t.Generator(device="cpu").manual_seed(5)
    state, first = g.get_state(), t.rand(2, generator=g)
    g.set_state(state)
    return g.initial_seed(), bool((t.rand(2, generator=g) == first).all()), str(g.device)


def devices(t):
    cpu, x = t.device("cpu"), t.ones(2, device="cpu")
    with t.device("cpu") as inside:
        made = t.ones(1)
    return (
        cpu.type, str(cpu), repr(cpu), cpu == x.device, str(t.device("cpu:0")),
        x.is_cuda, x.is_sparse, inside == cpu, made.device == cpu,
        t.accelerator.is_available(), t.accelerator.current_accelerator(),
        t.accelerator.device_count(), isinstance(x, t.autograd.Variable),
        x.to(cpu) is x, x.cpu() is x, x.to("cpu", t.float64).dtype, x.to(device=cpu).dtype,
        x.to(t.ones(1, dtype=t.int64)).dtype, t.cuda.is_available(), t.cuda.device_count(),
        t.backends.mps.is_available(), t.tensor([1], device=cpu), t.zeros_like(x, device=cpu),
        t.nn.Linear(2, 3, device=cpu).to(cpu).cpu().to("cpu", t.float64).weight.dtype,
        t.nn.GRU(2, 3, device="cpu").weight_ih_l0.device == cpu,
    )  # fmt: skip


def sizes(t):
    shape = t.zeros(2, 3, 4).shape
    return (
        shape.numel(), shape[1:].numel(), (shape + (5,)).numel(), ((7,) + shape).numel(),  # noqa: RUF005
        (shape * 2).numel(), isinstance(shape[:2], t.Size), shape == (2, 3, 4), shape[-1],
        t.zeros(2, 3).size().numel(), t.zeros(shape).shape == shape,
    )  # fmt: skip


def kinds(t):
    x = t.ones(2)
    b = t.ByteTensor([0, 3])
    return (
        x.type(), x.type(t.LongTensor), x.type("torch.DoubleTensor"), x.type(t.int32), b.type(),
        x.byte() + b, b + 1, b * 2.5, b == 3, b & 1, ~b, b.sum(), b.float(), b.bool(),
        b + t.ones(2).long(),
        b > 1, b.max(), 1 - b, x.nelement(), x.ndimension(), x.element_size(),
        isinstance(x, t.FloatTensor),
        isinstance(x, t.LongTensor), x[b], t.where(b, x, -x), b.tolist(), b[1].item(),
        x.new(2).shape, x.new([4, 5]), t.zeros(3, dtype=t.uint8), b.masked_fill(b == 3, 1),
        t.arange(3, dtype=t.uint8), t.triu(t.ones(2, 2), 1).type(t.uint8) == 0,
    )  # fmt: skip


def limits(t):
    f, i = t.finfo(t.float32), t.iinfo(t.int32)
    return (
        f.min,
        f.max,
        f.eps,
        f.tiny,
        i.min,
        i.max,
        i.bits,
        t.finfo(t.float64).max,
        t.iinfo(t.uint8).max,
    )


def ranged(d):
    return Call(*d.pick((0, 3), (0, 4), (1, 2, 0.5), (5, 1, -2)))


def probable(d):
    """Probabilities, 0 and 1 among them, and their targets."""
    shape = d.shape()
    p, options = d.random(shape), {}
    if d.chance(0.4):
        p = p.round(1)
    if d.chance(0.3):
        options = {"reduction": d.pick("mean", "sum", "none")}
    return Call(p, d.random(shape), **options)


def pooled_means(d):
    x = d.array((*d.shape(1, 2, empty=0), d.int(7, 9)), "d")
    return Call(
        x,
        d.int(2, 4),
        *d.pick((), (1,), (2, 1), (2, 1, False, False), (3, 0, True), (2, 1, True, False)),
    )


def normed(d):
    x = d.array(d.pick((4, 3), (2, 3, 5)), "d")
    mean, var = d.array((3,), "d"), d.array((3,), "d", "positive")
    affine = d.pick((), (d.array((3,), "d"), d.array((3,), "d")))
    return Call(x, Const(mean), Const(var), *affine)


def bagged(d):
    mode = d.pick("sum", "mean", "max")
    how = {"mode": mode} | d.pick({}, {"padding_idx": 1})
    if mode == "sum" and d.chance(0.5):
        how["per_sample_weights"] = d.array((6,), "d")
    table = d.array((4, 3), "d", "apart")
    if d.chance(0.5) or "per_sample_weights" in how:
        return Call(d.indices(4, (6,)), table, np.array([0, 2, 2]), **how)
    return Call(d.indices(4, (2, 3)), table, **how)


def pooled(d):
    x = d.array((*d.shape(1, 2, empty=0), d.int(5, 9)), "d")
    size = d.int(1, 3)
    padding = d.int(0, size // 2)
    if d.chance(0.3):
        return Call(x, size, d.pick(None, 1, 2), padding, ceil_mode=True)
    return Call(x, size, d.pick(None, 1, 2), padding, d.pick(1, 1, 2))


def numpys(t, x):
    """NumPy's names of dim and keepdim."""
    return (
        *(getattr(x, n)(axis=1) for n in ("sum", "mean", "argmax", "argmin", "std", "var")),
        *(getattr(x, n)(axis=1, keepdims=True) for n in ("sum", "mean", "argmax", "max", "min")),
        *(getattr(x > 0, n)(axis=0, keepdims=True) for n in ("all", "any")),
        x.sum(0, keepdims=True), x.std(0, keepdims=True), x.max(axis=0)[1],
    )  # fmt: skip


def old_losses(t):
    x, y, i = t.ones(2, 3), t.zeros(2, 3), t.tensor([0, 1])
    F, nn = t.nn.functional, t.nn
    return (
        F.cross_entropy(x, i, None, False), F.nll_loss(x, i, size_average=False),
        F.nll_loss(x, i, reduce=False), F.mse_loss(x, y, False), F.l1_loss(x, y, reduce=False),
        F.smooth_l1_loss(x, y, False), F.kl_div(x, y + 1, size_average=False),
        F.binary_cross_entropy_with_logits(x, y, None, False), F.cross_entropy(x, i, None, True),
        nn.MSELoss(False).reduction, nn.CrossEntropyLoss(size_average=False).reduction,
        nn.NLLLoss(None, False).reduction, nn.KLDivLoss(reduce=False).reduction,
        nn.L1Loss(True).reduction, nn.SmoothL1Loss(False).reduction,
        nn.BCELoss(None, False).reduction, nn.BCEWithLogitsLoss(None, False).reduction,
        F.softmax(x), F.log_softmax(x[0]), nn.Softmax()(x),
        F.softmax(t.ones(2, 3, 4)), nn.LogSoftmax()(t.ones(2, 3, 4, 1)), repr(nn.Softmax()),
    )  # fmt: skip


def old_orders(t, x, y):
    z = x.clone()
    z.add_(-0.1, y).sub_(2, y).addcmul_(0.5, y, y).addcdiv_(-0.5, y, y + 3)
    z.addcmul_(y, y, value=2)
    return z, z.clone().addcdiv_(y, y + 3), z.clone().lerp_(y, 0.3)


def lazy(t):
    layer = t.nn.LazyLinear(2, bias=False)
    y = layer(t.ones(3, 4))
    return tuple(y.shape), repr(layer), tuple(layer.weight.shape), list(layer.state_dict())


def lazy_convolution(t):
    layer = t.nn.LazyConv1d(2, 3, padding=1, groups=2)
    y = layer(t.ones(3, 4, 5))
    return tuple(y.shape), repr(layer), tuple(layer.weight.shape), list(layer.state_dict())


def parameters(t):
    one = t.nn.ParameterList([t.ones(2), t.nn.Parameter(t.zeros(3))])
    one.append(t.ones(1))
    one += [t.zeros(2)]
    one[0] = t.nn.Parameter(t.full((2,), 5.0))
    two = t.nn.ParameterDict({"a": t.ones(2)})
    two["b"] = t.nn.Parameter(t.zeros(1))
    two.update({"c": t.nn.Parameter(t.ones(1))})
    del two["c"]
    return (
        len(one), [tuple(p.shape) for p in one], one[-1], [tuple(p.shape) for p in one[1:3]],
        list(one.state_dict()), len(two), list(two), "a" in two, "c" in two, list(two.state_dict()),
        two["b"], [k for k, _ in two.items()], len(list(two.values())), list(two.keys()),
        all(p.requires_grad for p in [*one, *two.values()]),
    )  # fmt: skip


def old_names(t):
    x = t.nn.Parameter(t.ones(2, 2))
    x.grad = t.full((2, 2), 3.0)
    names = ("uniform", "normal", "xavier_uniform", "xavier_normal", "kaiming_uniform")
    names += ("kaiming_normal", "orthogonal")
    drawn = [tuple(getattr(t.nn.init, name)(t.ones(2, 2)).shape) for name in names]
    norm = t.nn.utils.clip_grad_norm([x], 1.0)
    v = t.autograd.Variable(t.ones(2), requires_grad=True)
    return drawn, t.nn.init.constant(t.ones(2), 4), t.nn.init.eye(t.ones(2, 2)), norm, x.grad, v


def quiet(t):
    """Settings, and modes without gradients."""
    x = t.ones(2, requires_grad=True)
    with t.inference_mode():
        inside = (x * 2).requires_grad
    with t.inference_mode(False):
        outside = (x * 2).requires_grad
    seen = t.inference_mode()(lambda: t.is_grad_enabled())(), t.inference_mode(t.is_grad_enabled)()
    t.set_float32_matmul_precision("high")
    t.set_float32_matmul_precision("highest")
    t.use_deterministic_algorithms(False)
    t.set_default_dtype(t.float32)
    t.set_default_device("cpu")
    t.set_default_device(None)
    names = [getattr(t, name) for name in ("float16", "half", "bfloat16")]
    kept = t.get_default_dtype(), t.get_float32_matmul_precision()
    x = t.ones(2, 3).t()
    made = [
        getattr(t, f"{name}_like")(x, memory_format=t.preserve_format).shape
        for name in ("zeros", "ones", "empty")
    ]
    made += [
        x.clone(memory_format=t.preserve_format),
        x.contiguous(memory_format=t.contiguous_format),
    ]
    made.append(t.full_like(x, 2, memory_format=t.contiguous_format))
    return inside, outside, seen, kept, len(names), made


def mixed(t):
    """Mixed precision where there is no GPU; float16 is never used."""
    weight = t.ones(2, requires_grad=True)
    optimizer = t.optim.SGD([weight], lr=0.5)
    seen = []
    for scaler in (t.amp.GradScaler("cuda"), t.cuda.amp.GradScaler(enabled=False), t.GradScaler()):
        optimizer.zero_grad()
        with t.autocast("cuda", dtype=t.bfloat16), t.cuda.amp.autocast():
            loss = (weight * t.tensor([1.0, 3.0])).sum()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        seen += [scaler.step(optimizer), scaler.update(), scaler.get_scale(), scaler.is_enabled()]
        seen += [scaler.state_dict(), scaler.load_state_dict({}), weight.detach().clone()]
    with t.autocast("cpu", enabled=False), t.autocast("cpu", dtype=t.float32):
        seen.append(weight @ weight)
    seen.append(t.autocast("cuda")(lambda x: x * 2)(weight))
    return seen, t.distributed.is_initialized()


def printed(t):
    """Restored at the end."""
    try:
        t.set_printoptions(precision=2, threshold=3, edgeitems=1, linewidth=50, sci_mode=False)
        return len(repr(t.tensor([1.25])))
    finally:
        t.set_printoptions(profile="default")


NUMBERS = {name: scenario(lambda t, n=name: getattr(t, n), cases=1) for name in ("e", "inf", "pi")}
TABLE = {
    **{name: unary("ffi") for name in ("floor", "ceil", "trunc")},
    "frac": unary("f"),
    "round": Entry(rounded),
    **{
        f"{name}_": Entry(
            lambda d: Call(d.array(kinds="ff")), forms={f"Tensor.{name}_": in_place(f"{name}_")}
        )
        for name in ("floor", "ceil", "round")
    },
    "fmod": Entry(divided("f")),
    "remainder": Entry(divided("f")),
    "floor_divide": Entry(divided("f"), gradients=False),
    "fmod_": Entry(divided("f")),
    "remainder_": Entry(divided("f")),
    "floor_divide_": Entry(divided("f"), gradients=False),
    "pow_": Entry(lambda d: Call(d.array(kinds="ff"), d.pick(2, 3, 2.0))),
    **{f"bitwise_{name}": Entry(bits) for name in ("and", "or", "xor")},
    "bitwise_not": unary("ib"),
    **both("scatter", scattered(False), (lambda t: t.zeros(2).scatter(0, t.tensor([1.0]), 1),)),
    **both("scatter_add", scattered(True), (
        lambda t: t.zeros(2).scatter_add(0, t.tensor([1]), 1),
    )),
    **both("index_add", rows(False, True)),
    **both("index_copy", rows(False, False)),
    **both("index_fill", rows(True, True)),
    "masked_select": Entry(masked, (lambda t: t.ones(2).masked_select(t.ones(2)),)),
    "nonzero": Entry(some),
    "argsort": Entry(sorting),
    "unique": Entry(distinct),
    "bincount": Entry(
        counted, (lambda t: t.bincount(t.tensor([-1])), lambda t: t.bincount(t.ones(2)))
    ),
    "count_nonzero": Entry(
        lambda d: (lambda x: Call(x, *d.pick((), (d.dim(x.ndim),))))(d.array(kinds="fib")),
        gradients=False,
    ),
    "median": Entry(
        lambda d: (lambda x: Call(x, *d.pick((), (d.dim(x.ndim), d.chance(0.5)))))(
            d.array(d.shape(0, 3, empty=0), "d", "apart", special=0.3)
        ),
        (lambda t: t.ones(0, 2).median(0),),
    ),
    "diff": Entry(
        lambda d: (lambda x: Call(x, d.int(0, 3), d.dim(x.ndim)))(d.array(d.shape(1, 3), "dib")),
        (lambda t: t.diff(t.ones(())), lambda t: t.diff(t.ones(2), -1)),
    ),
    **{
        name: Entry(
            lambda d: (lambda x: Call(x, *d.pick((), (d.dim(x.ndim),)), **d.pick(
                {}, {"correction": 0}, {"keepdim": True}
            )))(d.array(d.shape(1, 3, empty=0), "d"))
        )
        for name in ("var_mean", "std_mean")
    },
    "tile": Entry(
        lambda d: Call(d.array(d.shape(0, 3), "ffi"), d.pick((2,), (2, 1), (1, 2, 1, 2)))
    ),
    **dict.fromkeys(("movedim", "moveaxis"), Entry(
        lambda d: Call(d.array((2, 3, 4)), *d.pick((0, -1), (-1, 0), ((0, 1), (2, 0)))),
        (lambda t: t.ones(2, 3).movedim(0, 2), lambda t: t.ones(2, 3).movedim((0, 1), (0, 0))),
    )),
    "trace": Entry(
        lambda d: Call(d.array((d.int(1, 4), d.int(1, 4)), "ffi")), (lambda t: t.trace(t.ones(2)),)
    ),
    "randint_like": scenario(
        lambda t: (t.randint_like(t.ones(2, 3), 5).dtype, t.randint_like(t.ones(2), 4, 5)), cases=1
    ),
    "data_ptr": scenario(
        lambda t: (lambda x: x.data_ptr() == x[:1].data_ptr())(t.ones(2)), cases=1
    ),
    "isclose": Entry(close), "allclose": Entry(close),
    "equal": Entry(lambda d: Call(*alike(d))),
    "isin": Entry(lambda d: Call(*(Const(d.array(kinds="i")) for _ in "xy")), gradients=False),
    "is_tensor": scenario(lambda t: (t.is_tensor(t.ones(1)), t.is_tensor([1])), cases=1),
    "numel": Entry(lambda d: Call(d.array())),
    "cumprod": Entry(lambda d: (lambda x: Call(x, d.dim(x.ndim)))(d.array(d.shape(0, 3), "ffi"))),
    "repeat_interleave": Entry(repeated, (lambda t: t.repeat_interleave(t.ones(2), -1),)),
    "meshgrid": Entry(gridded, forms={"meshgrid": lambda t, *a, **o: t.meshgrid(*a, **o)}),
    **{name: made(name) for name in ("new_zeros", "new_ones", "new_empty")},
    "new_full": made("new_full", 3),
    "new_tensor": Entry(lambda d: Call(d.array(kinds="fi"), [1, 2]), gradients=False),
    **{
        name: constructed(name)
        for name in ("Tensor", "FloatTensor", "DoubleTensor", "IntTensor", "LongTensor")
    },
    **dict.fromkeys(("device", "is_cuda", "is_sparse", "cpu", "cuda", "backends"), scenario(
        devices, cases=1,
        wrong=(lambda t: t.ones(2, device="nowhere"), lambda t: t.device("nowhere")),
    )),
    "Size": scenario(sizes, cases=1),
    **dict.fromkeys(
        ("uint8", "byte", "type", "new", "nelement", "ndimension", "element_size", "ByteTensor",
         "BoolTensor"),
        scenario(kinds, cases=1),
    ),
    **dict.fromkeys(("finfo", "iinfo"), scenario(
        limits, cases=1, wrong=(lambda t: t.finfo(t.int64), lambda t: t.iinfo(t.float32))
    )),
    "range": Entry(ranged, gradients=False),
    **NUMBERS,
    "diag": Entry(
        lambda d: Call(d.array(d.shape(1, 2), "ffi"), d.int(-2, 2)), (lambda t: t.diag(t.ones(())),)
    ),
    **{
        f"{name}_indices": Entry(
            lambda d: Call(d.int(0, 4), d.int(0, 4), d.int(-3, 3)), gradients=False
        )
        for name in ("tril", "triu")
    },
    **{
        f"{name}_": Entry(
            lambda d: Call(d.array(kinds="ff", special=0.2)),
            (lambda t, n=name: getattr(t.ones(2, requires_grad=True), f"{n}_")(),),
            {f"Tensor.{name}_": in_place(f"{name}_")},
        )
        for name in ("neg", "abs", "sqrt", "exp", "log", "sigmoid", "tanh", "relu")
    },
    "log2": unary("fffib"),
    "log10": unary("fffib"),
    "nan_to_num": Entry(lambda d: Call(
        d.array(kinds="fffi", special=0.6), **d.pick({}, {"nan": 2.0}, {"posinf": 1.0})
    )),
    "clip": Entry(lambda d: Call(d.array(special=0.2), *d.pick((0.0,), (-1, 1), (None, 2)))),
    "concat": Entry(lambda d: Call([d.array((2, n), "d") for n in (1, 3)], 1)),
    "hstack": Entry(lambda d: Call([d.array(d.pick((2,), ()), "d") for _ in range(3)])),
    "vstack": Entry(lambda d: Call([d.array((3,), "d"), d.array(d.pick((2, 3), (3,)), "d")])),
    "swapaxes": Entry(lambda d: (lambda x: Call(x, d.dim(x.ndim), d.dim(x.ndim)))(d.array())),
    "binary_cross_entropy": Entry(probable, (
        lambda t: t.nn.functional.binary_cross_entropy(t.full((2,), 2.0), t.ones(2)),
        lambda t: t.nn.functional.binary_cross_entropy(t.ones(2), t.ones(3)),
    )),
    "avg_pool1d": Entry(pooled_means, (lambda t: t.nn.functional.avg_pool1d(t.ones(1, 3), 0),)),
    "adaptive_max_pool1d": Entry(
        lambda d: Call(d.array((*d.shape(1, 2, empty=0), d.int(1, 9)), "d"), d.int(1, 4))
    ),
    "batch_norm": Entry(normed, (
        lambda t: t.nn.functional.batch_norm(t.ones(1, 3), None, None, training=True),
        lambda t: t.nn.functional.batch_norm(t.ones(2, 3), None, None),
    )),
    "embedding_bag": Entry(bagged, (
        lambda t: t.nn.functional.embedding_bag(t.tensor([1]), t.ones(2, 3)),
        lambda t: t.nn.functional.embedding_bag(t.tensor([9]), t.ones(2, 3), t.tensor([0])),
    )),
    "max_pool1d": Entry(pooled, (lambda t: t.nn.functional.max_pool1d(t.ones(1, 3), 0),)),
    "adaptive_avg_pool1d": Entry(
        lambda d: Call(d.array((*d.shape(1, 2, empty=0), d.int(1, 9)), "d"), d.int(1, 4))
    ),
    "axis and keepdims": scenario(
        numpys, lambda d: Call(Const(d.array((2, 3), "d"))),
        (lambda t: t.ones(2).sum(0, axis=0), lambda t: t.ones(2).sum(axes=0)),
    ),
    "old losses": scenario(old_losses, cases=1),
    **dict.fromkeys(("addcmul_", "addcdiv_", "lerp_"), Entry(
        lambda d: (lambda n: Call(d.array(n, "d"), d.array(n, "d", "unit")))(d.shape()),
        forms={"": old_orders},
    )),
    **dict.fromkeys((
        "inference_mode", "set_float32_matmul_precision", "get_float32_matmul_precision",
        "bfloat16", "preserve_format", "contiguous_format",
        "use_deterministic_algorithms", "set_default_dtype", "get_default_dtype", "float16", "half",
        "set_default_device",
    ), scenario(quiet, cases=1, wrong=(
        lambda t: t.set_default_device("nowhere"),
        lambda t: t.set_float32_matmul_precision(precision=3),
        lambda t: t.zeros_like(t.ones(2), memory_format=3),
        lambda t: t.ones(2).clone(memory_format="preserve"),
    ))),
    "set_printoptions": scenario(printed, cases=1),
    **dict.fromkeys(("autocast", "GradScaler"), scenario(
        mixed, cases=1, wrong=(lambda t: t.autocast("nowhere"), lambda t: t.autocast(3))
    )),
    "nan": scenario(lambda t: t.nan != t.nan, cases=1),
    **dict.fromkeys(("Generator", "initial_seed", "default_generator"), scenario(seeds, cases=1)),
    "bernoulli": Entry(
        lambda d: Call(Const(d.random(d.shape()))),
        (lambda t: t.bernoulli(t.tensor([2.0])), lambda t: t.bernoulli(t.tensor([1]))),
        {"bernoulli": draws(lambda t, g, x: t.bernoulli(x, generator=g))},
        gradients=False,
    ),
    "multinomial": Entry(
        weighted,
        (lambda t: t.multinomial(t.zeros(2), 1), lambda t: t.multinomial(t.ones(2), 3),
         lambda t: t.multinomial(-t.ones(2), 1), lambda t: t.multinomial(t.ones(1, 1, 1), 1)),
        {"multinomial": draws(lambda t, g, x, n, r: t.multinomial(x, n, r, generator=g))},
        gradients=False,
    ),
    "normal": Entry(
        sized, (lambda t: t.normal(0.0, -1.0, (2,)), lambda t: t.normal(t.zeros(2), -t.ones(2))),
        {"sized": draws(lambda t, g, n: t.normal(1.0, 2.0, n, generator=g)),
         "of means": draws(lambda t, g, n: t.normal(t.zeros(n).double(), 1.0, generator=g)),
         "of both": draws(lambda t, g, n: t.normal(t.zeros(n), t.ones(n), generator=g)),
         "of deviations": draws(lambda t, g, n: t.normal(1.0, t.ones(n), generator=g))},
        gradients=False,
    ),
    **{
        name: Entry(sized, (), {name: draws(lambda t, g, n, name=name, a=args: getattr(
            t.zeros(n), name)(*a, generator=g))}, gradients=False)
        for name, args in (("bernoulli_", (0.3,)), ("exponential_", (2.0,)), ("random_", (2, 5)))
    },
    "detach_": scenario(lambda t: (t.ones(2, requires_grad=True) * 2).detach_().requires_grad),
    "pin_memory": scenario(lambda t: True, cases=1),
}  # fmt: skip


def hooked(t, x):
    """The gradients that backward hooks see, and replace."""
    seen, layer = [], t.nn.Tanh()

    def look(module, grad_input, grad_output):
        seen.extend([len(grad_input), *grad_input, *grad_output])

    handle = layer.register_full_backward_hook(look)
    other = t.nn.Tanh()
    other.register_full_backward_hook(lambda module, grad_input, grad_output: (grad_input[0] * 3,))
    leaf = x.detach().clone().requires_grad_()
    (other(layer(leaf * 1)) * leaf).sum().backward()
    first = t.nn.Linear(2, 1)
    t.nn.init.constant_(first.weight, 0.5)
    first.register_full_backward_hook(look)
    first(t.ones(3, 2)).sum().backward()
    handle.remove()
    layer(leaf).sum().backward()
    return seen, leaf.grad


MODULES = {
    "register_full_backward_hook": scenario(
        hooked, lambda d: Call(Const(d.array(d.shape(1, 2), "d")))
    ),
    "LazyLinear": scenario(lazy, cases=1),
    "LazyConv1d": scenario(lazy_convolution, cases=1),
    **dict.fromkeys(("ParameterList", "ParameterDict"), scenario(
        parameters, cases=1,
        wrong=(lambda t: t.nn.ParameterList(3), lambda t: t.nn.ParameterList()[0]),
    )),
    **dict.fromkeys((
        "uniform", "normal", "constant", "eye", "xavier_uniform", "xavier_normal", "orthogonal",
        "kaiming_uniform", "kaiming_normal", "clip_grad_norm",
    ), scenario(old_names, cases=1)),
}  # fmt: skip
