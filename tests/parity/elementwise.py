"""What operations element by element are called with: numbers, tensors, any dtype."""

import numpy as np

from .harness import Call, Entry, Of


def unary(kinds="fffib", special=0.3, **more):
    """The wrong calls: a string, and one argument too many."""
    return Entry(lambda d: Call(d.array(kinds=kinds, special=special)), **more)


def operand(d, shape, kinds, special, values="any"):
    """A tensor, or a number where there is a tensor beside it."""
    if d.chance(0.25):
        return d.pick(2, -1, 0, 0.5, -1.5, 3.0, True)
    return d.array(shape, kinds, values, special)


def pair(kinds, special=0.1, numbers=True, values="any"):
    def draw(d):
        one, two = d.broadcast(2)
        x = d.array(one, kinds, values, special)
        return Call(x, operand(d, two, kinds, special) if numbers else d.array(two, kinds))

    return draw


def scaled(d):
    call = pair("fffi")(d)
    if d.chance(0.4):
        call.options["alpha"] = d.pick(2, -1) if call.args[0].dtype.kind == "i" else d.pick(2, -0.5)
    return call


def division(d):
    call = pair("ffi", special=0.2)(d)
    if d.chance(0.4):
        call.options["rounding_mode"] = d.pick("floor", "trunc", None)
    return call


def power(d):
    x = d.array(kinds="ffi", values=d.pick("positive", "any"), special=0.1)
    # at -0 and -inf PyTorch takes x^0.5 for sqrt, x^-0.5 for rsqrt
    x = np.where((x == 0) | (x == -np.inf), 0, x).astype(x.dtype)
    if d.chance(0.5):
        return Call(
            x, d.pick(2, 3, 0.5, -1.0, 0, 1, -0.5, 2.0) if x.dtype.kind == "f" else d.int(0, 4)
        )
    one, two = d.broadcast(2)
    if d.chance(0.2):  # of integers and a tensor of negative ones PyTorch rounds to 0
        return Call(d.array(one, "i"), d.array(two, "i"))
    return Call(d.array(one, "ff", "positive"), d.array(two, "ff"))


def clamped(d):
    one = d.shape()  # bounds that widen one another PyTorch refuses
    two, three = (
        tuple(1 if d.chance(0.2) else n for n in one[d.int(0, len(one)) :]) for _ in range(2)
    )
    x = d.array(one, "ffi", special=0.2)
    if d.chance(0.5):
        low, high = d.pick(None, -1, 0.0, -0.5), d.pick(None, 1, 0.5, -2)
        if low is None and high is None:
            low = 0.0
    else:
        kind = "f" if x.dtype.kind == "f" else "i"
        low, high = d.array(two, kind), d.pick(None, d.array(three, kind))
        low = low.astype(x.dtype)
        high = None if high is None else high.astype(x.dtype)
    return Call(x, low, high) if d.chance(0.5) else Call(x, min=low, max=high)


def where(d):
    one, two, three = d.broadcast(3)
    condition = d.array(one, "b")
    return Call(condition, operand(d, two, "fffi", 0.3), operand(d, three, "fffi", 0.3))


def where_method(lib, condition, x, y):
    return x.where(condition, y) if isinstance(x, lib.Tensor) else lib.where(condition, x, y)


def reflected(kinds="ffi", number=None):
    return lambda d: Call(
        d.array(kinds=kinds, values="positive"),
        d.pick(2, 0.5, -1.0, 3) if number is None else number,
    )


def operator(sign):
    return {f"x {sign} y": eval(f"lambda lib, x, y: x {sign} y")}


def other_way(sign):
    return {f"y {sign} x": eval(f"lambda lib, x, y: y {sign} x")}


def changed(d):
    """In place: the second operand broadcasts to the first, or mostly."""
    shape = d.shape()
    two = tuple(1 if d.chance(0.2) else n for n in shape[d.int(0, len(shape)) :])
    if d.chance(0.05):
        two = (*two, 7)
    return Call(d.array(shape, "ffi"), operand(d, two, "ffi", 0.0))


def divided(d):
    call = changed(d)
    if call.args[0].dtype.kind == "i" and d.chance(0.7):
        call.args = (call.args[0].astype("float32"), call.args[1])
    return call


CLASH = lambda f: lambda t: f(t, t.ones(2, 3), t.ones(2, 4))  # noqa: E731
WRONG = {
    name: (
        CLASH(lambda t, x, y, n=name: getattr(t, n)(x, y)),
        lambda t, n=name: getattr(t, n)(t.ones(2), "x"),
    )
    for name in (
        [
            "add",
            "sub",
            "mul",
            "div",
            "pow",
            "eq",
            "ne",
            "lt",
            "le",
            "gt",
            "ge",
            "maximum",
            "minimum",
            "logical_and",
            "logical_or",
        ]
    )
}

