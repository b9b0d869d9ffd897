"""What reductions are called with: one axis, several, all; empty, ties, NaN."""

import numpy as np

from .harness import Call, Entry, Of


def over(kinds="fffi", special=0.1, many=True, values="any", none=True, dtype=False, one=True):
    """(x), (x, dim), (x, dims, keepdim=...): positional and by name."""

    def draw(d):
        x = d.array(kinds=kinds, values=values, special=special)
        choice = d.random()
        if none and choice < 0.25:
            call = Call(x)
        elif many and choice < 0.5 and x.ndim:
            call = Call(x, d.dims(x.ndim))
        elif choice < 0.75:
            call = Call(x, d.dim(x.ndim))
        else:
            call = Call(x, dim=d.dim(x.ndim))
        if (len(call.args) > 1 or call.options) and d.chance(0.5):
            call.options["keepdim"] = d.chance(0.7)
        if dtype and d.chance(0.2):
            whole = ["int64"] * (x.dtype.kind != "f")
            call.options["dtype"] = Of(d.pick("float32", "float64", *whole))
        return call

    return draw


def spread(d):
    call = over("fff", special=0.0)(d)
    choice = d.random()
    if choice < 0.3 and len(call.args) == 1:
        call.options["unbiased"] = d.chance(0.5)
    elif choice < 0.7:
        call.options["correction"] = d.pick(0, 1, 0.5)
    return call


def extreme(d):
    if d.chance(0.25):
        one, two = d.broadcast(2)
        return Call(d.array(one, "ffi", special=0.2), d.array(two, "ffi", special=0.2))
    call = over("fffi", special=0.2, many=False)(d)
    return call


def exponential(d):
    """A slice of nothing but -inf has the gradient 0 here, as a query that may attend nowhere."""
    call = over("fff", special=0.3, none=False)(d)
    x = call.args[0]
    call.args = (np.where(x == -np.inf, 0, x).astype(x.dtype), *call.args[1:])
    return call


def norms(d):
    call = over("fff", special=0.0)(d)
    p = d.pick(2, 1, 3, 2.5, float("inf"), float("-inf"), "fro", 0)
    call.options["p"] = p
    if len(call.args) > 1:
        call.options["dim"] = call.args[1]
        call.args = call.args[:1]
    if p == "fro" and isinstance(call.options.get("dim"), tuple):
        call.options["dim"] = call.options["dim"][:2]
    return call


def sorting(d):
    x = d.array(kinds="fffi", special=0.2)
    options = {"stable": True}
    if d.chance(0.6):
        options["dim"] = d.dim(x.ndim)
    if d.chance(0.5):
        options["descending"] = d.chance(0.7)
    return Call(x, **options)


def top(d):
    x = d.array(values="apart", kinds="fffi") if d.chance(0.8) else d.array((5,), values="apart")
    if x.dtype.kind == "i":
        x = d.permutation(x.size).reshape(x.shape)
    dim = d.dim(x.ndim)
    n = x.shape[dim] if -x.ndim <= dim < x.ndim else 1
    options = (
        {"dim": dim} if d.chance(0.8) or not x.ndim or dim % max(x.ndim, 1) != x.ndim - 1 else {}
    )
    if d.chance(0.5):
        options["largest"] = d.chance(0.5)
    return Call(x, d.int(0, n + d.chance(0.05)), **options)


def scan(d):
    x = d.array(kinds="fffi", special=0.05)
    call = Call(x, d.dim(x.ndim))
    if d.chance(0.2):
        call.options["dtype"] = Of(d.pick("float32", "float64"))
    return call


def wrong(name):
    def f(t, *args, **options):
        return getattr(t, name)(*args, **options)

    return (
        lambda t: f(t, t.ones(2, 3), 2),
        lambda t: f(t, t.ones(2, 3), -3),
        lambda t: f(t, t.ones(2, 3), 0.5),
        lambda t: f(t, 3.0),
    )


def twice(name):
    return (*wrong(name), lambda t: getattr(t, name)(t.ones(2, 3), (0, -2)))


TABLE = {
    "sum": Entry(over("fffib", dtype=True), twice("sum")),
    "mean": Entry(over("fff", dtype=False), (*twice("mean"), lambda t: t.ones(2).long().mean())),
    "prod": Entry(over("fffib", special=0.0, many=False, dtype=True), wrong("prod")),
    "cumsum": Entry(scan, (*wrong("cumsum"), lambda t: t.cumsum(t.ones(2)))),
    "amax": Entry(over("fffib", special=0.2), (*twice("amax"), lambda t: t.ones(0, 2).amax(0))),
    "amin": Entry(over("fffib", special=0.2), (*twice("amin"), lambda t: t.ones(0).amin())),
    "max": Entry(extreme, (*wrong("max"), lambda t: t.ones(0).max())),
    "min": Entry(extreme, (*wrong("min"), lambda t: t.ones(2, 0).min(1))),
    "argmax": Entry(over("fffi", special=0.2, many=False), wrong("argmax")),
    "argmin": Entry(over("fffi", special=0.2, many=False), wrong("argmin")),
    "var": Entry(spread, twice("var")),
    "std": Entry(spread, twice("std")),
    "all": Entry(over("fib", many=True), wrong("all")),
    "any": Entry(over("fib", many=True), wrong("any")),
    "logsumexp": Entry(exponential, twice("logsumexp")),
    "norm": Entry(norms, (lambda t: t.norm(t.ones(2), dim=3), lambda t: t.norm(t.ones(2).long()))),
    "sort": Entry(sorting, (lambda t: t.sort(t.ones(2, 3), 2), lambda t: t.sort(3.0))),
    "topk": Entry(
        top,
        (
            lambda t: t.topk(t.ones(3), 4),
            lambda t: t.topk(t.ones(3), -1),
            lambda t: t.topk(t.ones(3), 1, 1),
            lambda t: t.topk(t.ones(3), 1.5),
        ),
    ),
}
