"""What tensors are made with; random ones by shape and dtype, as their numbers are our own."""

import numpy as np

from .harness import Call, Entry, Of


def sized(name, *more):
    """name(size, *more), the size whole or one by one, and a dtype."""

    def draw(d):
        options = (
            {"dtype": Of(d.pick("float32", "float64", "int64", "bool"))} if d.chance(0.4) else {}
        )
        if d.chance(0.3):
            options["requires_grad"] = d.chance(0.5)
        return Call(d.shape(), *more, **options)

    wrong = (
        lambda t: getattr(t, name)((2, -1), *more),
        lambda t: getattr(t, name)((2, "x"), *more),
    )
    forms = {name: lambda t, *a, **o: getattr(t, name)(*a, **o)}
    if not more:
        forms[f"{name}, one by one"] = lambda t, size, **o: getattr(t, name)(*size or (2,), **o)
    return draw, wrong, forms


def known(name, *more):
    return Entry(*sized(name, *more), gradients=False)


def facts(form):
    return lambda t, *a, **o: (lambda y: (tuple(y.shape), y.dtype, y.requires_grad))(
        form(t, *a, **o)
    )


def unknown(name):
    """Only shape and dtype."""
    draw, wrong, forms = sized(name)

    def floating(d):
        call = draw(d)
        if "dtype" in call.options:
            call.options["dtype"] = Of(d.pick("float32", "float64"))
        return call

    return Entry(floating, wrong, {k: facts(f) for k, f in forms.items()}, gradients=False)


def like(name, *more, values=True):
    def draw(d):
        kinds = "fib" if values or name == "empty_like" else "f"
        options = {"dtype": Of(d.pick("float32", "float64"))} if d.chance(0.3) else {}
        return Call(d.array(kinds=kinds), *more, **options)

    form = lambda t, *a, **o: getattr(t, name)(*a, **o)  # noqa: E731
    form = form if values else facts(form)
    return Entry(draw, (lambda t: getattr(t, name)(2.0, *more),), {name: form}, gradients=False)


def whole(d):
    ends = [d.int(-5, 8) for _ in range(d.int(1, 3))]
    if d.chance(0.4):
        ends = [e / 2 for e in ends]
    if d.chance(0.8):
        ends = [*sorted(ends[:2]), *map(abs, ends[2:])]
    options = {"dtype": Of(d.pick("float32", "float64", "int64"))} if d.chance(0.3) else {}
    return Call(*ends, **options)


def nested(d):
    value = d.pick(
        1,
        2.5,
        True,
        [],
        [1, 2],
        [1, 2.0],
        [True, 2],
        [[1.0], [2]],
        (3, 4),
        [[]],
        d.array((2, 2)).tolist(),
        d.indices(5, (3,)).tolist(),
    )
    options = {"dtype": Of(d.pick("float32", "float64", "int64", "bool"))} if d.chance(0.3) else {}
    return Call(value, **options)


def drawn(d):
    return Call(d.int(-3, 2), d.int(3, 9), d.shape())


def in_range(t, low, high, size):
    y = t.randint(low, high, size)
    return tuple(y.shape), y.dtype, bool(((y >= low) & (y < high)).all())


def shuffled(t, n):
    y = t.randperm(n)
    return y.dtype, y.sort().values


def again(t, shape):
    """The same numbers after the same seed, others after another or later; the state goes back."""
    t.manual_seed(3)
    one, two = t.rand(shape), t.rand(shape)
    t.manual_seed(3)
    state = t.get_rng_state()
    three = t.rand(shape)
    t.set_rng_state(state)
    four = t.rand(shape)
    return [bool((one == other).all()) for other in (two, three, four)]


def modes(t, on):
    x = t.ones(2, requires_grad=True)
    seen = [t.is_grad_enabled(), (x * 2).requires_grad]
    with t.set_grad_enabled(on):
        seen += [t.is_grad_enabled(), (x * 2).requires_grad]
        with t.no_grad():
            seen += [
                t.is_grad_enabled(),
                (x * 2).requires_grad,
                t.ones(1, requires_grad=True).is_leaf,
            ]
            with t.enable_grad():
                seen += [t.is_grad_enabled(), (x * 2).is_leaf]
        seen.append(t.is_grad_enabled())

    @t.no_grad()
    def frozen():
        return t.is_grad_enabled()

    return [*seen, frozen(), t.is_grad_enabled()]


def backwards(t, x):
    """The gradient comes by grad, by backward of several, and to a tensor in the middle."""
    x = x.detach().requires_grad_()
    y = x * x
    y.retain_grad()
    seen = []
    y.register_hook(lambda g: seen.append(g.clone()))
    x.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.clone()))
    z, w = (y * 3).sum(), (x * 2).sum()
    (one,) = t.autograd.grad(z, [x], retain_graph=True)
    t.autograd.backward([z, w], [None, None])
    return one, x.grad, y.grad, *seen, y.grad_fn is None, x.grad_fn is None


