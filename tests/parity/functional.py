"""What activations, losses, normalisations and the rest of nn.functional are called with."""

import numpy as np

from .harness import CASES, Call, Const, Entry


def nonlinear(name, *options, special=0.3, wrong=()):
    """options: dicts to draw from."""

    def draw(d):
        return Call(d.array(special=special), **d.pick({}, *options))

    strict = lambda t: getattr(t.nn.functional, name)("x")  # noqa: E731
    whole = lambda t: getattr(t.nn.functional, name)(t.ones(2).long())  # noqa: E731
    return Entry(draw, wrong if name == "softsign" else (strict, whole, *wrong))


def over_axis(d):
    x = d.array(special=0.2)
    x = x if x.ndim else d.array(())
    if d.chance(0.2) and x.ndim:
        x = np.where(d.random(x.shape) < 0.5, -np.inf, x).astype(x.dtype)
    return Call(x, d.dim(x.ndim)) if d.chance(0.5) else Call(x, dim=d.dim(x.ndim))


def halves(d):
    x = d.array(tuple(2 * n for n in d.shape(1, 3)))
    return Call(x, d.dim(x.ndim)) if d.chance(0.7) else Call(x)


def layer(weights):
    def draw(d):
        shape = d.shape(1, 3, empty=0.03)
        n = d.int(1, len(shape))
        x, own = d.array(shape), shape[len(shape) - n :]
        if d.chance(0.04):
            own = (*own[:-1], own[-1] + 1)
        call = Call(x, list(own) if d.chance(0.5) else own)
        for name in weights:
            if d.chance(0.7):
                call.options[name] = d.array(own, "d").astype(x.dtype)
        if d.chance(0.3):
            call.options["eps"] = 0.1
        return call

    return draw


def linear(d):
    k, n = d.int(1, 4), d.int(1, 4)
    x = d.array((*d.shape(0, 3), k + d.chance(0.04)))
    call = Call(x, d.array((n, k), "d").astype(x.dtype))
    if d.chance(0.6):
        call.args += (d.array((n,), "d").astype(x.dtype),)
    return call


def embedding(d):
    n = d.int(1, 5)
    call = Call(d.indices(n, d.shape()) + 9 * d.chance(0.03), d.array((n, d.int(1, 4))))
    if d.chance(0.4):
        call.options["padding_idx"] = d.int(-n, n - 1)
    if d.chance(0.3):
        call.options |= {"max_norm": d.pick(0.5, 1.0), "norm_type": d.pick(1.0, 2.0, float("inf"))}
    if d.chance(0.2):
        call.options["scale_grad_by_freq"] = True
    return call


def one_hot(d):
    n = d.int(1, 5)
    index = d.indices(n, d.shape(empty=0))
    return Call(index) if d.chance(0.4) else Call(index, n - d.chance(0.05))


REDUCTIONS = ("mean", "sum", "none")


def pointwise(*extra, positive=False, logs=False, special=0.05):
    """(input, target) that mostly have one shape, a reduction, and options of the loss."""

    def draw(d):
        shape = d.shape()
        x = d.array(shape, special=special)
        y = d.array(shape, "d", "unit")
        if positive:
            y = np.abs(y)
        elif not logs and d.chance(0.3):
            y = np.where(d.random(y.shape) < 0.5, x, y)
        call = Call(x, y.astype(x.dtype))
        if d.chance(0.7):
            call.options["reduction"] = d.pick(*REDUCTIONS)
        call.options.update(d.pick({}, *extra))
        return call

    return draw


def divergence(d):
    call = pointwise({"log_target": True}, logs=True)(d)
    if not call.options.get("log_target"):
        y = call.args[1]
        y = np.where(d.random(y.shape) < 0.2, 0, np.abs(y)).astype(y.dtype)
        call.args = (call.args[0], Const(y))  # its gradient at 0 is -inf here, NaN there
    if d.chance(0.3):
        call.options["reduction"] = "batchmean"
        if not call.args[0].ndim:
            x, y = call.args
            call.args = (
                x.reshape(1),
                Const(y.array.reshape(1)) if isinstance(y, Const) else y.reshape(1),
            )
    return call


def binary(d):
    call = pointwise(positive=True, special=0.0)(d)
    shape = call.args[0].shape
    for name in ("weight", "pos_weight"):
        if d.chance(0.3):
            own = shape[d.int(0, len(shape)) :]
            call.options[name] = Const(d.array(own, "d", "positive").astype(call.args[0].dtype))
    return call


