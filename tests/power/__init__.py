"""The power of the tests: `python -m tests.power` puts one fault after another into the package and
says which test notices it.

mutants.py makes the faults, equivalent.py lists those that change no result, __main__.py runs the
tests on each of the others. Look at mutants.py first.
"""
