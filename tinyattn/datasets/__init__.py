"""Floor 6: data sets that come with the package, one folder each.

Each folder's module docstring says what the data set is, how many sentences it has, what can be
decided in it, where it comes from, and its licence. Look first at everyday/__init__.py.
"""

from tinyattn.datasets import everyday

__all__ = ["everyday"]
