"""What to install where a package is missing that the rest of tinyattn does without."""


def missing(error: ModuleNotFoundError, extra: str) -> ModuleNotFoundError:
    """The error of an import, to be raised in its place: it names the extra of tinyattn that
    installs the package."""
    return ModuleNotFoundError(
        f"{error.name} is not installed: pip install 'tinyattn[{extra}]'", name=error.name
    )
