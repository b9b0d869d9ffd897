"""The power of the tests: `python -m tests.power` puts one fault after another into the package and
says which test notices it.

mutants.py collects the faults that gradients.py, c_kernels.py and forwards.py make; equivalent.py
lists those that change no result. warm.py runs the tests that choosing.py chooses, with the fault
that patching.py or rebuilt.py has put in. Look at forwards.py and warm.py first.
"""
