"""A guide in Chinese says what the English one says: the same code, figures, names and links.

So a figure that changes in one language cannot stay as it was in the other. Sentences are compared
by nobody; look first at differences().
"""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def listed(page: Path) -> list[str]:
    """The pages in the table of contents of a list of guides."""
    contents = re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    return [line for text in contents for line in text.split("\n") if re.fullmatch(r"\w+", line)]


GUIDES = listed(DOCS / "guides.md")


class Section(NamedTuple):
    heading: str
    level: int
    text: str


def without_blocks(page: str) -> str:
    return re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S)


def blocks(page: str) -> list[str]:
    return re.findall(r"^```.*?^```$", page, re.M | re.S)


def sections(page: str) -> list[Section]:
    parts = re.split(r"^(#+) (.*)$", without_blocks(page), flags=re.M)[1:]
    marks, headings, texts = parts[::3], parts[1::3], parts[2::3]
    return [
        Section(heading, len(mark), f"{heading}\n{text}")
        for mark, heading, text in zip(marks, headings, texts, strict=True)
    ]


def rows(section: Section) -> list[str]:
    return re.findall(r"^\|.*\|$", section.text, re.M)


def numbers(text: str) -> Counter[str]:
    """All numbers with digits; dates are written in other ways. 2,000 is 2000."""
    text = re.sub(r"\]\([^)\s]*\)", "]", text)
    text = re.sub(r"\d{4}-\d\d-\d\d|\d{4} 年 \d+ 月(?: \d+ 日)?", "", text)
    found = re.findall(r"\d+(?:,\d{3})*(?:\.\d+)*", text)
    return Counter(number.replace(",", "") for number in found)


def names(text: str) -> set[str]:
    """What is written as code within a sentence."""
    return {" ".join(name.split()) for name in re.findall(r"`([^`]+)`", text)}


def links(page: str) -> set[str]:
    """Where links lead, as the English page writes it, without the place on the page."""
    found = re.findall(r"\]\(([^)\s#]+)[^)\s]*\)", without_blocks(page))
    found = [re.sub(r"^\.\./en/(.*)\.html$", r"\1.md", link) for link in found]
    return {re.sub(r"^\.\./\.\./", "../", link) for link in found}


def differences(english: str, chinese: str) -> list[str]:
    """What one page has and its twin lacks, in words."""
    if blocks(english) != blocks(chinese):
        pairs = zip(blocks(english), blocks(chinese), strict=False)
        unlike = [f"{a}\n{b}" for a, b in pairs if a != b]
        return ["blocks of code: " + (unlike[0] if unlike else "another number of them")]
    ours, theirs = sections(english), sections(chinese)
    if [one.level for one in ours] != [two.level for two in theirs]:
        return [f"headings: {[x.heading for x in ours]}, {[x.heading for x in theirs]}"]
    out = []
    if links(english) != links(chinese):
        out.append(f"links: {links(english) ^ links(chinese)}")
    for one, two in zip(ours, theirs, strict=True):
        where = f"{one.heading} / {two.heading}"
        if set(numbers(one.text)) != set(numbers(two.text)):
            unlike = set(numbers(one.text)) ^ set(numbers(two.text))
            out.append(f"{where}: numbers in one language only: {sorted(unlike)}")
        if names(one.text) != names(two.text):
            unlike = names(one.text) ^ names(two.text)
            out.append(f"{where}: code in one language only: {sorted(unlike)}")
        if len(rows(one)) != len(rows(two)):
            out.append(f"{where}: {len(rows(one))} and {len(rows(two))} rows of tables")
            continue
        for row, twin in zip(rows(one), rows(two), strict=True):
            if numbers(row) != numbers(twin):
                out.append(f"{where}: the numbers of a row\n{row}\n{twin}")
    return out


@pytest.mark.parametrize("page", GUIDES)
def test_a_guide_says_the_same_in_both_languages(page):
    english, chinese = (
        (folder / f"{page}.md").read_text("utf-8") for folder in (DOCS, DOCS / "zh")
    )
    assert sections(english)
    assert differences(english, chinese) == []


def test_both_languages_list_the_same_guides():
    assert listed(DOCS / "zh/guides.md") == GUIDES
    pages = {path.stem for path in (DOCS / "zh").glob("*.md")}
    assert pages - {"index", "lessons", "reference", "operations", "guides"} == {*GUIDES}


ENGLISH = """# Speed

A step takes 3.5 ms with `step()` ([more](learn.md)), 10,004 of them 35 s.

| rows | ratio |
|---|---|
| GRU of 64 | 2.91 |
| LSTM | 1.70 and 1.70 |

```sh
python -m benchmarks
```
"""
CHINESE = """# 速度

一步 `step()` 用时 3.5 毫秒（[详见](learn.md)），10004 步用时 35 秒。

| 行 | 比值 |
|---|---|
| 64 的 GRU | 2.91 |
| LSTM | 1.70 和 1.70 |

```sh
python -m benchmarks
```
"""


def test_pages_that_say_the_same_do_not_differ():
    assert differences(ENGLISH, CHINESE) == []


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("3.5 毫秒", "3.4 毫秒", "numbers in one language only: ['3.4', '3.5']"),
        ("，10004 步用时 35 秒", "", "numbers in one language only: ['10004', '35']"),
        ("1.70 和 1.70", "1.70", "the numbers of a row"),
        ("| 64 的 GRU | 2.91 |\n", "", "4 and 3 rows"),
        ("`step()`", "`steps()`", "code in one language only: ['step()', 'steps()']"),
        ("learn.md", "uses.md", "links: "),
        ("-m benchmarks", "-m benchmark", "blocks of code: "),
        ("```sh\npython -m benchmarks\n```\n", "", "another number"),
        ("# 速度", "# 速度\n\n## 数据", "headings: "),
    ],
)
def test_what_is_missing_or_old_in_one_language_is_named(old, new, what):
    changed = CHINESE.replace(old, new)
    assert changed != CHINESE
    assert any(what in line for line in differences(ENGLISH, changed))
