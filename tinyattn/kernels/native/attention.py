"""Calls scaled dot-product attention in C, native/attention.c. The arrays may have any strides, so
each goes as a pointer with its strides. Look first at `_arguments`, which fills the structure."""

from typing import Any

from tinyattn.kernels._types import Array, AttentionOptions
from tinyattn.kernels.native import check, ffi
from tinyattn.kernels.native.calling import INT64, NULL, address, by_size
from tinyattn.kernels.reference.attention import (
    attention_mask_gradient as attention_mask_gradient,
)

_VERSIONS = by_size("attention", "attention_backward")


def _heads(x: Array) -> tuple[Any, ...]:
    """The fields of struct ta_heads. (from_buffer takes contiguous arrays only, so it gets a single
    element of others.)
    """
    batch, head, row, _ = x.strides
    return address(x if x.flags.c_contiguous else x[:1, :1, :1, :1]), batch, head, row


def _arguments(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    options: AttentionOptions,
    out: Array,
    lse: Array,
    *others: Array,
) -> Any:
    """A struct ta_attention. It does not keep the arrays alive."""
    B, h, Tq, D = q.shape
    _, h_kv, Tk, Dv = v.shape
    added = False, NULL, (0, 0, 0, 0)
    if mask is not None:
        added = mask.itemsize == 1, address(mask[:1, :1, :1, :1]), mask.strides  # type: ignore
    causal, scale, dropout_p, key, numbers = options
    heads_at = NULL if numbers is None else address(INT64, numbers)
    sizes = B, h, h_kv, Tq, Tk, D, Dv, scale, dropout_p, key, heads_at, causal
    heads = [_heads(x) for x in (q, k, v, out, *others)]
    return ffi.new("struct ta_attention *", (*sizes, *added, address(lse), *heads))


def attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    options: AttentionOptions,
    out: Array,
    lse: Array,
) -> None:
    """q (B, h, Tq, D), k (B, h_kv, Tk, D), v (B, h_kv, Tk, Dv), mask (B, h, Tq, Tk) bool (True =
    attend) or float (added) -> out (B, h, Tq, Dv), lse (B, h, Tq).
    """
    arguments = _arguments(q, k, v, mask, options, out, lse)
    _, kernel, _ = _VERSIONS[q.itemsize]
    check(kernel(arguments))


def attention_backward(
    grad: Array,
    q: Array,
    k: Array,
    v: Array,
    out: Array,
    lse: Array,
    mask: Array | None,
    options: AttentionOptions,
    dq: Array,
    dk: Array,
    dv: Array,
) -> None:
    """grad (B, h, Tq, Dv) and the forward's own arrays -> dq, dk, dv like q, k, v."""
    arguments = _arguments(q, k, v, mask, options, out, lse, grad, dq, dk, dv)
    _, _, kernel = _VERSIONS[q.itemsize]
    check(kernel(arguments))
