"""Measurements anyone can repeat: compare.py (speed), memory.py, translator_torch.py.

cases.py is the table of what compare.py measures; read it first.
"""