TABLE = {
    **{
        name: unary(wrong=(lambda t, n=name: getattr(t, n)("x"),))
        for name in [
            "abs",
            "exp",
            "log",
            "sqrt",
            "rsqrt",
            "tanh",
            "sigmoid",
            "sin",
            "cos",
            "erf",
            "log1p",
            "expm1",
            "sinh",
            "cosh",
            "reciprocal",
            "square",
            "isnan",
            "isinf",
            "isfinite",
            "logical_not",
            "sign",
            "relu",
            "clone",
        ]
    },
    "neg": unary("fffi", wrong=(lambda t: t.neg(t.ones(2, dtype=t.bool)),)),
    "add": Entry(scaled, (*WRONG["add"], lambda t: t.add(t.ones(2, dtype=t.int64), 1, alpha=0.5))),
    "sub": Entry(scaled, (*WRONG["sub"], lambda t: t.sub(t.ones(2) > 0, t.ones(2) > 0))),
    "mul": Entry(pair("fffib"), WRONG["mul"]),
    "div": Entry(division, (*WRONG["div"], lambda t: t.div(t.ones(2), 2, rounding_mode="up"))),
    "pow": Entry(power, (*WRONG["pow"], lambda t: t.pow(t.ones(2, dtype=t.int64), -1))),
    **{
        name: Entry(pair("fffib", special=0.3), WRONG[name])
        for name in ["eq", "ne", "lt", "le", "gt", "ge"]
    },
    "logical_and": Entry(pair("ffib", numbers=False), WRONG["logical_and"]),
    "logical_or": Entry(pair("ffib", numbers=False), WRONG["logical_or"]),
    "maximum": Entry(pair("fffib", special=0.3, numbers=False), WRONG["maximum"]),
    "minimum": Entry(pair("fffib", special=0.3, numbers=False), WRONG["minimum"]),
    "clamp": Entry(
        clamped, (lambda t: t.clamp(t.ones(2)), lambda t: t.clamp(t.ones(2), t.ones(3)))
    ),
    "where": Entry(
        where,
        (
            lambda t: t.where(t.ones(2), 1.0, 2.0),
            CLASH(lambda t, x, y: t.where(t.ones(2, 3) > 0, x, y)),
        ),
        {
            "where": lambda t, c, x, y: t.where(c, x, y),
            "Tensor.where": where_method,
        },
    ),
    "__radd__": Entry(reflected("ffib"), forms=other_way("+")),
    "__rsub__": Entry(reflected(), forms=other_way("-")),
    "__rmul__": Entry(reflected("ffib"), forms=other_way("*")),
    "__rtruediv__": Entry(reflected("ffi"), forms=other_way("/")),
    "__rpow__": Entry(reflected("f"), forms=other_way("**")),
    "__add__": Entry(pair("ffib"), forms=operator("+")),
    "__sub__": Entry(pair("ffi"), forms=operator("-")),
    "__mul__": Entry(pair("ffib"), forms=operator("*")),
    "__truediv__": Entry(pair("ffib"), forms=operator("/")),
    "__pow__": Entry(power, forms=operator("**")),
    "__eq__": Entry(pair("ffib"), forms=operator("==")),
    "__ne__": Entry(pair("ffib"), forms=operator("!=")),
    "__lt__": Entry(pair("ffib"), forms=operator("<")),
    "__le__": Entry(pair("ffib"), forms=operator("<=")),
    "__gt__": Entry(pair("ffib"), forms=operator(">")),
    "__ge__": Entry(pair("ffib"), forms=operator(">=")),
    "__and__": Entry(pair("iib", numbers=False), (lambda t: t.ones(2) & t.ones(2),), operator("&")),
    "__or__": Entry(pair("iib", numbers=False), (lambda t: t.ones(2) | t.ones(2),), operator("|")),
    "__neg__": Entry(lambda d: Call(d.array(kinds="ffi")), forms={"-x": lambda t, x: -x}),
    "__invert__": Entry(
        lambda d: Call(d.array(kinds="ib")), (lambda t: ~t.ones(2),), {"~x": lambda t, x: ~x}
    ),
    **{
        name: Entry(changed, (lambda t, n=name: getattr(t.ones(2, requires_grad=True), n)(1.0),))
        for name in ("add_", "sub_", "mul_")
    },
    "div_": Entry(divided, (lambda t: t.ones(2, dtype=t.int64).div_(2),)),
    "clamp_": Entry(
        lambda d: Call(d.array(kinds="ffi", special=0.2), d.pick(-1, None, 0), d.pick(1, 0, 2)),
    ),
    "copy_": Entry(changed, (lambda t: t.ones(2).copy_(t.ones(3)),)),
    "fill_": Entry(lambda d: Call(d.array(kinds="fib"), d.pick(1, 0, 2.5, True))),
    "zero_": Entry(lambda d: Call(d.array(kinds="fib"))),
    "to": Entry(
        lambda d: Call(
            d.array(kinds="ffib"), Of(d.pick("float32", "float64", "int64", "int32", "bool"))
        ),
    ),
    **{
        name: Entry(
            lambda d: Call(d.array(kinds="ffib")),
            forms={f"Tensor.{name}": lambda t, x, n=name: getattr(x, n)()},
        )
        for name in ("float", "double", "long", "int", "bool")
    },
    "type_as": Entry(lambda d: Call(d.array(kinds="fib"), d.array(kinds="fib"))),
}
