"""What the commands of this package print."""

import io
import sys


def in_utf8() -> None:
    """Let standard output be UTF-8, also where the machine writes files and pipes in another
    encoding. Names of files that are not UTF-8 keep their bytes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
