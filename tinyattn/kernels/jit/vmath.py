"""exp, log, tanh, erf, powers without branches, so that LLVM turns a loop over them into vector
instructions. In float64 those of them that no inner loop of a model needs are C's own functions.

    e^x = 2^n (1 + p),  n = round(x / ln 2),  r = x - n ln 2,  p = e^r - 1 = r + r^2 Q(r)

Adding 1.5 * 2^23 (2^52 in float64) to a number leaves its rounding in the low bits. The
coefficients are those of the C core (native/derive_coefficients.py); native/vlog.h and verf.h have
the formulas of log and erf.
"""

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

F = np.float32
D = np.float64
# LLVM must inline all of it, however long: a loop with a call in it does not become vectors.
FAST: Any = {"fastmath": {"contract"}, "error_model": "numpy", "forceinline": True}


@register_jitable(**FAST)
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


@register_jitable(**FAST)
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


@register_jitable(**FAST)
def _exp_f32(x):
    x = F(89) if x > F(89) else x
    x = F(-104) if x < F(-104) else x
    p, n = _expm1_f32(x)
    half = np.int32(n >> np.int32(1))
    # 2^n is two factors, so that neither of them overflows or is subnormal.
    one = np.int32((half + np.int32(127)) << np.int32(23)).view(np.float32)
    two = np.int32((n - half + np.int32(127)) << np.int32(23)).view(np.float32)
    return (F(1) + p) * one * two


@register_jitable(**FAST)
def _exp_f64(x):
    x = 710.0 if x > 710.0 else x
    x = -746.0 if x < -746.0 else x
    p, n = _expm1_f64(x)
    half = n >> np.int64(1)
    one = np.int64((half + np.int64(1023)) << np.int64(52)).view(np.float64)
    two = np.int64((n - half + np.int64(1023)) << np.int64(52)).view(np.float64)
    return (1.0 + p) * one * two


@register_jitable(**FAST)
def _tanh_f32(x):
    a = abs(x)
    a = F(10) if a > F(10) else a
    p, n = _expm1_f32(F(-2) * a)
    s = np.int32((n + np.int32(127)) << np.int32(23)).view(np.float32)
    e = s * p
    y = ((F(1) - s) - e) / ((F(1) + s) + e)  # s is 1 and p exact near 0
    return -y if x < F(0) else y


@register_jitable(**FAST)
def _tanh_f64(x):
    a = abs(x)
    a = 20.0 if a > 20.0 else a
    p, n = _expm1_f64(-2.0 * a)
    s = np.int64((n + np.int64(1023)) << np.int64(52)).view(np.float64)
    e = s * p
    y = ((1.0 - s) - e) / ((1.0 + s) + e)
    return -y if x < 0.0 else y


@register_jitable(**FAST)
def _expm1_whole_f32(x):
    """e^x - 1 = 2^n (p + (1 - 2^-n)), with what rounding loses of the sum; -1 below -17."""
    y = F(89) if x > F(89) else x
    y = F(-17) if y < F(-17) else y
    p, n = _expm1_f32(y)
    inverse = np.int32(127) - n
    inverse = np.int32(0) if inverse < np.int32(0) else inverse
    more = F(1) - np.int32(inverse << np.int32(23)).view(np.float32)
    total = more + p
    half = np.int32(n >> np.int32(1))
    one = np.int32((half + np.int32(127)) << np.int32(23)).view(np.float32)
    two = np.int32((n - half + np.int32(127)) << np.int32(23)).view(np.float32)
    e = (total + ((more - total) + p)) * one * two
    return x if x == F(0) else e  # -0


@register_jitable(**FAST)
def _log_normal_f32(x, lost):
    """log x + lost for a positive normal x = 2^k (1 + f)."""
    root = np.int32(0x3F3504F3)  # the bits of sqrt(1 / 2)
    i = np.int32(F(x).view(np.int32) + (np.int32(0x3F800000) - root))
    k = F(np.int32(i >> np.int32(23)) - np.int32(127))
    f = np.int32((i & np.int32(0x7FFFFF)) + root).view(np.float32) - F(1)
    half_square = F(0.5) * f * f
    s = f / (F(2) + f)
    z = s * s
    r = z * (F(0.66666776) + z * (F(0.39977542) + z * F(0.2987173)))
    rest = s * (half_square + r) + (k * F(1.4286068e-06) + lost)
    return k * F(0.69314575) - ((half_square - rest) - f)


@register_jitable(**FAST)
def _log_normal_f64(x):
    root = np.int64(0x3FE6A09E667F3BCD)
    i = D(x).view(np.int64) + (np.int64(0x3FF0000000000000) - root)
    # Added to the bits of 1.5 * 2^52, a whole number is the low part of a float near it.
    k = np.int64((i >> np.int64(52)) + np.int64(0x4337FFFFFFFFFC01)).view(np.float64)
    k -= 6755399441055744.0
    f = np.int64((i & np.int64(0xFFFFFFFFFFFFF)) + root).view(np.float64) - 1.0
    half_square = 0.5 * f * f
    s = f / (2.0 + f)
    z = s * s
    r = 0.14795949576332657
    r = r * z + 0.15314050556688552
    r = r * z + 0.18183564326344676
    r = r * z + 0.2222219857316955
    r = r * z + 0.2857142874238792
    r = r * z + 0.39999999999414676
    r = r * z + 0.6666666666666734
    rest = s * (half_square + z * r) + k * -1.7239444525614835e-13
    return k * 0.6931471805601177 - ((half_square - rest) - f)


