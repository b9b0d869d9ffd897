"""Measurements that anyone can repeat: compare/ (speed and memory beside PyTorch), speed.py (the
page of its figures), accuracy.py, scores.py (quality of each score of attention),
translator_torch.py, memory_over_time.py, ranks.py (several processes), uses.py (the programs of
docs/uses.md). Read first the rows of `python -m benchmarks.compare`, in compare/rows/, and the
models that it trains, in models/.
"""
