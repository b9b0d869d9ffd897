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
def test_the_code_runs(code, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some of it writes files
    exec(compile(code, name, "exec"), {})


def test_the_chinese_readme_shows_the_same_code_tables_and_pictures():
    english, chinese = (
        (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md")
    )
    assert english.split("\n")[2] == "[中文](README.zh.md)"
    assert chinese.split("\n")[2] == "[English](README.md)"
    for shown in (r"^```.*?^```", r"^\| `[^|]*`", r"\(docs/\w+\.png\)"):
        found = [re.findall(shown, text, re.M | re.S) for text in (english, chinese)]
        assert len(found[0]) == len(found[1]) > 0
    assert re.findall(r"^```.*?^```", english, re.M | re.S) == re.findall(
        r"^```.*?^```", chinese, re.M | re.S
    )


@pytest.mark.parametrize("name", ["README.md", "README.zh.md", "CONTRIBUTING.md"])
def test_links_lead_to_files(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", text)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
