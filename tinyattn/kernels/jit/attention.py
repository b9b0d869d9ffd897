"""Scaled dot-product attention."""

from tinyattn.kernels.reference.attention import attention, attention_backward

__all__ = ["attention", "attention_backward"]
