"""The picture of explain that steps forward and back: its HTML, and its script in a browser."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import tinyattn as ta
from tinyattn.viz import stepping
from tinyattn.viz.stepping import Section

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def told():
    a = ta.tensor(2.0, requires_grad=True)
    b = ta.tensor(3.0, requires_grad=True)
    with ta.explain():
        loss = a * b + a
    return ta.explain(loss)


def sections(html):
    return re.findall(r"<section(.*?)>(.*?)</section>", html, flags=re.DOTALL)


def test_there_is_a_section_for_the_whole_and_one_for_each_step():
    titles = [re.search("<h4>(.*?)</h4>", text)[1] for _, text in sections(told()._repr_html_())]
    assert titles == [
        "The backward pass from loss", "Step 1. loss = Add", "Step 2. Mul", "Step 3. b", "Step 4. a"
    ]  # fmt: skip


def test_a_section_tells_what_the_text_tells():
    mul = sections(told()._repr_html_())[2][1]
    facts = re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", mul)
    assert facts == [("value", "6"), ("arrives", "1"), ("to a", "3"), ("to b", "2")]
    assert "z = x y;   dx = dz y,  dy = dz x." in mul


def test_the_text_of_a_page():
    whole = Section("a < b", "at <1>", "x < y", [("<n>", "1 < 2"), ("m", "3")])
    web = Path(stepping.__file__).parent / "web"
    script, style = ((web / f"stepping.{kind}").read_text("utf-8") for kind in ("js", "css"))
    assert whole.html() == (
        "<section><h4>a &lt; b</h4><p>at &lt;1&gt;</p><pre>x &lt; y</pre>"
        "<dl><dt>&lt;n&gt;</dt><dd>1 &lt; 2</dd><dt>m</dt><dd>3</dd></dl></section>"
    )
    assert Section("a").html() == "<section><h4>a</h4></section>"
    told = stepping.fragment("<svg/>", whole, [Section("a"), Section("b")])
    assert told == (
        f'<div class="tinyattn-steps">\n<style>{style}</style>\n<div class="controls" hidden>\n'
        '<button type="button" data-by="-1" aria-label="step back">&#9664;</button>\n'
        '<button type="button" data-by="1" aria-label="step forward">&#9654;</button>\n'
        '<input type="range" min="0" max="2" value="0" aria-label="step">\n'
        "<output>all</output>\n</div>\n"
        '<div class="picture" tabindex="0" role="group" aria-label="graph">\n<svg/></div>\n'
        f'<div aria-live="polite">\n{whole.html()}\n<section><h4>a</h4></section>\n'
        "<section><h4>b</h4></section>\n</div>\n"
        f"<script>{{\n{script}}}</script>\n</div>\n"
    )
    assert stepping.page("a < b", told) == (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>a &lt; b</title>\n</head>\n<body>\n{told}</body>\n</html>\n"
    )


def test_nothing_is_fetched_and_nothing_has_an_id():
    html = told()._repr_html_().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|\bsrc=|\bhref=|\burl\(|@import|\bid=", html)


def test_without_the_script_everything_is_seen():
    html = told()._repr_html_()
    assert [attributes for attributes, _ in sections(html)] == [""] * 5
    assert '<div class="controls" hidden>' in html


def test_a_page_is_saved(tmp_path):
    told().save(tmp_path / "a.html")
    html = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert html.startswith("<!DOCTYPE html>")
    assert "<title>The backward pass from loss</title>" in html


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_buttons_and_the_slider_choose_a_step(tmp_path):
    path = tmp_path / "a.html"
    told().save(path)
    clicks = (
        "<script>const next = document.querySelector('[data-by=\"1\"]');"
        "next.click(); next.click(); next.click();"
        "document.querySelector('[data-by=\"-1\"]').click();</script></body>"
    )
    html = path.read_text(encoding="utf-8").replace("</body>", clicks)
    path.write_text(html, encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    run = subprocess.run([*command, path.as_uri()], capture_output=True, timeout=60, check=True)
    dom = run.stdout.decode()
    shown = [text for attributes, text in sections(dom) if "hidden" not in attributes]
    assert len(shown) == 1
    assert "Step 2. Mul" in shown[0]
    assert "<output>2 / 4</output>" in dom
    boxes = re.findall(r'class="box( \w+)?" data-step="(\d)"', dom)
    assert sorted((step, name.strip()) for name, step in boxes) == [
        ("1", ""), ("2", "now"), ("3", "later"), ("4", "later")
    ]  # fmt: skip
