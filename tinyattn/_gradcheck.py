"""Gradients against numeric derivatives: `gradcheck` for functions, `gradcheck_module` for models.

A check must not pass a wrong gradient by mistake. So the outputs get random weights (cotangents),
every element is compared, the error of the numeric derivative is estimated, and the check refuses
an element where that error is too large. Read `_derivative` first, then `_check`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinyattn.autograd import enable_grad, engine
from tinyattn.autograd.paths import nodes_below
from tinyattn.autograd.storage import Tensor, TensorBase, requires_grad_, results

EPS, RTOL, ATOL = 1e-3, 1e-6, 1e-9  # the first step; the agreement asked for


class GradcheckError(AssertionError):
    """A gradient is wrong, or could not be checked; the message says which and why."""


@dataclass
class _Checked:
    """A leaf tensor whose gradient is checked, and the elements that are tried."""

    tensor: Any
    name: str
    element: str  # how one element is called: a format of {name} and {index}
    indices: list[tuple[int, ...]]

    def at(self, index: tuple[int, ...]) -> str:
        inside = ", ".join(map(str, index))
        return self.element.format(name=self.name, index=inside)


def gradcheck(
    fn: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = EPS,
    rtol: float = RTOL,
    atol: float = ATOL,
    raise_exception: bool = True,
    seed: int = 0,
) -> bool:
    """Check the gradients of `fn(*inputs)` at every element of the inputs that require grad.

    fn: returns a tensor or a tuple; outputs that are not floating point are left out. It is called
        with new leaf tensors that have the values and strides of the inputs. An input whose
        elements share memory, as after expand(), becomes a contiguous one, because its elements
        can't be changed one at a time.
    inputs: a tensor or a tuple. Those that require grad must be float64.
    eps: the first step is eps max(1, |x|). Smaller ones follow where the estimated error is large.
    rtol, atol: a gradient may differ by atol + rtol |numeric|, plus the estimated error.
    raise_exception: with False, return False instead of raising.
    seed: of the random weights of the outputs.

    Raises GradcheckError if a gradient is wrong, or if it could not be checked: at a kink or a
    step, for a random function, or for an input that no gradient reaches. A gradient of zeros is
    compared like any other: a constant function passes if its gradient is 0, not if it is None.

    >>> import tinyattn as ta
    >>> x = ta.tensor([0.5, -1.0], dtype=ta.float64, requires_grad=True)
    >>> ta.gradcheck(lambda x: x.exp() * x, x)
    True
    """
    arguments, checked = _arguments(inputs)
    if not checked:
        raise ValueError("inputs: none of them requires grad, so there is nothing to check")
    settings = eps, rtol, atol, seed
    return _verdict(lambda: fn(*arguments), checked, settings, raise_exception)


def gradcheck_module(
    model: Any,
    inputs: Any,
    loss: Callable[[Any], Any] | None = None,
    *,
    samples: int = 64,
    eps: float = EPS,
    rtol: float = RTOL,
    atol: float = ATOL,
    raise_exception: bool = True,
    seed: int = 0,
) -> bool:
    """`gradcheck` of a whole model in float64, for its parameters and the inputs that require grad.

    loss: a function of the model's output (default: the output itself, with random cotangents).
    samples: how many elements of a larger parameter are tried, drawn with `seed`.
    A failure names parameter and index: `encoder.gru.weight_hh_l0[3, 7]`.
    """
    arguments, checked = _arguments(inputs)
    rng = np.random.default_rng(seed)
    for name, parameter in model.named_parameters():
        array = parameter._array
        if array.dtype != np.float64:
            raise TypeError(f"model: {name} is {array.dtype}; use model.double() for a check")
        if parameter.requires_grad:
            flat = np.arange(array.size)
            if array.size > samples:
                flat = np.sort(rng.choice(array.size, samples, replace=False))
            indices = [tuple(map(int, np.unravel_index(i, array.shape))) for i in flat]
            checked.append(_Checked(parameter, name, "{name}[{index}]", indices))
    if not checked:
        raise ValueError("model: no parameter and no input requires grad: nothing to check")

    def evaluate() -> Any:
        out = model(*arguments)
        return out if loss is None else loss(out)

    return _verdict(evaluate, checked, (eps, rtol, atol, seed), raise_exception)


def _arguments(inputs: Any) -> tuple[list[Any], list[_Checked]]:
    """The inputs, with new leaves in place of those that are checked; and these leaves."""
    arguments = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    checked = []
    for i, value in enumerate(arguments):
        if isinstance(value, TensorBase) and value._edge is not None:
            if value._array.dtype != np.float64:
                raise TypeError(
                    f"inputs: input {i} is {value._array.dtype}; a numeric derivative needs float64"
                )
            arguments[i] = requires_grad_(results.wrap(_same_layout(value._array)))
            indices = list(np.ndindex(value._array.shape))
            checked.append(
                _Checked(arguments[i], f"input {i}", "{name} at index ({index})", indices)
            )
    return arguments, checked


def _same_layout(array: np.ndarray) -> np.ndarray:
    """A copy with the same strides, or a contiguous one where elements share memory."""
    reach = [s * (n - 1) for s, n in zip(array.strides, array.shape, strict=True)]
    first = -sum(min(r, 0) for r in reach)
    memory = np.zeros(sum(map(abs, reach)) // array.itemsize + 1)

    def laid_out(memory: np.ndarray) -> np.ndarray:
        return np.ndarray(array.shape, memory.dtype, memory, first, array.strides)

    aligned = not any(s % array.itemsize for s in array.strides)
    if not aligned or np.unique(laid_out(np.arange(memory.size))).size < array.size:
        return np.array(array, order="C")
    copy = laid_out(memory)
    copy[...] = array
    return copy


def _verdict(
    evaluate: Callable[[], Any],
    checked: list[_Checked],
    settings: tuple[Any, ...],
    raise_exception: bool,
) -> bool:
    try:
        with enable_grad():
            _check(evaluate, checked, *settings)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _check(
    evaluate: Callable[[], Any],
    checked: list[_Checked],
    eps: float,
    rtol: float,
    atol: float,
    seed: int,
) -> None:
    before = [leaf.tensor._array.copy() for leaf in checked]
    tensors = _outputs(evaluate())
    _unchanged(before, checked)
    outputs = [tensor._array.copy() for tensor in tensors]
    again = [tensor._array for tensor in _outputs(evaluate())]
    for i in range(max(len(outputs), len(again))):
        if not _same(outputs[i : i + 1], again[i : i + 1]):
            names = ", ".join(leaf.name for leaf in checked)
            raise GradcheckError(
                f"random: fix the seed; output {i} differs between two evaluations of the same "
                f"inputs, so the gradient of {names} can't be checked"
            )
    for i, out in enumerate(outputs):
        if out.dtype != np.float64:
            raise GradcheckError(f"output {i} is {out.dtype}: float64 is needed from end to end")
        if not np.isfinite(out).all():
            raise GradcheckError(f"output {i} isn't finite: there is no derivative to check")
    _watched(tensors, checked)
    rng = np.random.default_rng(seed)
    # Away from zero, so that every element of an output counts.
    cotangents = [
        rng.uniform(0.5, 1.5, o.shape) * rng.choice([-1.0, 1.0], o.shape) for o in outputs
    ]
    gradients = _gradients(tensors, cotangents, checked)
    _unchanged(before, checked)
    if not _same(outputs, [tensor._array for tensor in tensors]):
        raise GradcheckError("backward changed the outputs")

    def difference(leaf: _Checked, index: tuple[int, ...], step: float) -> float:
        """<c, f(x + step) - f(x)>: outputs that don't change add no rounding error to the sum."""
        array, storage = leaf.tensor._array, leaf.tensor._storage
        value = array[index]
        array[index] = value + step
        storage.changed("gradcheck")
        try:
            triples = zip(cotangents, _outputs(evaluate()), outputs, strict=True)
            return float(sum(np.vdot(c, there._array - o) for c, there, o in triples))
        finally:  # after the sum: an output may be a view of the input
            array[index] = value
            storage.changed("gradcheck")

    wrong, refused = [], []
    for leaf, gradient in zip(checked, gradients, strict=True):
        for index in leaf.indices:
            size = eps * max(1.0, abs(leaf.tensor._array[index]))
            numeric, error = np.nan, np.inf
            for factor in (1, 8, 2**-5, 2**-10, 2**-15):  # less rounding, then nearer than a kink
                new = _derivative(partial(difference, leaf, index), size * factor)
                numeric, error = new if new[1] < error else (numeric, error)
                allowed = atol + rtol * abs(numeric)
                if error <= allowed:
                    if not abs(gradient[index] - numeric) <= allowed + error:
                        wrong.append((leaf.at(index), gradient[index], numeric, error))
                    break
            else:
                refused.append(f"{leaf.at(index)} (numeric {numeric:.6g}, error {error:.1g})")
    if wrong:
        raise GradcheckError(_table(wrong, sum(len(leaf.indices) for leaf in checked), tensors))
    if refused:
        more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
        raise GradcheckError(
            f"too close to a kink: {refused[0]}{more}; the numeric derivative is too uncertain to "
            "check the gradient there"
        )


