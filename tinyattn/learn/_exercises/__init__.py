"""One file for each exercise: what is asked, the solution, wrong answers, properties, hints.

e04_softmax_backward.py is the one to read first. The docstring of a wrong answer is what the
student is told; the docstring of a property is the sentence that holds.
"""
