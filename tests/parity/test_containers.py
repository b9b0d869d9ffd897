"""Modules as containers, initialisers, clipping and packing against torch: one scenario each."""

import warnings
from collections import OrderedDict

import numpy as np
import pytest

pytest.importorskip("torch", reason="parity with torch: torch is not installed")

from .harness import Call, Const, Entry, mismatches
from .making import scenario
from .programs import MODULES


def small(t, seed=0):
    """A model whose weights are the same in both libraries."""
    model = t.nn.Sequential(OrderedDict(a=t.nn.Linear(2, 3), b=t.nn.Tanh(), c=t.nn.Linear(3, 1)))
    rng = np.random.default_rng(seed)
    weights = {
        k: t.tensor(rng.standard_normal(tuple(v.shape))) for k, v in model.state_dict().items()
    }
    model.to(t.float64).load_state_dict(weights)
    return model


def sequence(t, x):
    model = small(t)
    longer = t.nn.Sequential(*model, t.nn.ReLU())
    longer.append(t.nn.Tanh())
    twice = 2 * longer
    twice *= 2
    seen = repr(longer), len(longer), repr(longer[1]), repr(longer[:2]), len(twice)
    return model(x), longer(x), *seen


def hooked(t, x):
    model = small(t)
    model.register_forward_pre_hook(lambda m, args: args[0] + 1)
    model.register_forward_pre_hook(
        lambda m, args, named: ((args[0] * 2,), named), prepend=True, with_kwargs=True
    )
    model.register_forward_hook(lambda m, args, y: y * args[0].sum())
    model.register_forward_hook(
        lambda m, args, named, y: y + len(named), prepend=True, with_kwargs=True
    )
    return model(x)


def listed(t, x):
    layers = t.nn.ModuleList([t.nn.Tanh()])
    layers.append(t.nn.ReLU())
    layers.extend([t.nn.Sigmoid()])
    layers.insert(0, t.nn.Identity())
    for layer in layers:
        x = layer(x)
    return x, len(layers), repr(layers), repr(layers[-1]), [n for n, _ in layers.named_modules()]


def named(t, x):
    layers = t.nn.ModuleDict({"a": t.nn.Tanh(), "b": t.nn.ReLU()})
    layers["c"] = t.nn.Sigmoid()
    layers.update({"d": t.nn.Identity()})
    del layers["a"]
    seen = (
        list(layers),
        len(layers),
        "b" in layers,
        repr(layers),
        [repr(v) for v in layers.values()],
    )
    return *seen, layers["c"](x)


def module(t, x):
    model = small(t)
    model.register_buffer("count", t.tensor([1.0, 2.0]))
    model.register_buffer("hidden", t.tensor([3.0]), persistent=False)
    model.eval()
    model.a.requires_grad_(False)
    seen = [
        model.training,
        [n for n, _ in model.named_parameters()],
        [n for n, _ in model.named_buffers()],
        [n for n, _ in model.named_modules()],
        [n for n, _ in model.named_children()],
        [p.requires_grad for p in model.parameters()],
        list(model.state_dict()),
        [str(p.dtype)[-7:] for p in model.float().parameters()],
    ]
    missing = model.load_state_dict({"a.weight": t.zeros(3, 2), "z": t.zeros(1)}, strict=False)
    model.double()
    model(x).sum().backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    return (
        *seen,
        sorted(missing.missing_keys),
        missing.unexpected_keys,
        grads,
        model.c.weight.grad is None,
    )


def parameter(t, x):
    p = t.nn.Parameter(x)
    q = t.nn.Parameter(x, requires_grad=False)
    layer = t.nn.Linear(1, 1)
    layer.extra = p
    names = [n for n, _ in layer.named_parameters()]
    return p.requires_grad, q.requires_grad, p.is_leaf, isinstance(p, t.Tensor), names, p.detach()


def filled(name, *more):
    """An initialiser whose numbers do not depend on chance."""
    return scenario(
        lambda t, shape: getattr(t.nn.init, name)(t.empty(shape), *more),
        lambda d: Call((d.int(1, 4), d.int(1, 4))),
        cases=3,
    )


