"""What exists for programs written for PyTorch, old ones above all; new code needs none of it.

legacy.py: constructors such as LongTensor, Variable, other names that PyTorch calls deprecated.
deprecated.py: old orders and names of arguments. missing.py: what to use in place of a name that
tinyattn doesn't have.
"""
