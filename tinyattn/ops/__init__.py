"""Floor 3: every operation, a family a file. Read normalising.py first: softmax on one screen."""
