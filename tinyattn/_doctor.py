"""`doctor(model, *batch)`: one pass forward and back, and a short table of what looks wrong.

Every operation is watched as it runs; what it can say of itself is autograd/diagnosis.py. The
limits stand first. Read `doctor`, then `_Watch`.
"""

import math
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tinyattn.autograd import enable_grad, engine
from tinyattn.autograd.function import Function
from tinyattn.autograd.hooks import Handle
from tinyattn.autograd.modes import source_line, watching
from tinyattn.autograd.storage import TensorBase
from tinyattn.kernels._types import Array
from tinyattn.nn.module import Module
from tinyattn.ops.products import as_rows
from tinyattn.ops.random import get_rng_state, set_rng_state

UNIFORM, SATURATED = 0.9999, 0.01  # mean entropy of the queries, divided by that of equal weights
OPEN, SHUT = 0.99, 0.01  # a gate is always open, or shut, if it is beyond this in every row
ROWS = 16  # in fewer rows, a unit may be 0 by chance, unless all units of its layer are
MASKED = -1e4  # a score below this means that the key is masked
STEPS, OVER_TIME = 3, 1e4  # over at least so many steps, a gradient may change by this factor
SMALL, LARGE = 1e-9, 1e2  # limits for the norm of a gradient, divided by that of its weight


class Finding(NamedTuple):
    what: str
    where: str
    figure: str


