"""How Sphinx builds one language of the site, which docs/__main__.py has put together."""

import builtins
import inspect
import os
import re
import sys
from itertools import pairwise
from pathlib import Path

from docutils import nodes
from numpy.typing import DTypeLike
from sphinx import addnodes
from sphinx.search.en import SearchEnglish
from sphinx.util.typing import stringify_annotation

from docs.docstrings import restructured

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
CHINESE = tags.has("zh")  # noqa: F821 (Sphinx puts `tags` here)

project = "tinyattn"
copyright = "tinyattn 作者" if CHINESE else "the tinyattn authors"
language = "zh_CN" if CHINESE else "en"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx.ext.intersphinx",
    "katex_static",
]
exclude_patterns = ["**/.ipynb_checkpoints", "**/__pycache__"]
nitpicky = True
smartquotes = False

# Lessons: percent scripts, run by IPython's kernel, their outputs kept by the hash of their code.
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE.parent / "build" / "lessons")
nb_execution_timeout = 120
nb_execution_show_tb = True  # a cell that fails is a warning; its traceback is printed
nb_merge_streams = True
nb_output_stderr = "error"  # a warning of Python's, a missing glyph
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "attrs_inline"]
myst_heading_anchors = 3
os.environ["IPYTHONDIR"] = str(HERE.parent / "build/ipython")  # Matplotlib's figures are SVG
os.environ["MATPLOTLIBRC"] = str(HERE / "matplotlibrc")

# Mathematics: _ext/katex_static.py; a formula that fails is a warning with its place.
katex_macros = {r"\softmax": r"\operatorname{softmax}"}

# The reference
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
if CHINESE:  # the reference is English: `{py:func}` in a Chinese lesson leads there
    intersphinx_mapping = {"en": ("../en/", str(HERE.parent / "build/html/en/objects.inv"))}
else:
    intersphinx_mapping = {}

# The pages
html_theme = "pydata_sphinx_theme"
html_title = "tinyattn"
html_context = {"default_mode": "auto"}
html_static_path = ["_static", str(HERE.parent / "build/static")]
html_css_files = ["site.css"]
templates_path = ["_templates"]
html_show_search_summary = False  # a summary is fetched, which file:// forbids
html_copy_source = False
html_show_sourcelink = False
html_search_language = "zh" if CHINESE else "en"
html_theme_options = {
    "navbar_end": ["language.html", "theme-switcher"],
    "navbar_persistent": ["search-button-field"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
}
if CHINESE:  # what locales/ can't translate
    html_theme_options |= {"search_bar_text": "搜索……", "header_dropdown_text": "更多"}


def literal(app, what, name, obj, options, lines):
    """docs/docstrings.py reads the docstring."""
    try:
        arguments = inspect.signature(obj).parameters
    except (TypeError, ValueError):
        arguments = {}
    lines[:] = restructured("\n".join(lines), arguments)


def short(app, what, name, obj, options, signature, returns):
    """NumPy's DTypeLike by its name, not by the types that it allows."""
    long = stringify_annotation(DTypeLike, "smart")
    return tuple(text and text.replace(long, "DTypeLike") for text in (signature, returns))


def type_hints(app, doctree):
    """In a signature `float` is Python's, not tinyattn.float; TensorBase, as storage.py calls it
    at runtime, is Tensor."""
    for node in list(doctree.findall(addnodes.pending_xref)):
        if node.get("refdomain") == "py" and node.get("reftype") == "class":
            if hasattr(builtins, node["reftarget"]):
                node.replace_self(node.children)
            elif node["reftarget"] == "tinyattn.autograd.storage.TensorBase":
                node["reftarget"] = "tinyattn.Tensor"
                node[:] = [nodes.Text("Tensor")]


def public(app, env, node, contnode):
    """A type hint names the file in which a class stands; the link leads to its public name. A name
    of a type hint that has no page stays code."""
    if node.get("refdomain") != "py":
        return None
    name = node["reftarget"]
    last = "." + name.rpartition(".")[2]
    domain = env.domains["py"]
    same = [known for known in domain.objects if known.endswith(last) and known.count(".") == 1]
    if len(same) == 1 and name.startswith("tinyattn."):
        return domain.resolve_xref(
            env, node["refdoc"], app.builder, node["reftype"], same[0], node, contnode
        )
    return contnode if node["refdoc"].startswith("reference/") else None


def other_language(app, pagename, templatename, context, doctree):
    """The same page in the other language, else the one that it stands under."""
    other = HERE.parent / "build/source" / ("en" if CHINESE else "zh")
    page = pagename
    while page not in ("search", "genindex") and not any(
        (other / page).with_suffix(suffix).exists() for suffix in (".py", ".md")
    ):
        page = page.rpartition("/")[0] or "index"
    up = "../" * (pagename.count("/") + 1)
    context["other_language"] = f"{up}{other.name}/{page}.html"
    context["other_language_code"] = other.name
    context["other_language_name"] = "English" if CHINESE else "中文"


def source_page(app, pagename, templatename, context, doctree):
    """The pages of the source have no links back: of a function with two names, viewcode joins the
    page of one to the name of the other."""
    if pagename.startswith("_modules/") and "body" in context:
        back = r'<a class="viewcode-back"[^>]*>.*?</a>'
        context["body"] = re.sub(back, "", context["body"])


class Bigrams(SearchEnglish):
    """Words of Latin letters, and of a Chinese run each two neighbours: what the reader's query,
    cut the same way, has in common with the page. (Sphinx 9.0's own `zh` needs jieba, misses a
    query that jieba would cut elsewhere, and its script fails: ChineseStemmer is not defined.)"""

    lang = "zh"  # language_name stays "English": the stemmer's name in the script
    js_splitter_code = r"""
function splitQuery(query) {
  const runs = query.match(/[\u3400-\u9fff]+|(?:(?![\u3400-\u9fff])[\p{L}\p{N}_])+/gu) || [];
  return runs.flatMap((run) => !/^[\u3400-\u9fff]{3,}$/.test(run) ? [run]
    : Array.from({ length: run.length - 1 }, (_, i) => run.slice(i, i + 2)));
}
"""

    def split(self, input):
        words = []
        for run in re.findall(r"[\u3400-\u9fff]+|[^\W\u3400-\u9fff]+", input):
            if re.match(r"[\u3400-\u9fff]", run):
                words += [*run, *map("".join, pairwise(run))]
            else:
                words.append(run)
        return words


def setup(app):
    app.add_search_language(Bigrams)
    app.connect("autodoc-process-docstring", literal)
    app.connect("autodoc-process-signature", short)
    app.connect("doctree-read", type_hints)
    app.connect("missing-reference", public)
    app.connect("html-page-context", other_language)
    app.connect("html-page-context", source_page)