def classes(probabilities):
    """Logits (V), (N, V) or (N, V, d1, ...), with indices or probabilities."""

    def draw(d):
        V, shape = d.int(1, 4), d.shape(0, 3)
        x = d.array((shape[0], V, *shape[1:]) if shape else (V,), special=0.0)
        target = d.indices(V, shape)
        options = {}
        if d.chance(0.6):
            options["reduction"] = d.pick(*REDUCTIONS)
        if d.chance(0.4):
            options["weight"] = Const(d.array((V,), "d", "positive").astype(x.dtype))
        if probabilities and d.chance(0.4):
            options["label_smoothing"] = d.pick(0.1, 0.5, 1.0)
        if probabilities and d.chance(0.3):
            return Call(x, d.array(x.shape, "d", "positive").astype(x.dtype), **options)
        if d.chance(0.4):
            ignore = d.pick(-100, d.int(0, V - 1), -1)
            options["ignore_index"] = ignore
            target = np.where(d.random(target.shape) < 0.3, ignore, target)
        target = target + 9 * d.chance(0.03)
        return Call(x, target.astype("int64"), **options)

    return draw


def normalized(d):
    x = d.array(d.shape(1, 3))
    call = Call(x, dim=d.dim(x.ndim))
    if d.chance(0.5):
        call.options["p"] = d.pick(1.0, 3.0, 2, float("inf"))
    if d.chance(0.2):
        call.options["eps"] = 0.5
    return call


def similar(d):
    one, two = d.broadcast(2)
    x = d.array(one)
    y = d.array(two, "d").astype(x.dtype)
    call = Call(x, y, dim=d.dim(max(x.ndim, y.ndim)))
    if d.chance(0.3):
        call.options["eps"] = 0.5
    return call


def embedded(d):
    rows = d.pick((), (d.int(1, 4),))
    x, y = d.array((*rows, 3), "d"), d.array((*rows, 3), "d")
    target = Const(np.where(d.random(rows) < 0.5, -1, 1))
    return Call(x, y, target, **d.pick({}, {"margin": 0.25}, {"reduction": "none"}))


def distant(d):
    shape = d.shape(1, 2)
    x = d.array(shape)
    y = d.array(shape[d.int(0, len(shape) - 1) :], "d").astype(x.dtype)
    call = Call(x, y)
    if d.chance(0.5):
        call.options["p"] = d.pick(1.0, 2, 3.0, float("inf"))
    if d.chance(0.3):
        call.options["keepdim"] = True
    return call


def padded(d):
    mode = d.pick("constant", "constant", "reflect", "replicate", "circular")
    if mode == "constant":
        x = d.array(d.shape(1, 3), "fffi")
        pads = [d.int(-2, 3) for _ in range(2 * d.int(0, x.ndim))]
    else:
        n = d.int(1, 2)
        x = d.array(d.shape(n + 1, n + 2, empty=0.03))
        pads = [d.int(0, 2) for _ in range(2 * n)]
    call = Call(x, pads if d.chance(0.5) else tuple(pads))
    if mode != "constant" or d.chance(0.3):
        call.options["mode"] = mode
    elif d.chance(0.5):
        call.options["value"] = d.pick(2, 1.0, 0.0)
    return call