def threads(t):
    before = t.get_num_threads()
    t.set_num_threads(1)
    now = t.get_num_threads()
    t.set_num_threads(before)
    return now


def kept(t, x, y):
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "weights.pt")
        t.save({"x": x.detach(), "y": y.detach()}, path)
        return dict(sorted(t.load(path).items()))


def scenario(form, draw=lambda d: Call(), wrong=(), cases=5):
    return Entry(draw, wrong, {"": form}, cases=cases, gradients=False)


MODES = scenario(modes, lambda d: Call(d.chance(0.5)), (lambda t: t.set_grad_enabled(),))
SEEDS = scenario(again, lambda d: Call((d.int(1, 3), 4)))
THREADS = scenario(threads, cases=1)
FILES = scenario(
    kept, lambda d: Call(d.array(), d.array(kinds="ib")), (lambda t: t.load("/no/such/file"),)
)
TABLE = {
    "zeros": known("zeros"),
    "ones": known("ones"),
    "full": known("full", 2.5),
    "empty": unknown("empty"),
    "rand": unknown("rand"),
    "randn": unknown("randn"),
    "zeros_like": like("zeros_like"),
    "ones_like": like("ones_like"),
    "full_like": like("full_like", 2.0),
    "empty_like": like("empty_like", values=False),
    "rand_like": like("rand_like", values=False),
    "randn_like": like("randn_like", values=False),
    "arange": Entry(
        whole, (lambda t: t.arange(1, 2, 0), lambda t: t.arange(3, 1), lambda t: t.arange("x"))
    ),
    "linspace": Entry(
        lambda d: Call(d.number(), d.number(), d.int(0, 6)),
        (lambda t: t.linspace(0, 1, -1),),
    ),
    "eye": Entry(
        lambda d: Call(
            *(d.int(0, 4) for _ in range(d.int(1, 2))), **d.pick({}, {"dtype": Of("float64")})
        ),
        (lambda t: t.eye(-1),),
    ),
    "tensor": Entry(nested, (lambda t: t.tensor([[1], [1, 2]]), lambda t: t.tensor("x"))),
    "as_tensor": Entry(nested, (lambda t: t.as_tensor([[1], [1, 2]]),)),
    "from_numpy": scenario(
        lambda t, shape: t.from_numpy(np.arange(6.0).reshape(shape)),
        lambda d: Call(d.pick((2, 3), (6,), (1, 6, 1))),
        (lambda t: t.from_numpy([1.0]),),
    ),
    "Tensor": scenario(
        lambda t, value: t.Tensor(value), lambda d: Call(d.pick([1.0, 2.5], [[0.5]], [])), ()
    ),
    "randint": scenario(in_range, drawn, (lambda t: t.randint(3, 3, (2,)),), 20),
    "randperm": scenario(shuffled, lambda d: Call(d.int(0, 9)), (lambda t: t.randperm(-1),)),
    "uniform_": scenario(
        lambda t, x: bool(((y := x.clone().uniform_(2, 3)) >= 2).all()) and bool((y <= 3).all()),
        lambda d: Call(d.array()),
        (lambda t: t.ones(2).uniform_(1, 0), lambda t: t.ones(2).long().uniform_()),
    ),
    "normal_": scenario(
        lambda t, x: x.clone().normal_(3, 0),
        lambda d: Call(d.array()),
        (lambda t: t.ones(2).normal_(0, -1), lambda t: t.ones(2).long().normal_()),
    ),
    **dict.fromkeys(("manual_seed", "get_rng_state", "set_rng_state"), SEEDS),
    **dict.fromkeys(("no_grad", "enable_grad", "set_grad_enabled", "is_grad_enabled"), MODES),
    **dict.fromkeys(
        (
            "backward",
            "retain_grad",
            "register_hook",
            "register_post_accumulate_grad_hook",
            "grad_fn",
        ),
        scenario(
            backwards,
            lambda d: Call(d.array()),
            (
                lambda t: t.ones(2, requires_grad=True).backward(),
                lambda t: t.ones(()).backward(),
                lambda t: t.ones(2).register_hook(print),
                lambda t: t.ones(2).register_post_accumulate_grad_hook(print),
                lambda t: (t.ones(2, requires_grad=True) * 2).register_post_accumulate_grad_hook(
                    print
                ),
                lambda t: t.ones(2).retain_grad(),
                lambda t: t.autograd.grad(t.ones(()), t.ones(2, requires_grad=True)),
            ),
        ),
    ),
    **dict.fromkeys(("set_num_threads", "get_num_threads"), THREADS),
    **dict.fromkeys(("save", "load"), FILES),
    **{
        name: scenario(lambda t, n=name: t.zeros(2, dtype=getattr(t, n)), cases=1)
        for name in ("float32", "float64", "int32", "int64")
    },
}
