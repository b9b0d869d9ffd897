"""Helpers around training: `tinyattn.utils.data` makes batches of a data set, `write_aside` writes
a file that is never seen half written. `checkpoint` is for programs written for PyTorch."""

from typing import TYPE_CHECKING

from tinyattn._serialization import write_aside
from tinyattn.compat.missing import UTILS, refuse
from tinyattn.utils import checkpoint, data

__all__ = ["checkpoint", "data", "write_aside"]

if not TYPE_CHECKING:
    __getattr__ = refuse(__name__, UTILS)
