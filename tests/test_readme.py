"""What the README and the pages in docs/ show runs as it stands there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCKS = [
    pytest.param(code, f"{page.name}, block {number}", id=f"{page.stem} {number}")
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    for number, code in enumerate(
        re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    )
]


@pytest.mark.parametrize(("code", "name"), BLOCKS)
def test_the_code_runs(code, name):
    exec(compile(code, name, "exec"), {})
