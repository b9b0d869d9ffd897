"""Settings of other libraries' backends, which programs set: they change nothing in tinyattn.

tinyattn's own backends are chosen by `tinyattn.use_backend`.
"""

from tinyattn.backends import cuda, cudnn, mps

__all__ = ["cuda", "cudnn", "mps"]
