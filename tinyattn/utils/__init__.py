"""Helpers around training: `tinyattn.utils.data` makes batches of a data set."""

from tinyattn.utils import data

__all__ = ["data"]
