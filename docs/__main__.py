"""Build the site: `python -m docs` writes build/html/en and build/html/zh, to be opened from disk.

The pages are the lessons, which run while the site is built, the files of this folder, and pages
made from the docstrings (reference.py, operations.py). English comes first, since Chinese pages
link to it. A warning is an error. Needs the extra `docs`, and npm for KaTeX, which draws formulas.
"""

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from docs.operations import operation_pages
from docs.reference import reference_pages

HERE = Path(__file__).parent
ROOT = HERE.parent
BUILD = ROOT / "build"
KATEX = "katex@0.16.22"


def main() -> None:
    """Build both languages anew; only the outputs of lessons are kept, by the hash of their code.

    Further arguments go to sphinx-build: `-D nb_execution_mode=force` runs all lessons again.
    """
    if find_spec("sphinx") is None:
        sys.exit("docs: Sphinx is not installed: pip install -e '.[docs]'")
    fetch_katex()
    shutil.copytree(HERE / "ipython", BUILD / "ipython", dirs_exist_ok=True)  # it writes there
    sources = {language: assemble(language) for language in ("en", "zh")}
    for language, source in sources.items():
        shutil.rmtree(BUILD / "html" / language, ignore_errors=True)
        command = [sys.executable, "-m", "sphinx", "-n", "-W", "--keep-going", "-q", "-E"]
        command += ["-c", str(HERE), "-d", str(BUILD / "doctrees" / language), *sys.argv[1:]]
        command += ["-t", language, str(source), str(BUILD / "html" / language)]
        done = subprocess.run(command, cwd=ROOT)
        if done.returncode:
            sys.exit(done.returncode)
    # The theme's pages have copies. There is nothing where sphinx-build was asked for its help.
    shutil.rmtree(BUILD / "html/jupyter_execute", ignore_errors=True)
    print(f"open {BUILD / 'html/en/index.html'} or {BUILD / 'html/zh/index.html'}")


def fetch_katex() -> None:
    """KaTeX by npm, once: its script draws the formulas here, its style and fonts are served."""
    if not (BUILD / "katex/node_modules/katex").exists():
        npm = shutil.which("npm")
        if npm is None:
            sys.exit("docs: expected npm, which fetches KaTeX, got no such program")
        command = [npm, "install", "--no-fund", "--no-audit", "--prefix", str(BUILD / "katex")]
        subprocess.run([*command, KATEX], check=True)
    served = BUILD / "static/katex"
    shutil.rmtree(served, ignore_errors=True)
    dist = BUILD / "katex/node_modules/katex/dist"
    older = shutil.ignore_patterns("*.ttf", "*.woff")
    shutil.copytree(dist / "fonts", served / "fonts", ignore=older)
    style = (dist / "katex.min.css").read_text(encoding="utf-8")
    style = re.sub(r",url\([^)]*\.(woff|ttf)\) format\([^)]*\)", "", style)
    (served / "katex.min.css").write_text(style, encoding="utf-8")


def assemble(language: str) -> Path:
    """Put the pages of a language together in build/source."""
    source = BUILD / "source" / language
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    for page in (HERE if language == "en" else HERE / "zh").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        (source / page.name).write_text(inside(text), encoding="utf-8")
    for picture in (*HERE.glob("*.png"), *HERE.glob("*.svg")):
        shutil.copy(picture, source)
    shutil.copytree(
        ROOT / "lessons" / language, source / "lessons", ignore=shutil.ignore_patterns("__*")
    )
    if language == "zh":  # where Sphinx looks for words of the theme
        shutil.copytree(HERE / "locales", source / "locales")
    if language == "en":
        pages = reference_pages() | operation_pages(ROOT)
        for name, text in pages.items():
            path = source / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return source


def inside(text: str) -> str:
    """A page of this folder without links to what is not on the site: `[x](../x.py)` is code. A
    link of a Chinese page to an English one becomes HTML: it leads out of what Sphinx builds."""
    text = re.sub(r"\[([^\]]*)\]\((\.\./en/[^)\s]*)\)", r'<a href="\2">\1</a>', text)
    return re.sub(r"\[([^\]]*)\]\((?:\.\./)+([^)\s]*)\)", r"`\2`", text)


if __name__ == "__main__":
    main()
