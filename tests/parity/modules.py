"""What modules are built and called with: name -> (arguments of the constructor, of the call)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .harness import Call


@dataclass
class Layer:
    """`draw(d)` gives two Calls: the constructor's and forward's; wrong calls as in Entry.

    What trains at random stands in eval mode (`training` False).
    """

    draw: Any
    wrong: tuple = ()
    cases: int = 12
    training: bool = True
    tolerance: float = 100.0  # layers over two features amplify rounding


def plain(*options, special=0.1):
    return lambda d: (Call(**d.pick(*(options or ({},)))), Call(d.array(special=special)))


def sized(d, n, low=0, high=3):
    return d.array((*d.shape(low, high), n), "d")


def linear(d):
    n = d.int(1, 4)
    return Call(n, d.int(1, 4), **d.pick({}, {"bias": False})), Call(sized(d, n))


def embedding(d):
    n = d.int(1, 5)
    options = {"padding_idx": d.int(-n, n - 1)} if d.chance(0.5) else {}
    options |= d.pick({}, {}, {"max_norm": 1.0}, {"scale_grad_by_freq": True})
    return Call(n, d.int(1, 4), **options), Call(d.indices(n, d.shape()))


def norm(*options):
    def draw(d):
        shape = d.shape(1, 3, empty=0)
        own = shape[d.int(0, len(shape) - 1) :]
        own = own[0] if len(own) == 1 and d.chance(0.5) else own
        return Call(own, **d.pick({}, *options)), Call(d.array(shape, "d"))

    return draw


def axis(d):
    x = d.array(d.shape(1, 3), "d")
    return Call(d.dim(x.ndim, 0)), Call(x)


def gated(d):
    return Call(**d.pick({}, {"dim": 0})), Call(d.array((4, 2), "d"))


def loss(*options, positive=False):
    def draw(d):
        shape = d.shape()
        y = d.array(shape, "d", "unit")
        extra = d.pick({}, {"reduction": "sum"}, {"reduction": "none"}, *options)
        return Call(**extra), Call(d.array(shape, "d"), np.abs(y) if positive else y)

    return draw


def classes(d):
    V, shape = d.int(2, 4), d.shape(1, 3, empty=0)
    x = d.array((shape[0], V, *shape[1:]), "d")
    options = d.pick({}, {"reduction": "none"}, {"ignore_index": 1}, {"reduction": "sum"})
    if d.chance(0.4):
        options["weight"] = d.array((V,), "d", "positive")
    return Call(**options), Call(x, d.indices(V, shape))


def smoothed(d):
    build, call = classes(d)
    if d.chance(0.5):
        build.options["label_smoothing"] = 0.2
    return build, call


def convolution(d):
    groups = d.pick(1, 2)
    ins, outs, k = 2 * groups, groups * d.int(1, 2), d.int(1, 3)
    options = d.pick(
        {},
        {"stride": 2, "padding": 1},
        {"padding": "same", "padding_mode": "circular"},
        {"dilation": 2, "bias": False},
        {"padding": 2, "padding_mode": "reflect"},
        {"padding": 1, "padding_mode": "replicate"},
    )
    batch = () if d.chance(0.2) else (d.int(1, 3),)
    return Call(ins, outs, k, groups=groups, **options), Call(
        d.array((*batch, ins, d.int(6, 9)), "d")
    )


def recurrent(pair=False, *options):
    def draw(d):
        D, H, layers = d.int(1, 3), d.int(2, 4), d.pick(1, 1, 2)
        build = Call(D, H, layers, **d.pick({}, *options))
        for name in ("batch_first", "bidirectional"):
            if d.chance(0.4):
                build.options[name] = True
        if d.chance(0.2):
            build.options["bias"] = False
        n = layers * (2 if build.options.get("bidirectional") else 1)
        T, batch = d.int(1, 4), () if d.chance(0.2) else (d.int(1, 3),)
        first = build.options.get("batch_first") and batch
        call = Call(d.array((*batch, T, D) if first else (T, *batch, D), "d"))
        if d.chance(0.5):
            sizes = [build.options.get("proj_size", H), H]
            states = [d.array((n, *batch, k), "d") for k in sizes]
            call.args += (tuple(states),) if pair else (states[0],)
        return build, call

    return draw


def cell(pair=False, *options):
    def draw(d):
        D, H = d.int(1, 3), d.int(1, 3)
        batch = () if d.chance(0.3) else (d.int(1, 3),)
        call = Call(d.array((*batch, D), "d"))
        if d.chance(0.5):
            h, c = (d.array((*batch, H), "d") for _ in range(2))
            call.args += ((h, c),) if pair else (h,)
        return Call(D, H, **d.pick({}, {"bias": False}, *options)), call

    return draw


def ignored(d, B, T):
    """A padding mask, True or -inf where a key is ignored; the first key never is."""
    mask = d.array((B, T) if B else (T,), "b")
    mask[..., 0] = False
    return np.where(mask, -np.inf, 0.0) if d.chance(0.3) else mask


def banned(d, shape):
    """Which keys a query may not see, as bool or as what is added; the first it always may."""
    mask = d.array(shape, "b")
    mask[..., 0] = False
    return np.where(mask, -np.inf, d.standard_normal(shape)) if d.chance(0.5) else mask


def multihead(d):
    h, D = d.pick(1, 2, 3), d.int(1, 2)
    E, B, Tq, Tk = h * D, d.pick(0, 1, 2), d.int(1, 4), d.int(1, 4)
    build, first = Call(E, h), d.chance(0.5)
    build.options.update(
        d.pick({}, {"bias": False}, {"add_bias_kv": True}, {"add_zero_attn": True})
    )
    sizes = [E, E, E]
    if d.chance(0.3):
        sizes = [E, 3, 2]
        build.options.update(kdim=3, vdim=2)
    if first:
        build.options["batch_first"] = True

    def sequence(T, n):
        batch = (B,) if B else ()
        return d.array((*batch, T, n) if first else (T, *batch, n), "d")

    q, k, v = sequence(Tq, sizes[0]), sequence(Tk, sizes[1]), sequence(Tk, sizes[2])
    call = Call(q, k, v)
    if d.chance(0.5):
        call.options["key_padding_mask"] = ignored(d, B, Tk)
    if d.chance(0.5):
        heads = max(B, 1) * h
        call.options["attn_mask"] = banned(d, d.pick((Tq, Tk), (heads, Tq, Tk)))
    masks = [v for k, v in call.options.items() if "mask" in k]
    if len({m.dtype for m in masks}) > 1:  # PyTorch warns that it won't take this for long
        del call.options["attn_mask"]
    call.options.update(d.pick({}, {"need_weights": False}, {"average_attn_weights": False}))
    return build, call


def shared(d):
    """What the layers of a Transformer are built with."""
    h = d.pick(1, 2)
    build = Call(2 * h, h, d.int(2, 5), 0.0)
    for name, value in (
        ("batch_first", True),
        ("norm_first", True),
        ("activation", "gelu"),
        ("bias", False),
        ("layer_norm_eps", 0.1),
    ):
        if d.chance(0.3):
            build.options[name] = value
    return build, 2 * h, bool(build.options.get("batch_first"))


def sequence(d, B, T, E, first):
    return d.array((B, T, E) if first else (T, B, E), "d")


def causal(T):
    return np.triu(np.full((T, T), -np.inf), 1)


def encoder_layer(d):
    build, E, first = shared(d)
    B, T = d.int(1, 2), d.int(1, 4)
    call = Call(sequence(d, B, T, E, first))
    choice = d.random()
    if choice < 0.3:
        call.options["src_mask"] = banned(d, (T, T))
    elif choice < 0.6:
        call.options["src_key_padding_mask"] = ignored(d, B, T)
    elif choice < 0.8:
        call.options.update(src_mask=causal(T), is_causal=True)
    return build, call


def decoder_layer(d):
    build, E, first = shared(d)
    B, T, S = d.int(1, 2), d.int(1, 4), d.int(1, 4)
    call = Call(sequence(d, B, T, E, first), sequence(d, B, S, E, first))
    if d.chance(0.3):
        call.options["tgt_mask"] = banned(d, (T, T))
    elif d.chance(0.4):
        call.options.update(tgt_mask=causal(T), tgt_is_causal=True)
    if d.chance(0.3):
        call.options["memory_mask"] = banned(d, (T, S))
    elif d.chance(0.4):
        call.options["memory_key_padding_mask"] = ignored(d, B, S)
    return build, call


def stack(layer, name):
    """A Call whose first argument is a layer: built in each library from the options."""

    def draw(d):
        build, call = layer(d)
        call.options = {
            k.replace("src_", "") if k == "src_mask" else k: v for k, v in call.options.items()
        }
        extra = {"enable_nested_tensor": False} if "Encoder" in name else {}
        return Call(Built(name, build), d.int(1, 2), **extra), call

    return draw


class Built:
    """An argument that is itself a module, with the arguments it is built with."""

    def __init__(self, name, call):
        self.name, self.call = name, call

    def __repr__(self):
        return f"{self.name}({self.call})"


def transformer(d):
    build, E, first = shared(d)
    h, hidden = build.args[1], build.args[2]
    build.args = (E, h, d.int(1, 2), d.int(1, 2), hidden, 0.0)
    B, T, S = d.int(1, 2), d.int(1, 3), d.int(1, 3)
    call = Call(sequence(d, B, S, E, first), sequence(d, B, T, E, first))
    if d.chance(0.5):
        call.options["tgt_mask"] = causal(T)
    if d.chance(0.4):
        padding = ignored(d, B, S)
        call.options.update(src_key_padding_mask=padding, memory_key_padding_mask=padding)
    return build, call


TABLE = {
    "Linear": Layer(
        linear,
        (lambda t: t.nn.Linear(2, 2)(t.ones(3)), lambda t: t.nn.Linear(2, 2)(t.ones(2).double())),
    ),
    "Identity": Layer(plain({}, {"any": 1})),
    "Embedding": Layer(
        embedding,
        (lambda t: t.nn.Embedding(2, 2)(t.tensor([2])), lambda t: t.nn.Embedding(2, 2)(t.ones(1))),
    ),
    "LayerNorm": Layer(
        norm({"bias": False}, {"elementwise_affine": False}, {"eps": 0.1}),
        (lambda t: t.nn.LayerNorm(3)(t.ones(2)),),
    ),
    "RMSNorm": Layer(
        norm({"elementwise_affine": False}, {"eps": 0.1}), (lambda t: t.nn.RMSNorm(3)(t.ones(2)),)
    ),
    **{name: Layer(plain()) for name in ("Tanh", "Sigmoid", "ReLU", "SiLU", "LogSigmoid")},
    "Softsign": Layer(plain(special=0.0)),
    "GELU": Layer(plain({}, {"approximate": "tanh"}, special=0.0)),
    "Softplus": Layer(plain({}, {"beta": 2.0}, {"threshold": 0.5})),
    "LeakyReLU": Layer(plain({}, {"negative_slope": 0.3})),
    "ELU": Layer(plain({}, {"alpha": 0.5})),
    "GLU": Layer(gated, (lambda t: t.nn.GLU()(t.ones(3)),)),
    "Softmax": Layer(axis, (lambda t: t.nn.Softmax(2)(t.ones(2)),)),
    "LogSoftmax": Layer(axis, (lambda t: t.nn.LogSoftmax(2)(t.ones(2)),)),
    "Dropout": Layer(
        plain({"p": 0.3}, {}),
        (lambda t: t.nn.Dropout(1.5), lambda t: t.nn.Dropout(-1.0)),
        training=False,
    ),
    "MSELoss": Layer(loss(), (lambda t: t.nn.MSELoss(reduction="x")(t.ones(2), t.ones(2)),)),
    "L1Loss": Layer(loss()),
    "SmoothL1Loss": Layer(
        loss({"beta": 0.5}), (lambda t: t.nn.SmoothL1Loss(beta=-1.0)(t.ones(2), t.ones(2)),)
    ),
    "HuberLoss": Layer(
        loss({"delta": 0.5}), (lambda t: t.nn.HuberLoss(delta=0.0)(t.ones(2), t.ones(2)),)
    ),
    "BCELoss": Layer(
        lambda d: (
            Call(**d.pick({}, {"reduction": "sum"}, {"size_average": False}, {"reduce": False})),
            (lambda shape: Call(d.random(shape), d.random(shape)))(d.shape()),
        ),
        (lambda t: t.nn.BCELoss()(t.ones(2), t.ones(3)),),
    ),
    "Flatten": Layer(
        lambda d: (Call(*d.pick((), (0,), (1, 2), (0, -1))), Call(d.array(d.shape(3, 4), "d")))
    ),
    "MaxPool1d": Layer(
        lambda d: (
            Call(d.int(2, 4), *d.pick((), (1,), (2, 1), (3, 0, 2), (2, 0, 1, False, True))),
            Call(d.array((*d.shape(1, 2, empty=0), d.int(7, 9)), "d")),
        ),
        (
            lambda t: t.nn.MaxPool1d(3)(t.ones(1, 2)),
            lambda t: t.nn.MaxPool1d(2, padding=2)(t.ones(1, 4)),
            lambda t: t.nn.MaxPool1d(2)(t.ones(4)),
        ),
    ),
    "AvgPool1d": Layer(
        lambda d: (
            Call(d.int(2, 4), *d.pick((), (1,), (2, 1), (2, 1, False, False))),
            Call(d.array((*d.shape(1, 2, empty=0), d.int(7, 9)), "d")),
        ),
        (
            lambda t: t.nn.AvgPool1d(3)(t.ones(1, 2)),
            lambda t: t.nn.AvgPool1d(2, padding=2)(t.ones(1, 4)),
            lambda t: t.nn.AvgPool1d(2)(t.ones(4)),
        ),
    ),
    "AdaptiveMaxPool1d": Layer(
        lambda d: (Call(d.int(1, 4)), Call(d.array((*d.shape(1, 2, empty=0), d.int(1, 9)), "d"))),
        (lambda t: t.nn.AdaptiveMaxPool1d(2)(t.ones(4)),),
    ),
    "BatchNorm1d": Layer(
        lambda d: (
            Call(
                3,
                **d.pick(
                    {},
                    {"momentum": None},
                    {"affine": False},
                    {"eps": 0.1},
                    {"track_running_stats": False},
                    {"bias": False},
                ),
            ),
            Call(d.array(d.pick((4, 3), (2, 3, 5)), "d")),
        ),
        (
            lambda t: t.nn.BatchNorm1d(3)(t.ones(1, 3)),
            lambda t: t.nn.BatchNorm1d(3)(t.ones(3)),
        ),
    ),
    "CosineEmbeddingLoss": Layer(
        lambda d: (
            Call(**d.pick({}, {"margin": 0.3}, {"reduction": "sum"}, {"size_average": False})),
            Call(d.array((2, 3), "d"), d.array((2, 3), "d"), np.array([1, -1])),
        )
    ),
    "CosineSimilarity": Layer(
        lambda d: (
            Call(*d.pick((), (0,), (-1, 0.5))),
            Call(d.array((2, 3), "d"), d.array((2, 3), "d")),
        )
    ),
    "PairwiseDistance": Layer(
        lambda d: (
            Call(*d.pick((), (1.0,), (3.0, 0.1, True))),
            Call(d.array((2, 3), "d"), d.array((2, 3), "d")),
        )
    ),
    "EmbeddingBag": Layer(
        lambda d: (
            Call(5, 3, **d.pick({}, {"padding_idx": 0}), mode=d.pick("sum", "mean", "max")),
            Call(d.indices(5, (7,)), np.array(d.pick([0, 2, 2, 5], [0]))),
        ),
        (
            lambda t: t.nn.EmbeddingBag(5, 3)(t.tensor([1, 2]), t.tensor([1])),
            lambda t: t.nn.EmbeddingBag(5, 3, mode="x")(t.tensor([[1]])),
            lambda t: t.nn.EmbeddingBag(5, 3)(t.tensor([1])),
        ),
    ),
    "Unflatten": Layer(
        lambda d: (Call(d.pick(1, -1), d.pick((2, 3), (-1, 2))), Call(d.array((2, 6), "d"))),
        (lambda t: t.nn.Unflatten(1, (4, 2))(t.ones(2, 6)),),
    ),
    "AdaptiveAvgPool1d": Layer(
        lambda d: (Call(d.int(1, 4)), Call(d.array((*d.shape(1, 2, empty=0), d.int(1, 9)), "d"))),
        (lambda t: t.nn.AdaptiveAvgPool1d(2)(t.ones(4)),),
    ),
    "BCEWithLogitsLoss": Layer(
        loss(positive=True), (lambda t: t.nn.BCEWithLogitsLoss()(t.ones(2), t.ones(3)),)
    ),
    "KLDivLoss": Layer(
        loss({"log_target": True}, {"reduction": "batchmean", "log_target": True}, positive=True)
    ),
    "CrossEntropyLoss": Layer(
        smoothed, (lambda t: t.nn.CrossEntropyLoss()(t.ones(2, 3), t.tensor([0, 3])),)
    ),
    "NLLLoss": Layer(classes, (lambda t: t.nn.NLLLoss()(t.ones(2, 3), t.tensor([0, 1, 1])),)),
    "Conv1d": Layer(
        convolution,
        (
            lambda t: t.nn.Conv1d(3, 2, 1, groups=2),
            lambda t: t.nn.Conv1d(2, 2, 1, padding_mode="x"),
            lambda t: t.nn.Conv1d(2, 2, 1, padding="x"),
            lambda t: t.nn.Conv1d(2, 2, 1)(t.ones(1, 3, 4)),
        ),
        24,
    ),
    "RNN": Layer(
        recurrent(False, {"nonlinearity": "relu"}),
        (
            lambda t: t.nn.RNN(2, 3, nonlinearity="x"),
            lambda t: t.nn.RNN(2, 3)(t.ones(2, 2, 3)),
            lambda t: t.nn.RNN(2, 0),
        ),
        24,
    ),
    "LSTM": Layer(
        recurrent(True, {"proj_size": 1}, {"proj_size": 1}),
        (
            lambda t: t.nn.LSTM(2, 3, proj_size=3),
            lambda t: t.nn.LSTM(2, 3, proj_size=-1),
            lambda t: t.nn.LSTM(2, 3)(t.ones(2, 2, 3)),
            lambda t: t.nn.LSTM(2, 3)(t.ones(2, 2, 2), (t.ones(1, 2, 3), t.ones(1, 3, 3))),
        ),
        32,
    ),
    "GRU": Layer(
        recurrent(),
        (lambda t: t.nn.GRU(2, 3)(t.ones(2, 2, 3)), lambda t: t.nn.GRU(2, 3, dropout=2.0)),
        24,
    ),
    "RNNCell": Layer(
        cell(False, {"nonlinearity": "relu"}),
        (
            lambda t: t.nn.RNNCell(2, 3)(t.ones(2, 3)),
            lambda t: t.nn.RNNCell(2, 3)(t.ones(2, 2), t.ones(1, 3)),
        ),
    ),
    "LSTMCell": Layer(cell(True), (lambda t: t.nn.LSTMCell(2, 3)(t.ones(2, 3)),)),
    "GRUCell": Layer(cell(), (lambda t: t.nn.GRUCell(2, 3)(t.ones(1, 1, 2)),)),
    "MultiheadAttention": Layer(
        multihead,
        (
            lambda t: t.nn.MultiheadAttention(4, 3),
            lambda t: t.nn.MultiheadAttention(4, 0),
            lambda t: t.nn.MultiheadAttention(4, 2)(
                t.ones(2, 1, 3), t.ones(2, 1, 3), t.ones(2, 1, 3)
            ),
            lambda t: t.nn.MultiheadAttention(4, 2)(t.ones(2, 4), t.ones(2, 1, 4), t.ones(2, 4)),
            lambda t: t.nn.MultiheadAttention(4, 2)(
                t.ones(2, 1, 4), t.ones(3, 1, 4), t.ones(3, 1, 4), attn_mask=t.zeros(3, 2)
            ),
            lambda t: t.nn.MultiheadAttention(4, 2)(
                t.ones(2, 1, 4), t.ones(3, 1, 4), t.ones(3, 1, 4), attn_mask=t.zeros(1, 2, 3)
            ),
        ),
        40,
    ),
    "TransformerEncoderLayer": Layer(
        encoder_layer,
        (
            lambda t: t.nn.TransformerEncoderLayer(3, 2),
            lambda t: t.nn.TransformerEncoderLayer(4, 2, activation="x"),
            lambda t: t.nn.TransformerEncoderLayer(4, 2)(t.ones(2, 1, 3)),
        ),
        20,
    ),
    "TransformerDecoderLayer": Layer(
        decoder_layer,
        (lambda t: t.nn.TransformerDecoderLayer(4, 2)(t.ones(2, 1, 4), t.ones(2, 1, 3)),),
        20,
    ),
    "TransformerEncoder": Layer(stack(encoder_layer, "TransformerEncoderLayer")),
    "TransformerDecoder": Layer(stack(decoder_layer, "TransformerDecoderLayer")),
    "Transformer": Layer(
        transformer,
        (
            lambda t: t.nn.Transformer(4, 2, 1, 1, 4)(t.ones(2, 1, 4), t.ones(2, 2, 4)),
            lambda t: t.nn.Transformer(4, 2, 1, 1, 4)(t.ones(2, 1, 4), t.ones(2, 1, 3)),
        ),
    ),
}
