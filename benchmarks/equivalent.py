"""Faults that change no result, by name, each with the reason. Look at mutants.py for the names."""

EQUIVALENT: dict[str, str] = {}
