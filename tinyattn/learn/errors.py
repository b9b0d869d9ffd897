"""Errors in the student's own code: her file, her line, what Python says."""

import traceback

MOST = 6  # calls that are shown


def told(error: BaseException, file: str) -> str | None:
    """The lines of `file` that the error went through; None if it did not start in that file."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return "".join(traceback.format_exception_only(error)).rstrip()
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    if not frames:
        return None
    lines = [
        f"{frame.filename}, line {frame.lineno}, in {frame.name}\n    {frame.line}"
        for frame in frames
    ]
    if len(lines) > MOST:  # as of a function that calls itself without end
        left_out = len(lines) - MOST
        lines[MOST - 2 : -2] = [f"... {left_out} more ..."]
    return "\n".join([*lines, last_line(error)])


def last_line(error: BaseException) -> str:
    """ "ValueError: ...", also where the message of the error can't be made."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return f"{type(error).__name__}, whose message can't be shown"
