"""The site of the project: `python -m docs` builds it. Look at __main__.py first."""
