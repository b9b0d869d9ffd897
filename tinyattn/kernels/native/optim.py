"""The steps of Adam and SGD, all parameters in one call, native/optim.c."""

from typing import Any

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check, ffi, lib

_F32 = ffi.typeof("float[]")
_F64 = ffi.typeof("double[]")
_F32_POINTERS = ffi.typeof("float *[]")
_F64_POINTERS = ffi.typeof("double *[]")
_INT64 = ffi.typeof("int64_t[]")
_FLAGS = ffi.typeof("uint8_t[]")
_new = ffi.new
_NULL = ffi.NULL


def _types(arrays: list[Array]) -> tuple[Any, Any]:
    return (_F32, _F32_POINTERS) if arrays[0].itemsize == 4 else (_F64, _F64_POINTERS)


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
    real, pointers = _types(params)
    kernel = lib.ta_adam_f32 if real is _F32 else lib.ta_adam_f64
    kinds = (params, grads, exp_avgs, exp_avg_sqs)
    buffers = [[ffi.from_buffer(real, x) for x in kind] for kind in kinds]
    check(
        kernel(
            *(_new(pointers, kind) for kind in buffers),
            _new(_INT64, [p.size for p in params]),
            _new(_INT64, steps),
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
    real, pointers = _types(params)
    kernel = lib.ta_sgd_f32 if real is _F32 else lib.ta_sgd_f64
    with_momentum = bool(momentum) and buffers is not None
    kinds = (params, grads, buffers if with_momentum else ())
    at = [[ffi.from_buffer(real, x) for x in kind or ()] for kind in kinds]
    check(
        kernel(
            _new(pointers, at[0]),
            _new(pointers, at[1]),
            _new(pointers, at[2]) if with_momentum else _NULL,
            _new(_INT64, [p.size for p in params]),
            _new(_FLAGS, first) if with_momentum else _NULL,
            len(params),
            lr,
            momentum,
            dampening,
            weight_decay,
            nesterov,
            maximize,
        )
    )