@register_jitable(**FAST)
def _log_of_special(x, y):
    """y = log of a number x >= 0; else NaN, and -inf at 0, and x itself for inf and NaN."""
    y = y if x < np.inf else x
    below = -np.inf if x == 0 else np.nan
    return y if x > 0 or x != x else type(x)(below)


@register_jitable(**FAST)
def _log_f32(x):
    tiny = x < F(1.1754944e-38)
    normal = x * F(8388608.0) if tiny else x
    shift = F(15.942385) if tiny else F(0)
    return _log_of_special(x, _log_normal_f32(normal, F(0)) - shift)


@register_jitable(**FAST)
def _log_f64(x):
    tiny = x < 2.2250738585072014e-308
    normal = x * 4503599627370496.0 if tiny else x
    shift = 36.04365338911715 if tiny else 0.0
    return _log_of_special(x, _log_normal_f64(normal) - shift)


@register_jitable(**FAST)
def _log1p_f32(x):
    """With u = 1 + x as rounded and d = 1 + x - u: log(1 + x) = log u + d / u."""
    u = F(1) + x
    lost = x - (u - F(1)) if x < F(1) else F(1) - (u - x)
    y = _log_of_special(u, _log_normal_f32(u, lost / u))
    return x if x == F(0) else y  # -0


@register_jitable(**FAST)
def _erf_f32(x):
    """|x| < 1: x + x P(x^2), else 1 - e^Q(|x| - 1)."""
    a = abs(x)
    z = a * a
    p = F(7.8891186e-05)
    p = p * z + F(-0.0008020841)
    p = p * z + F(0.005189535)
    p = p * z + F(-0.026854444)
    p = p * z + F(0.112836)
    p = p * z + F(-0.37612626)
    p = p * z + F(0.12837917)
    t = (F(4) if a > F(4) else a) - F(1)
    q = F(0.00018557392)
    q = q * t + F(-0.0018261629)
    q = q * t + F(0.009890892)
    q = q * t + F(-0.041500688)
    q = q * t + F(-0.8431183)
    q = q * t + F(-2.6389668)
    q = q * t + F(-1.8496056)
    y = F(1) - _exp_f32(q)
    y = a + a * p if a < F(1) else y
    return np.copysign(y, x)


@register_jitable(**FAST)
def _power_f32(x, y):
    """x^y = e^(y log x) in float64, with the special values of C's pow."""
    base, exponent = D(x), D(y)
    size = abs(base)
    logarithm = _log_f64(size)
    scaled = 0.0 if logarithm == 0.0 else exponent * logarithm
    z = 1.0 if exponent == 0.0 else _exp_f64(scaled)
    whole = np.floor(exponent) == exponent
    odd = whole and np.floor(0.5 * exponent) != 0.5 * exponent
    z = -z if odd and base.view(np.int64) < 0 else z
    return F(np.nan if base < 0.0 and size < np.inf and not whole else z)


def exp(x: Any) -> Any:
    """e^x in the type of x, inside a kernel."""
    raise NotImplementedError


def tanh(x: Any) -> Any:
    """tanh x in the type of x, inside a kernel."""
    raise NotImplementedError


def expm1(x: Any) -> Any:
    """e^x - 1 in the type of x, inside a kernel."""
    raise NotImplementedError


def log(x: Any) -> Any:
    """log x in the type of x, inside a kernel."""
    raise NotImplementedError


def log1p(x: Any) -> Any:
    """log(1 + x) in the type of x, inside a kernel."""
    raise NotImplementedError


def erf(x: Any) -> Any:
    """erf x in the type of x, inside a kernel."""
    raise NotImplementedError


def normal(x: Any) -> Any:
    """The normal distribution function, inside a kernel. In float64 the tail keeps its digits; in
    float32 the result is right to the last bit of 1."""
    raise NotImplementedError


def power(x: Any, y: Any) -> Any:
    """x^y in the type of x, inside a kernel."""
    raise NotImplementedError


def bits(x: Any) -> Any:
    """An integer that orders as x does, NaN above infinity: integers have a maximum that
    vectorises.
    """
    raise NotImplementedError


def unbits(i: Any) -> Any:
    """The float that `bits` came from."""
    raise NotImplementedError


@overload(exp, jit_options=FAST)
def _exp(x):
    if x == types.float32:
        return lambda x: _exp_f32(x)
    return lambda x: _exp_f64(x)


@overload(tanh, jit_options=FAST)
def _tanh(x):
    if x == types.float32:
        return lambda x: _tanh_f32(x)
    return lambda x: _tanh_f64(x)


@overload(expm1, jit_options=FAST)
def _expm1(x):
    if x == types.float32:
        return lambda x: _expm1_whole_f32(x)
    return lambda x: math.expm1(x)


@overload(log, jit_options=FAST)
def _log(x):
    if x == types.float32:
        return lambda x: _log_f32(x)
    return lambda x: _log_f64(x)


@overload(log1p, jit_options=FAST)
def _log1p(x):
    if x == types.float32:
        return lambda x: _log1p_f32(x)
    return lambda x: math.log1p(x)


@overload(erf, jit_options=FAST)
def _erf(x):
    if x == types.float32:
        return lambda x: _erf_f32(x)
    return lambda x: math.erf(x)


@overload(normal, jit_options=FAST)
def _normal(x):
    if x == types.float32:
        return lambda x: F(0.5) + F(0.5) * _erf_f32(F(0.70710678) * x)
    return lambda x: 0.5 * math.erfc(-0.7071067811865476 * x)


@overload(power, jit_options=FAST)
def _power(x, y):
    if x == types.float32:
        return lambda x, y: _power_f32(x, F(y))
    return lambda x, y: x**y


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