class Report:
    """findings: what looks wrong, and where. ratios: |gradient| / |weight| of each parameter.
    over_time: |dL/dh_t| for every step t of a recurrence."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.ratios: dict[str, float] = {}
        self.over_time: dict[str, list[float]] = {}

    def __str__(self) -> str:
        rows = [*self.findings] or [Finding("no findings", "", "")]
        rows += [
            Finding("gradient over time", where, f"{norms[0]:.1e} to {norms[-1]:.1e}")
            for where, norms in self.over_time.items()
        ]
        ranked = sorted(self.ratios.items(), key=lambda item: item[1])
        for name, ratio in ranked[:6] + ranked[6:][-6:]:
            rows.append(Finding("gradient / weight", name, f"{ratio:.1e}"))
        first, second, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
        lines = (f"{what:{first}}  {where:{second}}  {fig}" for what, where, fig in rows)
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__


def doctor(model: Module, *batch: Any, loss: Callable[[Any], Any] | None = None) -> Report:
    """Run the model once, forward and back, and report what looks wrong in it.

    batch: the arguments of the model, which may also be given as one tuple; or one function without
    arguments that runs the model and returns the loss.
    loss: a function from the model's output to the loss. Without it, an output of one element is
    the loss; the elements of any other output are added with random weights.

    The model, its gradients and the random numbers stay as they were. Printed, the report is a
    table of findings, and of the parameters whose gradients are smallest and largest.

    >>> ta.doctor(nn.Linear(2, 1), ta.ones(1, 2)).findings
    []
    """
    report, watch = Report(), _Watch(model)
    arguments = batch[0] if len(batch) == 1 and type(batch[0]) is tuple else batch
    run = batch[0] if len(batch) == 1 and callable(batch[0]) else partial(model, *arguments)
    buffers = [(tensor, tensor._array.copy()) for tensor in model.buffers()]
    random = get_rng_state()
    learnt = dict(model.named_parameters())
    places = {name: p._edge[:2] for name, p in learnt.items() if p._edge is not None}
    try:
        with enable_grad(), watching(watch):
            out = run()
            out = out if loss is None else loss(out)
        roots = list(_roots(out, report))
        found = engine.run(roots, wanted=list(places.values()))
    finally:
        watch.leave()
        set_rng_state(random)
        for tensor, array in buffers:
            if not np.array_equal(tensor._array, array, equal_nan=True):
                np.copyto(tensor._array, array)
                tensor._storage.changed("doctor")
    gradients = {name: found.get(place) for name, place in places.items()}
    with np.errstate(all="ignore"):
        _parameters(report, learnt, gradients)
        watch.units(report)
        watch.attention(report)
        watch.time(report)
    return report


def _roots(out: Any, report: Report) -> Iterator[tuple[Any, Array]]:
    """The tensors where the backward pass begins, each with its gradient."""
    if isinstance(out, TensorBase) and out._array.size == 1:
        if not np.isfinite(out._array).all():
            report.findings.append(Finding("not finite", "loss", f"{out._array.item()}"))
        if out._edge is not None:
            yield out._edge, np.ones(out._array.shape, out._array.dtype)
        return
    rng = np.random.default_rng(0)
    parts = (
        [out] if isinstance(out, TensorBase) else [*out.values()] if isinstance(out, dict) else out
    )
    for part in parts or ():
        if isinstance(part, (tuple, list)):
            yield from _roots(part, report)
        elif isinstance(part, TensorBase) and part._edge is not None:
            shape, dtype = part._array.shape, part._array.dtype
            yield part._edge, (rng.normal(size=shape) / part._array.size).astype(dtype)


def _parameters(report: Report, learnt: dict[str, Any], gradients: dict[str, Any]) -> None:
    for name, gradient in gradients.items():
        if gradient is None or not gradient.any():
            figure = "none reaches it" if gradient is None else "0 everywhere"
            report.findings.append(Finding("no gradient", name, figure))
            continue
        size = np.linalg.norm(learnt[name]._array)
        ratio = float(np.linalg.norm(gradient) / size) if size else math.nan
        if size:
            report.ratios[name] = ratio
        if ratio < SMALL or ratio > LARGE or not np.isfinite(gradient).all():
            report.findings.append(Finding("gradient / weight", name, f"{ratio:.1e}"))


class _Call(NamedTuple):
    node: Any
    inputs: tuple[Any, ...]
    grads: dict[int, Array]  # at its outputs, once backward has been there


class _Attention:
    """The attention of one place: relative entropies by head, the number of queries, and how many
    of them have no key."""

    def __init__(self) -> None:
        self.entropies: dict[int, list[Array]] = {}
        self.rows = self.hidden = 0
        self.attends = False  # the weights are used for values: it is no other kind of softmax

    def add(self, weights: Array, allowed: Array) -> None:
        keys = allowed.sum(-1)
        self.rows += keys.size
        self.hidden += int((keys == 0).sum())
        logs = np.log(weights, where=allowed & (weights > 0), out=np.zeros(weights.shape))
        entropy = -(weights * logs).sum(-1) / np.log(keys)
        chosen = keys > 1
        for head in range(weights.shape[1] if weights.ndim == 4 else 1):
            of = (slice(None), head) if weights.ndim == 4 else ...
            self.entropies.setdefault(head, []).append(entropy[of][chosen[of]])


class _Watch:
    """Sees every operation of a pass, and in which module it runs."""

    def __init__(self, model: Any) -> None:
        self.path = [type(model).__name__]
        self.names = {id(p._array): name for name, p in model.named_parameters()}
        self.alive: dict[tuple[str, int], tuple[int, Array]] = {}
        self.gates: dict[tuple[str, str], tuple[Array, Array]] = {}  # the lowest, the highest
        self.candidates: dict[tuple[str, str], tuple[Array, Array]] = {}
        self.attentions: dict[str, _Attention] = {}
        self.calls: dict[tuple[str, tuple[Any, ...]], list[_Call]] = {}
        self.unit_axes: dict[int, int] = {}  # by the id of an array, where it is not the last one
        self.weights: dict[int, _Attention] = {}  # by the id of an array that holds weights
        self.kept: list[tuple[Any, ...]] = []  # the arrays, so that no other array gets the same id
        self.handles = []
        for name, module in model.named_modules():
            enter = partial(self._enter, name or self.path[0])
            self.handles.append(module.register_forward_pre_hook(enter))
            self.handles.append(module.register_forward_hook(lambda *_: self._exit()))

    def _enter(self, name: str, *_: Any) -> None:
        self.path.append(name)

    def _exit(self) -> None:
        self.path.pop()

    def leave(self) -> None:
        for handle in self.handles:
            handle.remove()

    @np.errstate(all="ignore")
    def __call__(
        self, node: Any, inputs: tuple[Any, ...], options: dict[str, Any], outputs: tuple[Any, ...]
    ) -> None:
        name = type(node).__name__
        line = os.path.basename(source_line().split(": ")[0])
        where = f"{self.path[-1]} ({name}, {line})"
        if node.states:
            where = self.names.get(id(inputs[3]), where)
        self.kept.append((inputs, outputs))
        if any(node.edges):
            call = _Call(node, inputs, {})
            self.calls.setdefault((where, _stack()), []).append(call)
            for i, out in enumerate(outputs):
                if out.dtype.kind == "f":
                    Handle((node, i, out.shape, out.dtype), partial(_keep, call.grads, i))
        self.unit_axes[id(outputs[0])] = node.unit_axis
        if node.switches_off:
            self._activity(where, outputs[0], self.unit_axes.get(id(inputs[0]), -1))
        self._gates(where, node)
        self._attention(where, node, inputs, outputs[0])

    # Units and gates

    def _activity(self, where: str, out: Array, axis: int) -> None:
        rows = np.moveaxis(np.atleast_1d(out), axis, -1)
        rows = rows.reshape(-1, rows.shape[-1])
        count, alive = self.alive.get((where, rows.shape[1]), (0, np.zeros(rows.shape[1], bool)))
        self.alive[where, rows.shape[1]] = count + len(rows), alive | rows.any(0)

    def _gates(self, where: str, node: Function) -> None:
        candidates = {name: np.abs(values) for name, values in node.candidates().items()}
        for seen, now in ((self.gates, node.gates()), (self.candidates, candidates)):
            for name, values in now.items():
                low, high = seen.get((where, name), (values[0], values[0]))
                lowest, highest = values.min(0), values.max(0)
                seen[where, name] = np.minimum(low, lowest), np.maximum(high, highest)

    def units(self, report: Report) -> None:
        for (where, size), (rows, alive) in self.alive.items():
            dead = size - int(alive.sum())
            if dead and (rows >= ROWS or dead == size):
                figure = f"{dead} of {size} are 0 in all of {rows} rows"
                report.findings.append(Finding("dead units", where, figure))
        limits: list[tuple[str, str, str, Array]] = []
        for (where, gate), (low, high) in self.gates.items():
            limits.append(("gate always open", where, gate, low > OPEN))
            limits.append(("gate always shut", where, gate, high < SHUT))
        for (where, gate), (low, _) in self.candidates.items():
            limits.append(("candidate saturated", where, gate, low > OPEN))
        for what, where, gate, units in limits:
            if units.any():
                figure = f"{gate}: {int(units.sum())} of {units.size} units"
                report.findings.append(Finding(what, where, figure))

    # Attention

    def _attention(
        self, where: str, node: Function, inputs: tuple[Any, ...], output: Array
    ) -> None:
        if node.keeps_weights and id(inputs[0]) in self.weights:
            self.weights[id(output)] = self.weights[id(inputs[0])]
        for x in inputs:
            if id(x) in self.weights and node.weighs(x):
                self.weights[id(x)].attends = True
        found = node.attention_weights(inputs, output)
        if found is not None:
            weights, scores = found
            allowed = scores > MASKED
            place = self.attentions.setdefault(where, _Attention())
            place.attends |= node.attends
            place.add(weights, allowed)
            if not node.attends:
                self.weights[id(output)] = place

    def attention(self, report: Report) -> None:
        for where, place in self.attentions.items():
            if not place.attends:
                continue
            if place.hidden:
                figure = f"{place.hidden} of {place.rows} queries have no key"
                report.findings.append(Finding("mask hides all", where, figure))
            for head, parts in place.entropies.items():
                entropies = np.concatenate([part.ravel() for part in parts])
                if not entropies.size:
                    continue  # no query has a choice
                mean = entropies.mean()
                if not SATURATED <= mean <= UNIFORM:
                    what = f"attention {'uniform' if mean > UNIFORM else 'saturated'}"
                    of = f", head {head}" if len(place.entropies) > 1 else ""
                    figure = f"entropy {mean:.4f} of the most"
                    report.findings.append(Finding(what, where + of, figure))

    # Time

    def time(self, report: Report) -> None:
        loops: dict[int, tuple[str, list[float]]] = {}  # by length, the worst operation
        for (where, _), calls in self.calls.items():
            layers = [call for call in calls if call.node.states]
            norms = next((_over_steps(c) for c in layers if len(c.node.sizes) >= STEPS), None)
            if norms is None:
                if len(calls) < STEPS or not _is_chain([call.node for call in calls]):
                    continue
                norms = [_norm(*call.grads.values()) for call in calls]
            while norms and not norms[-1]:
                norms.pop()  # steps that the loss does not depend on
            if len(norms) < STEPS:
                continue
            if layers:
                report.over_time[where] = norms
            elif _change(norms) >= _change(loops.get(len(calls), ("", [1, 1]))[1]):
                loops[len(calls)] = where, norms
        cells = {len(calls) for calls in self.calls.values() if calls[0].node.states}
        report.over_time.update(loop for steps, loop in loops.items() if steps not in cells)
        for where, norms in report.over_time.items():
            if _change(norms) > math.log(OVER_TIME):
                what = "vanishes" if norms[0] < norms[-1] else "explodes"
                figure = f"{norms[-1]:.1e} to {norms[0]:.1e} back over {len(norms)} steps"
                report.findings.append(Finding(f"gradient {what} over time", where, figure))


def _stack() -> tuple[Any, ...]:
    """Where the program is: a value that is the same in every iteration of a loop."""
    frame: Any = sys._getframe(1)
    places = []
    while frame is not None:
        places.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(places)


def _keep(grads: dict[int, Array], index: int, gradient: Any) -> None:
    grads[index] = gradient._array


def _norm(*grads: Array) -> float:
    """The norm of the sum of the gradients where all have one size, for they reach one state as
    several outputs; else the norm of all of them together."""
    if len({grad.size for grad in grads}) == 1:
        grads = (np.sum([grad.ravel() for grad in grads], 0),)
    return math.sqrt(sum(float(np.vdot(grad, grad)) for grad in grads))


def _change(norms: list[float]) -> float:
    return abs(math.log(max(norms[0], 1e-300) / norms[-1]))


def _is_chain(nodes: list[Any]) -> bool:
    """Whether each call in a loop uses the result of the call before it: two places are checked."""
    return all(_leads(nodes[i], nodes[i + 1]) for i in (0, len(nodes) - 2))


def _leads(first: Any, last: Any) -> bool:
    stack, seen = [last], {last}
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and edge[0] not in seen and edge[0].number >= first.number:
                if edge[0] is first:
                    return True
                seen.add(edge[0])
                stack.append(edge[0])
    return False


def _over_steps(call: _Call) -> list[float]:
    """|dL/dh_t| for every step t: the layer is run again, one step at a time."""
    layer = type(call.node)
    x, h0, *weights = call.inputs[:6]
    cells = [as_rows(call.inputs[6])] if layer.states == 2 else []
    sizes, reverse, *more = call.inputs[6 + len(cells) :]
    states = [state.copy() for state in (as_rows(h0), *cells)]
    x, ends = as_rows(x), np.cumsum(sizes)
    order = [(slice(e - n, e), int(n)) for e, n in zip(ends, sizes, strict=True)]
    steps = []
    for rows, n in order[::-1] if reverse else order:
        step = layer()
        h, *c = (state[:n].copy() for state in states)
        out = step.forward(x[rows], h, *weights, *c, np.array([n]), False, *more)
        for state, new in zip(states, out[1:], strict=True):
            state[:n] = new
        steps.append((step, rows, n))
    grads = [call.grads.get(i + 1) for i in range(len(states))]
    back = [
        np.zeros_like(state) if grad is None else as_rows(grad).copy()
        for state, grad in zip(states, grads, strict=True)
    ]
    norms = []
    for step, rows, n in reversed(steps):
        if 0 in call.grads:
            back[0][:n] += as_rows(call.grads[0])[rows]
        norms.append(_norm(back[0][:n]))
        out = step.backward(None, *(grad[:n] for grad in back))
        for grad, new in zip(back, (out[1], *out[6:]), strict=True):
            grad[:n] = new
    return norms[::-1]
