"""Measurements that anyone can repeat: compare.py (speed), memory.py, scores.py (quality of
each score of attention), translator_torch.py.

cases.py is the table of what compare.py measures; read it first.
"""
