"""The built site, build/html: nothing is remote, links lead somewhere, each page has its twin, and
a browser reads and searches it from disk. Skipped where `python -m docs` has not been run."""

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest
from browser import CHROMIUM, Tab, chromium

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build/html"
LANGUAGES = ("en", "zh")
PAGES = sorted(path for language in LANGUAGES for path in (SITE / language).rglob("*.html"))
PAGES = [path for path in PAGES if "_static" not in path.parts]
LOADS = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src"}

pytestmark = pytest.mark.skipif(
    not all((SITE / language / "index.html").exists() for language in LANGUAGES),
    reason="the site is not built: python -m docs",
)
browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


class Reader(HTMLParser):
    """What a page loads, where its links lead, and the names of its places."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.language = ""
        self.twin = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.places |= {found[name] for name in ("id", "name") if name in found}
        if tag == "html":
            self.language = found["lang"]
        if LOADS.get(tag) in found:
            self.loads.append(found[LOADS[tag]])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
            if "twin" in found.get("class", "").split():
                self.twin = found["href"]


@cache
def read(path: Path) -> Reader:
    return Reader(path.read_text(encoding="utf-8"))


class Around(HTMLParser):
    """What a page says around its text: in its bars and its footer, and of its buttons."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.said: list[str] = []
        self.inside: list[str] = []  # the elements whose words are those of the page
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        own = tag in ("article", "code", "script", "style", "title")
        own = own or "page-toc" in found.get("class", "")
        if own if not self.inside else tag == self.inside[-1]:
            self.inside.append(tag)
        if not self.inside:
            self.said += [found.get(name, "") for name in ("aria-label", "placeholder", "title")]

    def handle_endtag(self, tag: str) -> None:
        if self.inside and tag == self.inside[-1]:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if not self.inside:
            self.said.append(data.strip())


def to(page: Path, link: str) -> Path:
    return (page.parent / unquote(urlsplit(link).path)).resolve()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_all_its_pages(language):
    pages = [path for path in PAGES if SITE / language in path.parents]
    names = {str(path.relative_to(SITE / language)) for path in pages}
    lessons = {f"lessons/{path.stem}.html" for path in (ROOT / "lessons" / language).glob("*.py")}
    assert len(lessons) == 14
    guides = {f"{path.stem}.html" for path in (ROOT / "docs").glob("*.md")}
    assert lessons | guides | {"reference.html", "search.html"} <= names
    assert {read(path).language[:2] for path in pages} == {language}


def test_nothing_that_a_page_loads_is_remote():
    loaded = {(page.name, url) for page in PAGES for url in read(page).loads}
    assert len(loaded) > 100
    assert [
        x for x in loaded if urlsplit(x[1]).scheme not in ("", "data") or x[1][:2] == "//"
    ] == []


def test_no_style_loads_anything_remote():
    styles = [path for language in LANGUAGES for path in (SITE / language).rglob("*.css")]
    assert styles
    for path in styles:
        text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.S)
        urls = re.findall(r"url\(\s*[\"']?([^\"')]+)|@import\s+[\"']([^\"']+)", text)
        for url in filter(None, (first or second for first, second in urls)):
            assert url.startswith(("data:", "#")) or not urlsplit(url).scheme, (path, url)
            if not url.startswith(("data:", "#")):
                assert to(path, url).exists(), (path, url)


def test_each_link_and_what_each_page_loads_is_there():
    dead = []
    for page in PAGES:
        for link in {*read(page).links, *read(page).loads}:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link == "#":
                continue
            target = to(page, link) if parts.path else page.resolve()
            place = unquote(parts.fragment)
            there = target.is_file()
            if there and place and target.suffix == ".html":
                there = place in read(target).places
            if not there:
                dead.append((page.name, link))
    assert dead == []


def test_each_page_leads_to_its_twin():
    lonely = set()
    for page in PAGES:
        language = page.relative_to(SITE).parts[0]
        other = SITE / ("zh" if language == "en" else "en")
        twin, same = to(page, read(page).twin), other / page.relative_to(SITE / language)
        assert other.resolve() in twin.parents, page
        if same.exists():
            assert twin == same.resolve(), page
        else:
            lonely.add(page.relative_to(SITE).parts[:2])
    assert {language for language, _ in lonely} == {"en"}  # what is in Chinese is in English, too


