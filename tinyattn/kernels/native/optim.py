"""Calls the steps of Adam and SGD in C, native/optim.c: all parameters in one call, as arrays of
pointers."""

from tinyattn.kernels._types import AdamOptions, Array, SGDOptions
from tinyattn.kernels.native import check, ffi
from tinyattn.kernels.native.calling import BOOL, INT64, NULL, addresses, by_size, sizes

_VERSIONS = by_size("adam", "sgd")


def adam(
    params: list[Array],
    grads: list[Array],
    exp_avgs: list[Array],
    exp_avg_sqs: list[Array],
    steps: list[int],
    options: AdamOptions,
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
            *options,
        )
    )


def sgd(
    params: list[Array],
    grads: list[Array],
    buffers: list[Array] | None,
    first: list[bool],
    options: SGDOptions,
) -> None:
    """Flat arrays; buffers is None without momentum."""
    if not params:
        return
    real, _, kernel = _VERSIONS[params[0].itemsize]
    kept = buffers if options.momentum else None
    check(
        kernel(
            addresses(real, params),
            addresses(real, grads),
            NULL if kept is None else addresses(real, kept),
            sizes(params),
            NULL if kept is None else ffi.new(BOOL, first),
            len(params),
            *options,
        )
    )
