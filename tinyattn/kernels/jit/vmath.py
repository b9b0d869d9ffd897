"""exp, tanh and sigmoid without branches, so that LLVM turns a loop over them into vector
instructions.

    e^x = 2^n (1 + p),  n = round(x / ln 2),  r = x - n ln 2,  p = e^r - 1 = r + r^2 Q(r)

Adding 1.5 * 2^23 (2^52 in float64) to a number leaves its rounding in the low bits. The
coefficients are those of the C core (native/derive_coefficients.py).
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

F = np.float32
D = np.float64


@register_jitable(fastmath={"contract"}, error_model="numpy")
def _expm1_f32(x):
    shifted = x * F(1.442695) + F(12582912.0)
    whole = shifted - F(12582912.0)
    r = (x - whole * F(0.69314575)) - whole * F(1.4286068e-06)
    q = F(0.0013882522)
    q = q * r + F(0.008366514)
    q = q * r + F(0.0416672)
    q = q * r + F(0.16666543)
    q = q * r + F(0.49999997)
    return r + r * r * q, np.int32(F(shifted).view(np.int32) - np.int32(0x4B400000))


@register_jitable(fastmath={"contract"}, error_model="numpy")
def _expm1_f64(x):
    shifted = x * 1.4426950408889634 + 6755399441055744.0
    whole = shifted - 6755399441055744.0
    r = (x - whole * 0.6931471805601177) - whole * -1.7239444525614835e-13
    q = 2.087532219085865e-09
    q = q * r + 2.5108967434151286e-08
    q = q * r + 2.755740263358712e-07
    q = q * r + 2.755724440431622e-06
    q = q * r + 2.4801587172590286e-05
    q = q * r + 0.0001984126988593895
    q = q * r + 0.0013888888888962325
    q = q * r + 0.0083333333333217
    q = q * r + 0.04166666666666651
    q = q * r + 0.16666666666666677
    q = q * r + 0.5
    return r + r * r * q, D(shifted).view(np.int64) - np.int64(0x4338000000000000)


@register_jitable(fastmath={"contract"}, error_model="numpy")
def _exp_f32(x):
    x = F(89) if x > F(89) else x
    x = F(-104) if x < F(-104) else x
    p, n = _expm1_f32(x)
    half = np.int32(n >> np.int32(1))
    # 2^n is two factors, so that neither of them overflows or is subnormal.
    one = np.int32((half + np.int32(127)) << np.int32(23)).view(np.float32)
    two = np.int32((n - half + np.int32(127)) << np.int32(23)).view(np.float32)
    return (F(1) + p) * one * two


@register_jitable(fastmath={"contract"}, error_model="numpy")
def _exp_f64(x):
    x = 710.0 if x > 710.0 else x
    x = -746.0 if x < -746.0 else x
    p, n = _expm1_f64(x)
    half = n >> np.int64(1)
    one = np.int64((half + np.int64(1023)) << np.int64(52)).view(np.float64)
    two = np.int64((n - half + np.int64(1023)) << np.int64(52)).view(np.float64)
    return (1.0 + p) * one * two


@register_jitable(fastmath={"contract"}, error_model="numpy")
def _tanh_f32(x):
    a = abs(x)
    a = F(10) if a > F(10) else a
    p, n = _expm1_f32(F(-2) * a)
    s = np.int32((n + np.int32(127)) << np.int32(23)).view(np.float32)
    e = s * p
    y = ((F(1) - s) - e) / ((F(1) + s) + e)  # s is 1 and p exact near 0
    return -y if x < F(0) else y


@register_jitable(fastmath={"contract"}, error_model="numpy")
def _tanh_f64(x):
    a = abs(x)
    a = 20.0 if a > 20.0 else a
    p, n = _expm1_f64(-2.0 * a)
    s = np.int64((n + np.int64(1023)) << np.int64(52)).view(np.float64)
    e = s * p
    y = ((1.0 - s) - e) / ((1.0 + s) + e)
    return -y if x < 0.0 else y


def exp(x: Any) -> Any:
    """e^x in the type of x, inside a kernel."""
    raise NotImplementedError


def tanh(x: Any) -> Any:
    """tanh x in the type of x, inside a kernel."""
    raise NotImplementedError


def bits(x: Any) -> Any:
    """An integer that orders as x does, NaN above infinity: integers have a maximum that
    vectorises.
    """
    raise NotImplementedError


def unbits(i: Any) -> Any:
    """The float that `bits` came from."""
    raise NotImplementedError


@overload(exp, jit_options={"fastmath": {"contract"}, "error_model": "numpy"})
def _exp(x):
    if x == types.float32:
        return lambda x: _exp_f32(x)
    return lambda x: _exp_f64(x)


@overload(tanh, jit_options={"fastmath": {"contract"}, "error_model": "numpy"})
def _tanh(x):
    if x == types.float32:
        return lambda x: _tanh_f32(x)
    return lambda x: _tanh_f64(x)


@register_jitable
def _bits_f32(x):
    i = F(x).view(np.int32)
    return np.int32(i ^ ((i >> np.int32(31)) & np.int32(0x7FFFFFFF)))


@register_jitable
def _bits_f64(x):
    i = D(x).view(np.int64)
    return i ^ ((i >> np.int64(63)) & np.int64(0x7FFFFFFFFFFFFFFF))


@overload(bits)
def _bits(x):
    if x == types.float32:
        return lambda x: _bits_f32(x)
    return lambda x: _bits_f64(x)


@overload(unbits)
def _unbits(i):
    if i == types.int32:
        return lambda i: np.int32(i ^ ((i >> np.int32(31)) & np.int32(0x7FFFFFFF))).view(np.float32)
    return lambda i: np.int64(i ^ ((i >> np.int64(63)) & np.int64(0x7FFFFFFFFFFFFFFF))).view(
        np.float64
    )
