"""L-BFGS (Liu and Nocedal 1989): an estimate of the Hessian from the last steps. A step calls the
closure several times. Look at `_direction` first, the estimate.
"""

from collections.abc import Callable

import numpy as np

from tinyattn.autograd.modes import enable_grad
from tinyattn.autograd.storage import results
from tinyattn.kernels._types import Array
from tinyattn.kernels.recording import repeated
from tinyattn.optim.optimizer import Loss, Optimizer, Params, number


class LBFGS(Optimizer):
    """L-BFGS. With x all parameters as one vector and g their gradient, an iteration is

        x = x + t d,   d = -H g

    where H estimates the inverse of the Hessian from the changes s of x and y of g in the last
    history_size iterations; those with s . y <= 1e-10 are left out. t is lr, but in the very first
    iteration, where H = 1, it is lr min(1, 1 / |g|_1).

    `step(closure)` makes up to max_iter iterations and calls the closure, which computes the loss
    and the gradients, up to max_eval times (5/4 of max_iter unless given). It ends when no element
    of g is above tolerance_grad, or when the loss, every element of x, or g . d changes by less
    than tolerance_change. It gives the first loss.

    line_search_fn: None only, so that the length of a step is lr. There is one group of parameters;
    ValueError for more.

    >>> x = nn.Parameter(ta.tensor([3.0]))
    >>> optimizer = ta.optim.LBFGS([x])
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (x * x).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure).item(), x.item()
    (9.0, 0.0)
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if line_search_fn is not None:
            raise NotImplementedError(
                f"line_search_fn: expected None, got {line_search_fn!r}: a step has the length lr"
            )
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
        }
        for name, value in defaults.items():
            expected = number(0)(value)
            if expected:
                raise ValueError(f"{name}: expected {expected}, got {value!r}")
        super().__init__(params, {**defaults, "line_search_fn": None})
        if len(self.param_groups) != 1:
            raise ValueError("params: LBFGS doesn't support groups of parameters")

    @repeated
    def step(self, closure: Callable[[], Loss]) -> Loss:  # type: ignore[override]
        """Make up to max_iter iterations. closure: sets the gradients and gives the loss."""
        group = self.param_groups[0]
        params, lr = group["params"], float(group["lr"])
        small, no_change = group["tolerance_grad"], group["tolerance_change"]
        state = self.state[params[0]]
        if not state:
            state.update(func_evals=0, n_iter=0, old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
        evaluations = 0

        def evaluated() -> tuple[Loss, Array]:
            nonlocal evaluations
            with enable_grad():
                loss = closure()
            evaluations += 1
            state["func_evals"] += 1
            of_each = [np.zeros_like(p._array) if p.grad is None else p.grad._array for p in params]
            return loss, np.concatenate([g.reshape(-1) for g in of_each])

        first, g = evaluated()
        loss = float(first)  # type: ignore[arg-type]
        for i in range(1, group["max_iter"] + 1):
            if abs(g).max(initial=0.0) <= small:
                break
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                d, t = -g, lr * min(1.0, 1.0 / float(abs(g).sum()))
            else:
                self._remember(g - state["prev_flat_grad"]._array, group["history_size"])
                d, t = self._direction(g), lr
            before = loss
            kept = {"d": results.wrap(d), "t": t, "prev_flat_grad": results.wrap(g.copy())}
            state.update(kept, prev_loss=loss)
            if _dot(g, d) > -no_change:
                break
            parts = np.split(t * d, np.cumsum([p.numel() for p in params])[:-1])
            for param, change in zip(params, parts, strict=True):
                param._array[...] += change.reshape(param.shape)
                param._storage.changed("LBFGS.step")
            if i == group["max_iter"]:
                break
            value, g = evaluated()
            loss = float(value)  # type: ignore[arg-type]
            still = abs(t * d).max() <= no_change or abs(loss - before) < no_change
            if evaluations >= group["max_eval"] or still:
                break
        return first

    def _remember(self, y: Array, history_size: int) -> None:
        """Add the last change s of the parameters and y of the gradient to the history."""
        state = self.state[self.param_groups[0]["params"][0]]
        s = float(state["t"]) * state["d"]._array
        if _dot(y, s) <= 1e-10:
            return
        state["H_diag"] = _dot(y, s) / _dot(y, y)
        new = {"old_dirs": results.wrap(y), "old_stps": results.wrap(s), "ro": 1.0 / _dot(y, s)}
        for name, value in new.items():
            state[name] = [*state[name], value][-history_size:] if history_size else []

    def _direction(self, g: Array) -> Array:
        """-H g, where for each pair of the history, oldest first, with r = 1 / (s . y)

            H = (1 - r s y^T) H (1 - r y s^T) + r s s^T

        and H starts as s . y / y . y of the last pair: two loops over the pairs, no matrix."""
        state = self.state[self.param_groups[0]["params"][0]]
        names = ("old_dirs", "old_stps", "ro")
        pairs = [
            (y._array, s._array, float(r))
            for y, s, r in zip(*(state[name] for name in names), strict=True)
        ]
        q, parts = -g, []
        for y, s, r in reversed(pairs):
            parts.append(r * _dot(s, q))
            q = q - parts[-1] * y
        d = float(state["H_diag"]) * q
        for (y, s, r), part in zip(pairs, reversed(parts), strict=True):
            d = d + (part - r * _dot(y, d)) * s
        return d


def _dot(x: Array, y: Array) -> float:
    return float((x * y).sum())