def convolved(d):
    groups = d.pick(1, 1, 2, 3)
    ins, outs, k = groups * d.int(1, 2), groups * d.int(1, 2), d.int(1, 4)
    batch = () if d.chance(0.2) else (d.int(0 if d.chance(0.1) else 1, 3),)
    x = d.array((*batch, ins, d.int(1, 9)))
    call = Call(x, d.array((outs, ins // groups, k), "d").astype(x.dtype))
    if d.chance(0.5):
        call.args += (d.array((outs,), "d").astype(x.dtype),)
    if d.chance(0.4):
        call.options["stride"] = d.pick(2, 3, (2,))
    if d.chance(0.5):
        call.options["padding"] = d.pick(1, 2, (1,), "valid", "same")
    if d.chance(0.3):
        call.options["dilation"] = d.pick(2, (3,))
    if groups > 1:
        call.options["groups"] = groups
    return call


def attended(d):
    """Queries, keys and values, a mask of any kind; every query may attend somewhere."""
    batch = d.shape(1, 2, empty=0.0)
    Tq, Tk, D, Dv = (d.int(1, 5) for _ in range(4))
    options, heads = {}, batch
    if d.chance(0.2) and len(batch) == 2:
        options["enable_gqa"], heads = True, (*batch[:-1], 1)
    q = d.array((*batch, Tq, D))
    k, v = (d.array((*heads, Tk, n), "d").astype(q.dtype) for n in (D, Dv))
    choice = d.random()
    if choice < 0.25:
        options["is_causal"] = True
    elif choice < 0.75:
        mask = d.array((*(batch if d.chance(0.5) else ()), 1 if d.chance(0.2) else Tq, Tk), "d")
        options["attn_mask"] = mask.astype(q.dtype)
        if d.chance(0.6):
            allowed = mask > 0
            allowed[..., 0] = True
            options["attn_mask"] = allowed
    if d.chance(0.3):
        options["scale"] = 0.7
    return Call(q, k, v, **options)


def loss_wrong(name, *more):
    def f(t, *args, **options):
        return getattr(t.nn.functional, name)(*args, **options)

    return (
        lambda t: f(t, t.ones(2), t.ones(2), reduction="average"),
        lambda t: f(t, t.ones(2)),
        *more,
    )


def F(t):
    return t.nn.functional


TABLE = {
    "gelu": nonlinear(
        "gelu",
        {"approximate": "tanh"},
        {"approximate": "none"},
        special=0.0,  # inf: NaN at times there
        wrong=(lambda t: F(t).gelu(t.ones(2), approximate="x"),),
    ),
    "silu": nonlinear("silu"),
    "softplus": nonlinear(
        "softplus", {"beta": 2.0}, {"threshold": 0.5}, {"beta": 0.5, "threshold": 1}
    ),
    "leaky_relu": nonlinear("leaky_relu", {"negative_slope": 0.3}, {"negative_slope": -0.5}),
    "elu": nonlinear("elu", {"alpha": 0.5}, {"alpha": 2.0}, special=0.0),
    "softsign": nonlinear("softsign", special=0.0),
    "logsigmoid": nonlinear("logsigmoid"),
    "glu": Entry(halves, (lambda t: F(t).glu(t.ones(3)), lambda t: F(t).glu(t.ones(())))),
    "softmax": Entry(
        over_axis, (lambda t: t.softmax(t.ones(2), 1), lambda t: t.softmax(t.ones(2).long(), 0))
    ),
    "log_softmax": Entry(over_axis, (lambda t: t.log_softmax(t.ones(2), -2),)),
    "linear": Entry(
        linear,
        (
            lambda t: F(t).linear(t.ones(3), t.ones(2, 2)),
            lambda t: F(t).linear(t.ones(2), t.ones(2, 2).double()),
        ),
    ),
    "embedding": Entry(
        embedding,
        (
            lambda t: F(t).embedding(t.ones(2), t.ones(2, 2)),
            lambda t: F(t).embedding(t.tensor([-1]), t.ones(2, 2)),
            lambda t: F(t).embedding(t.tensor([1]), t.ones(2)),
        ),
        {"nn.functional.embedding": lambda t, *a, **o: F(t).embedding(*a, **o)},
    ),
    "one_hot": Entry(
        one_hot,
        (
            lambda t: F(t).one_hot(t.tensor([-1])),
            lambda t: F(t).one_hot(t.ones(2)),
            lambda t: F(t).one_hot(t.ones(0).long()),
        ),
    ),
    "layer_norm": Entry(
        layer(("weight", "bias")),
        (
            lambda t: F(t).layer_norm(t.ones(2, 3), (2,)),
            lambda t: F(t).layer_norm(t.ones(2, 3), (3,), t.ones(2)),
        ),
        {"nn.functional.layer_norm": lambda t, *a, **o: F(t).layer_norm(*a, **o)},
        tolerance=50,
    ),
    "rms_norm": Entry(
        layer(("weight",)),
        (
            lambda t: F(t).rms_norm(t.ones(2, 3), (2,)),
            lambda t: F(t).rms_norm(t.ones(2, 3), (3,), t.ones(2)),
        ),
        {"nn.functional.rms_norm": lambda t, *a, **o: F(t).rms_norm(*a, **o)},
        tolerance=50,
    ),
    "mse_loss": Entry(
        pointwise(), loss_wrong("mse_loss", lambda t: F(t).mse_loss(t.ones(2, 3), t.ones(2, 2)))
    ),
    "l1_loss": Entry(pointwise(), loss_wrong("l1_loss")),
    "smooth_l1_loss": Entry(
        pointwise({"beta": 0.5}, {"beta": 0.0}, {"beta": 2.0}),
        loss_wrong(
            "smooth_l1_loss", lambda t: F(t).smooth_l1_loss(t.ones(2), t.ones(2), beta=-1.0)
        ),
    ),
    "huber_loss": Entry(
        pointwise({"delta": 0.5}, {"delta": 2.0}),
        loss_wrong("huber_loss", lambda t: F(t).huber_loss(t.ones(2), t.ones(2), delta=-1.0)),
    ),
    "binary_cross_entropy_with_logits": Entry(
        binary,
        loss_wrong(
            "binary_cross_entropy_with_logits",
            lambda t: F(t).binary_cross_entropy_with_logits(t.ones(2), t.ones(1)),
        ),
    ),
    "kl_div": Entry(divergence, loss_wrong("kl_div")),
    "cross_entropy": Entry(
        classes(True),
        (
            lambda t: F(t).cross_entropy(t.ones(2, 3), t.zeros(3).long()),
            lambda t: F(t).cross_entropy(t.ones(2, 3), t.tensor([0, 3])),
            lambda t: F(t).cross_entropy(t.ones(2, 3), t.tensor([0, 1]), weight=t.ones(2)),
            lambda t: F(t).cross_entropy(t.ones(2, 3), t.tensor([0, 1]), reduction="x"),
            lambda t: F(t).cross_entropy(t.ones(2, 3), t.ones(2, 2)),
        ),
        cases=3 * CASES,
    ),
    "nll_loss": Entry(
        classes(False),
        (
            lambda t: F(t).nll_loss(t.ones(2, 3), t.zeros(3).long()),
            lambda t: F(t).nll_loss(t.ones(2, 3), t.tensor([0, 3])),
            lambda t: F(t).nll_loss(t.ones(2, 3), t.ones(2)),
        ),
        cases=2 * CASES,
    ),
    "normalize": Entry(normalized, (lambda t: F(t).normalize(t.ones(2), dim=1),), tolerance=50),
    "cosine_embedding_loss": Entry(
        embedded,
        (
            lambda t: F(t).cosine_embedding_loss(t.ones(2, 3), t.ones(2, 3), t.ones(())),
            lambda t: F(t).cosine_embedding_loss(t.ones(2, 3), t.ones(3, 3), t.ones(2)),
        ),
    ),
    "cosine_similarity": Entry(
        similar, (lambda t: F(t).cosine_similarity(t.ones(2, 3), t.ones(2, 2)),)
    ),
    "pairwise_distance": Entry(
        distant, (lambda t: F(t).pairwise_distance(t.ones(2, 3), t.ones(2, 2)),)
    ),
    "pad": Entry(
        padded,
        (
            lambda t: F(t).pad(t.ones(2), (1,)),
            lambda t: F(t).pad(t.ones(2), (1, 1, 1, 1)),
            lambda t: F(t).pad(t.ones(1, 2), (2, 2), mode="reflect"),
            lambda t: F(t).pad(t.ones(1, 2), (3, 3), mode="circular"),
            lambda t: F(t).pad(t.ones(1, 2), (1, 1), mode="mirror"),
            lambda t: F(t).pad(t.ones(2), (-3, 0)),
            lambda t: F(t).pad(t.ones(1, 2), (1, 1), mode="reflect", value=1.0),
        ),
        cases=3 * CASES,
    ),
    "conv1d": Entry(
        convolved,
        (
            lambda t: F(t).conv1d(t.ones(1, 2, 5), t.ones(1, 3, 2)),
            lambda t: F(t).conv1d(t.ones(1, 2, 2), t.ones(1, 2, 3)),
            lambda t: F(t).conv1d(t.ones(1, 2, 5), t.ones(1, 2, 3), stride=0),
            lambda t: F(t).conv1d(t.ones(1, 2, 5), t.ones(1, 2, 3), padding=-1),
            lambda t: F(t).conv1d(t.ones(1, 2, 5), t.ones(1, 2, 3), padding="full"),
            lambda t: F(t).conv1d(t.ones(1, 2, 5), t.ones(1, 2, 3), padding="same", stride=2),
            lambda t: F(t).conv1d(t.ones(1, 2, 5), t.ones(3, 1, 3), groups=2),
            lambda t: F(t).conv1d(t.ones(5), t.ones(1, 2, 3)),
            lambda t: F(t).conv1d(t.ones(1, 2, 5), t.ones(1, 2, 3), t.ones(2)),
        ),
        {"nn.functional.conv1d": lambda t, *a, **o: F(t).conv1d(*a, **o)},
        cases=2 * CASES,
    ),
    "scaled_dot_product_attention": Entry(
        attended,
        (
            lambda t: F(t).scaled_dot_product_attention(t.ones(2, 3), t.ones(2, 4), t.ones(2, 3)),
            lambda t: F(t).scaled_dot_product_attention(t.ones(2, 3), t.ones(2, 3), t.ones(4, 3)),
            lambda t: F(t).scaled_dot_product_attention(
                t.ones(2, 3), t.ones(4, 3), t.ones(4, 3), t.ones(3, 4)
            ),
            lambda t: F(t).scaled_dot_product_attention(
                t.ones(2, 3), t.ones(2, 3), t.ones(2, 3), t.ones(2, 2), is_causal=True
            ),
            lambda t: F(t).scaled_dot_product_attention(
                t.ones(2, 3), t.ones(2, 3).double(), t.ones(2, 3)
            ),
        ),
        cases=3 * CASES,
    ),
    "dropout": Entry(
        lambda d: Call(d.array(), d.pick(0.0, 1.0), d.chance(0.5)),
        (lambda t: F(t).dropout(t.ones(2), 1.5), lambda t: F(t).dropout(t.ones(2), -0.5)),
        {"nn.functional.dropout": lambda t, *a, **o: F(t).dropout(*a, **o)},
    ),
}
