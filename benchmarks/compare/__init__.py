"""Speed and memory beside PyTorch, NumPy and Numba: `python -m benchmarks.compare`.

case.py says what a row is; rows/ has all of them, in a file by subject; workers.py holds the
processes that measure; report.py makes tables, sums up, and keeps figures in a file.
"""
