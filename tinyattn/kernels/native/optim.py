"""The steps of Adam and SGD, all parameters in one call, native/optim.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check, ffi
from tinyattn.kernels.native.calling import BOOL, INT64, NULL, addresses, by_size, sizes

_VERSIONS = by_size("adam", "sgd")


def adam(
    params: list[Array],
    grads: list[Array],
    exp_avgs: list[Array],
    exp_avg_sqs: list[Array],
    steps: list[int],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> None:
    """Flat arrays, one of each kind and one step for each parameter."""
    if not params:
        return
    real, kernel, _ = _VERSIONS[params[0].itemsize]
    check(
        kernel(
            *(addresses(real, kind) for kind in (params, grads, exp_avgs, exp_avg_sqs)),
            sizes(params),
            ffi.new(INT64, steps),
            len(params),
            lr,
            beta1,
            beta2,
            eps,
            weight_decay,
            decoupled,
            maximize,
        )
    )


def sgd(
    params: list[Array],
    grads: list[Array],
    buffers: list[Array] | None,
    lr: float,
    momentum: float,
    dampening: float,
    nesterov: bool,
    weight_decay: float,
    first: list[bool],
    maximize: bool,
) -> None:
    """Flat arrays; buffers is None without momentum."""
    if not params:
        return
    real, _, kernel = _VERSIONS[params[0].itemsize]
    kept = buffers if momentum else None
    check(
        kernel(
            addresses(real, params),
            addresses(real, grads),
            NULL if kept is None else addresses(real, kept),
            sizes(params),
            NULL if kept is None else ffi.new(BOOL, first),
            len(params),
            lr,
            momentum,
            dampening,
            weight_decay,
            nesterov,
            maximize,
        )
    )