def _derivative(difference: Callable[[float], float], h: float) -> tuple[float, float]:
    """The derivative of f at x and an estimate of its error, from d(s) = f(x + s) - f(x).

    For a smooth f, by Taylor's formula,

        C(h) = (d(h) - d(-h)) / 2h = f' + c1 h^2 + c2 h^4 + ...
        J(h) = (d(h) + d(-h)) / h  =      k1 h   + k2 h^3 + ...

    so (4 C(h/2) - C(h)) / 3 has no term in h^2, and the same step with 16 and 15 removes h^4
    (Richardson 1911). The change that the last step makes estimates the error (Ridders 1982).
    C sees no kink: for |x| at 0 it is 0 for every h. There J tends to the jump of the slope instead
    of to 0. So half of its limit, with h and h^3 removed in the same way, counts as error, too.
    """
    central, jump = [], []
    for step in (h, h / 2, h / 4):
        ahead, behind = difference(step), difference(-step)
        central.append((ahead - behind) / (2 * step))
        jump.append((ahead + behind) / step)
    coarse, fine = ((4 * central[i + 1] - central[i]) / 3 for i in (0, 1))
    value = (16 * fine - coarse) / 15
    coarse_jump, fine_jump = (2 * jump[i + 1] - jump[i] for i in (0, 1))
    kink = (8 * fine_jump - coarse_jump) / 7
    return value, abs(value - coarse) + abs(kink) / 2