def test_the_theme_speaks_chinese_on_chinese_pages():
    names, heard = {"tinyattn", "English", "Ctrl"}, set()
    for page in (path for path in PAGES if SITE / "zh" in path.parents):
        said = set(Around(page.read_text(encoding="utf-8")).said)
        english = {text for text in said - names if re.search("[A-Za-z]{2}", text)}
        assert [text for text in english if not re.search("[\u4e00-\u9fff]", text)] == [], page
        heard |= said
    assert {"收起侧栏", "搜索", "版权所有 © tinyattn 作者"} <= heard


def test_chinese_lists_lead_to_the_english_pages():
    for name in ("reference", "operations"):
        page = SITE / f"zh/{name}.html"
        links = [to(page, link) for link in read(page).links]
        there = {path.resolve() for path in (SITE / "en" / name).glob("*.html")}
        assert len(there) > 15
        assert there <= {*links}


def test_formulas_are_drawn_and_lessons_have_run():
    softmax = (SITE / "en/operations/normalising.html").read_text(encoding="utf-8")
    assert softmax.count('class="katex"') > 20
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert "katex-error" not in text, page
        assert 'class="problematic"' not in text, page
        if page.parent.name == "lessons":
            assert "cell_output" in text, page
            assert "Traceback (most recent call last)" not in text, page


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with chromium() as found:
        yield found


def faults(tab: Tab) -> list[str]:
    """What went wrong, beside requests for files of the site."""
    site = f"request: {SITE.resolve().as_uri()}/"
    return [x for x in tab.faults if not x.startswith((site, "request: data:"))]


@browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    "page",
    ["index", "lessons/04_softmax", "lessons", "errata", "reference", "operations", "guides"],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_opens_from_disk_and_is_as_wide_as_the_window(tab, language, page, width):
    tab.open(SITE / language / f"{page}.html", width=width)
    assert tab.run("document.documentElement.scrollWidth") <= width
    assert faults(tab) == []


@browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_takes_the_colours_of_the_system(tab, scheme):
    tab.open(SITE / "en/lessons/04_softmax.html", scheme=scheme)
    assert tab.run("document.documentElement.dataset.theme") == scheme
    colour = tab.run("getComputedStyle(document.body).backgroundColor")
    dark = sum(map(int, re.findall(r"\d+", colour)[:3])) < 3 * 128
    assert dark == (scheme == "dark")


SEARCH = """new Promise((done) => {
  const links = () => [...document.querySelectorAll("#search-results li a")].map((a) => a.href);
  const look = (count, n) => setTimeout(() => {  // until no more come
    const now = links().length;
    (now && now === count) || !n ? done(links()) : look(now, n - 1);
  }, 200);
  look(0, 15);
})"""


def search(tab: Tab, language: str, query: str) -> list[str]:
    """The links that the search page shows."""
    tab.open(SITE / language / "index.html")
    tab.loaded = False
    address = (SITE / language / "search.html").resolve().as_uri()
    tab.call("Page.navigate", url=f"{address}?q={quote(query)}")
    while not tab.loaded:
        tab.receive_one()
    return tab.run(SEARCH)


@browser
@pytest.mark.parametrize(
    ("language", "query", "page"),
    [
        ("en", "softmax", "04_softmax"),
        ("en", "normalising", "operations/normalising"),
        ("en", "LSTMCell", "reference/nn"),
        ("zh", "注意力", "10_scaled_dot_product"),
        ("zh", "注意力机制", "index"),
        ("zh", "链式法则", "lessons/"),
        ("zh", "softmax", "04_softmax"),
        ("zh", "勘误", "errata"),
    ],
)
def test_a_search_finds_the_page(tab, language, query, page):
    found = search(tab, language, query)
    assert any(page in link for link in found), found
    assert faults(tab) == []


@browser
@pytest.mark.parametrize(("language", "query"), [("en", "zeppelins"), ("zh", "天气预报")])
def test_a_search_for_what_is_not_there_finds_nothing(tab, language, query):
    assert search(tab, language, query) == []
