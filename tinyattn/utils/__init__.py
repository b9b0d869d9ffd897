"""Helpers around training: `tinyattn.utils.data` makes batches of a data set, `write_aside` writes
a file that is never seen half written."""

from tinyattn._serialization import write_aside
from tinyattn.utils import data

__all__ = ["data", "write_aside"]