def within(name, bound, **more):
    """A random initialiser: shape and how far it reaches, whatever the numbers."""

    def form(t, shape):
        x = getattr(t.nn.init, name)(t.empty(shape), **more)
        limit = bound(*shape)
        return (
            tuple(x.shape),
            x.requires_grad,
            bool((x.abs() <= limit).all()),
            bool(x.std() > limit / 8),
        )

    return scenario(
        form,
        lambda d: Call((d.int(20, 40), d.int(20, 40))),
        (lambda t: getattr(t.nn.init, name)(3.0),),
    )


def orthogonal(t, shape):
    x = t.nn.init.orthogonal_(t.empty(shape))
    product = x @ x.T if shape[0] <= shape[1] else x.T @ x
    return bool(((product - t.eye(min(shape))).abs() < 1e-4).all())


def clipped(name):
    def form(t, x, y, bound):
        params = [t.nn.Parameter(t.zeros_like(v)) for v in (x, y)]
        for p, v in zip(params, (x, y), strict=True):
            p.grad = v.clone()
        total = getattr(t.nn.utils, name)(params, bound)
        return total, [p.grad for p in params]

    return scenario(
        form,
        lambda d: Call(Const(d.array(kinds="d")), Const(d.array(kinds="d")), d.pick(0.5, 100.0)),
        cases=10,
    )


def in_one_vector(t, x, y):
    params = [t.nn.Parameter(v.clone()) for v in (x, y)]
    vector = t.nn.utils.parameters_to_vector(params)
    t.nn.utils.vector_to_parameters(vector.detach() * 2, params)
    return vector, params


def normalised(t, weight, dim):
    layer = t.nn.Linear(2, 3)
    with warnings.catch_warnings():  # PyTorch recommends another name
        warnings.simplefilter("ignore", FutureWarning)
        layer.weight.data, layer.bias.data = weight, weight[:, 0]
        t.nn.utils.weight_norm(layer, dim=dim)
    layer.weight_g.data.mul_(2)
    y = layer(weight)
    y.sum().backward()
    found = {name: (param, param.grad) for name, param in layer.named_parameters()}
    return y, found, t.nn.utils.remove_weight_norm(layer).state_dict()


def packing(t, x, lengths, first, ordered):
    rnn = t.nn.utils.rnn
    packed = rnn.pack_padded_sequence(x, lengths, first, ordered)
    padded, sizes = rnn.pad_packed_sequence(packed, first, -1.0)
    return list(packed), padded, sizes


def draw_packing(d):
    lengths = [d.int(1, 4) for _ in range(d.int(1, 4))]
    ordered = d.chance(0.4)
    if ordered:
        lengths.sort(reverse=True)
    first = d.chance(0.5)
    shape = (len(lengths), max(lengths)) if first else (max(lengths), len(lengths))
    return Call(d.array((*shape, 2), "d"), lengths, first, ordered)


def ragged(name, *arguments):
    def draw(d):
        parts = [
            d.array((n, 2), "d") for n in sorted((d.int(1, 4) for _ in range(3)), reverse=True)
        ]
        return Call(parts)

    def form(t, parts):
        given = [argument(t, parts) for argument in arguments] or [parts]
        return getattr(t.nn.utils.rnn, name)(*given)

    return scenario(form, draw, cases=10)


PACKED = Entry(
    draw_packing,
    (
        lambda t: t.nn.utils.rnn.pack_padded_sequence(t.ones(3, 2), [1, 2]),
        lambda t: t.nn.utils.rnn.pack_padded_sequence(t.ones(3, 2), [2, 0]),
        lambda t: t.nn.utils.rnn.pack_padded_sequence(t.ones(3, 2), [2]),
    ),
    {"": packing},
    cases=20,
)


def of(form, wrong=()):
    return scenario(form, lambda d: Call(d.array((3, 2), "d")), wrong)


def copied(t, x):
    model = t.nn.DataParallel(t.nn.Tanh(), device_ids=[0])
    return model(x), model.device_ids, repr(model), [n for n, _ in model.named_modules()]


