"""The picture of explain that steps forward and back: its HTML, and its script in a browser."""

import re
import shutil
import subprocess

import pytest

import tinyattn as ta

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