def _gradients(
    tensors: list[Any], cotangents: list[np.ndarray], checked: list[_Checked]
) -> list[np.ndarray]:
    """The gradients of sum <cotangent, output> by the engine. Two passes must give the same."""
    seeds = [c.copy() for c in cotangents]
    roots = [(t._edge, c) for t, c in zip(tensors, seeds, strict=True) if t._edge is not None]
    places = [(leaf.tensor._edge[0], leaf.tensor._edge[1]) for leaf in checked]
    first = engine.run(roots, retain_graph=True, wanted=places)
    again = engine.run(roots, wanted=places)
    for leaf, place in zip(checked, places, strict=True):
        if place not in first:
            raise GradcheckError(f"no gradient reaches {leaf.name}: no output depends on it")
        if first[place].shape != leaf.tensor._array.shape:
            shapes = f"{list(first[place].shape)}, not {list(leaf.tensor._array.shape)}"
            raise GradcheckError(f"the gradient of {leaf.name} has shape {shapes}")
    if not _same(list(first.values()), [again[place] for place in first]):
        raise GradcheckError("a second backward through the same graph gives other gradients")
    if not _same(cotangents, seeds):
        raise GradcheckError("backward changed the gradient that it was given")
    return [first[place] for place in places]


def _watched(tensors: list[Any], checked: list[_Checked]) -> None:
    """Refuse an operation that keeps memory of an input or output without checking its version."""
    known = {f"output {i}": tensor for i, tensor in enumerate(tensors)}
    known |= {leaf.name: leaf.tensor for leaf in checked}
    for node in nodes_below([t._edge[0] for t in tensors if t._edge is not None]):
        saved = getattr(node, "saved", None) or {}
        kept = [id(array) for array in saved.values()]
        watched = [s for array, s in getattr(node, "watched", {}).items() if array in kept]
        for value in [*vars(node).values(), *saved.values()]:
            for array in value if isinstance(value, (tuple, list)) else (value,):
                for name, tensor in known.items():
                    if (
                        isinstance(array, np.ndarray)
                        and tensor._storage not in watched
                        and np.may_share_memory(array, tensor._array)
                    ):
                        raise GradcheckError(
                            f"{type(node).__name__} keeps memory of {name} without its version: a "
                            "change in place would go unnoticed; save() the array itself or a copy"
                        )


def _outputs(out: Any) -> list[Any]:
    """The floating point tensors among the outputs, inside tuples too."""
    if isinstance(out, (tuple, list)):
        return [tensor for part in out for tensor in _outputs(part)]
    return [out] if isinstance(out, TensorBase) and out._array.dtype.kind == "f" else []


def _same(these: list[np.ndarray], those: list[np.ndarray]) -> bool:
    pairs = zip(these, those, strict=False)
    equal = all(np.array_equal(x, y, equal_nan=True) for x, y in pairs)
    return equal and len(these) == len(those)


def _unchanged(before: list[np.ndarray], checked: list[_Checked]) -> None:
    for array, leaf in zip(before, checked, strict=True):
        if not _same([array], [leaf.tensor._array]):
            raise GradcheckError(f"{leaf.name} itself was changed, by forward or by backward")


def _table(wrong: list[tuple[Any, ...]], total: int, tensors: list[Any]) -> str:
    """The worst elements, a line each."""
    wrong.sort(key=lambda row: -np.nan_to_num(abs(row[1] - row[2]), nan=np.inf))
    width = max(len(row[0]) for row in wrong[:10])
    lines = [
        f"gradients are wrong at {len(wrong)} of {total} elements; the worst:",
        f"{'':{width}} {'analytic':>15} {'numeric':>15} {'difference':>11} {'error est.':>11}",
    ]
    for name, analytic, numeric, error in wrong[:10]:
        off = analytic - numeric
        lines.append(f"{name:{width}} {analytic:15.8g} {numeric:15.8g} {off:11.3g} {error:11.2g}")
    loose = [str(i) for i, tensor in enumerate(tensors) if tensor._edge is None]
    if loose:
        lines.append(f"(no gradient leads from output {', '.join(loose)}: a constant, or detached)")
    return "\n".join(lines)