TABLE = {
    **MODULES,
    "Sequential": of(sequence, (lambda t: t.nn.Sequential(3), lambda t: t.nn.Sequential()[0])),
    "Sequential.__mul__": of(
        lambda t, x: (t.nn.Sequential(t.nn.Tanh()) * 2)(x),
        (lambda t: t.nn.Sequential() * 0, lambda t: t.nn.Sequential() * 0.5),
    ),
    "register_forward_hook": of(hooked),
    "DataParallel": of(copied),
    "ModuleList": of(listed, (lambda t: t.nn.ModuleList([3]), lambda t: t.nn.ModuleList()[0])),
    "ModuleDict": of(
        named, (lambda t: t.nn.ModuleDict({"a": 3}), lambda t: t.nn.ModuleDict()["a"])
    ),
    "Module": of(
        module,
        (
            lambda t: t.nn.Module()(1),
            lambda t: t.nn.Module().absent,
            lambda t: t.nn.Linear(1, 1).load_state_dict({}),
            lambda t: t.nn.Linear(1, 1).load_state_dict(
                {"weight": t.ones(2, 2), "bias": t.ones(1)}
            ),
            lambda t: setattr(t.nn.Linear(1, 1), "weight", t.ones(1, 1)),
            lambda t: t.nn.Module().register_buffer("x", 3),
        ),
    ),
    "Parameter": of(parameter, (lambda t: t.nn.Parameter(t.ones(1).long()),)),
    "zeros_": filled("zeros_"),
    "ones_": filled("ones_"),
    "eye_": filled("eye_"),
    "constant_": filled("constant_", 2.5),
    "uniform_": within("uniform_", lambda n, m: 1.0),
    "normal_": within("normal_", lambda n, m: 6.0),
    "trunc_normal_": within("trunc_normal_", lambda n, m: 2.0),
    "xavier_uniform_": within("xavier_uniform_", lambda n, m: (6 / (n + m)) ** 0.5),
    "xavier_normal_": within("xavier_normal_", lambda n, m: 6 * (2 / (n + m)) ** 0.5),
    "kaiming_uniform_": within("kaiming_uniform_", lambda n, m: (6 / m) ** 0.5),
    "kaiming_normal_": within("kaiming_normal_", lambda n, m: 6 * (2 / m) ** 0.5),
    "orthogonal_": scenario(
        orthogonal,
        lambda d: Call((d.int(2, 5), d.int(2, 5))),
        (lambda t: t.nn.init.orthogonal_(t.ones(2)),),
    ),
    "calculate_gain": scenario(
        lambda t, name, *more: t.nn.init.calculate_gain(name, *more),
        lambda d: Call(
            *d.pick(("relu",), ("tanh",), ("leaky_relu", 0.3), ("linear",), ("sigmoid",), ("selu",))
        ),
        (lambda t: t.nn.init.calculate_gain("x"),),
        10,
    ),
    "clip_grad_norm_": clipped("clip_grad_norm_"),
    **dict.fromkeys(
        ("parameters_to_vector", "vector_to_parameters"),
        scenario(
            in_one_vector, lambda d: Call(Const(d.array(kinds="d")), Const(d.array(kinds="d")))
        ),
    ),
    **dict.fromkeys(
        ("weight_norm", "remove_weight_norm"),
        scenario(
            normalised,
            lambda d: Call(Const(d.array((3, 2), "f")), d.pick(0, 1, -1, -2, None)),
            (
                lambda t: t.nn.utils.weight_norm(t.nn.Linear(2, 3), "none"),
                lambda t: t.nn.utils.weight_norm(t.nn.Linear(2, 3), dim=2),
                lambda t: t.nn.utils.weight_norm(t.nn.utils.weight_norm(t.nn.Linear(2, 3))),
                lambda t: t.nn.utils.remove_weight_norm(t.nn.Linear(2, 3)),
            ),
            10,
        ),
    ),
    "clip_grad_value_": clipped("clip_grad_value_"),
    **dict.fromkeys(("pack_padded_sequence", "pad_packed_sequence", "PackedSequence"), PACKED),
    "pad_sequence": ragged("pad_sequence"),
    "pack_sequence": ragged("pack_sequence"),
    "unpack_sequence": ragged(
        "unpack_sequence", lambda t, parts: t.nn.utils.rnn.pack_sequence(parts)
    ),
    "unpad_sequence": ragged(
        "unpad_sequence",
        lambda t, parts: t.nn.utils.rnn.pad_sequence(parts),
        lambda t, parts: t.tensor([len(part) for part in parts]),
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_it_does_what_torchs_does(name):
    found = mismatches(name, TABLE[name])
    assert not found, f"{len(found)} differences, among them\n" + "\n".join(map(str, found[:4]))
