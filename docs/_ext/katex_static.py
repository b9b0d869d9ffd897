"""Mathematics by KaTeX while the site is built: one node process, a line a formula.

(sphinxcontrib-katex does so over a socket that it may reach before node listens: on a busy machine
builds fail with ConnectionRefusedError. By default it draws an unknown macro in red, too.)
"""

import json
import os
import subprocess
from pathlib import Path

from docutils import nodes
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

SCRIPT = """
const katex = require(process.argv[1]);
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  let answer;
  try { answer = { html: katex.renderToString(...JSON.parse(line)) }; }
  catch (error) { answer = { error: error.message }; }
  console.log(JSON.stringify(answer));
});
"""
KATEX = Path(__file__).parents[2] / "build/katex/node_modules/katex/dist/katex.min.js"
COMMAND = ["node", "-e", SCRIPT, str(KATEX)]
processes = {}  # by process id: `sphinx-build -j` forks
logger = logging.getLogger(__name__)


def render(self, node, display):
    if os.getpid() not in processes:
        processes[os.getpid()] = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
    node_js = processes[os.getpid()]
    options = {"displayMode": display, "strict": "error", "macros": dict(self.config.katex_macros)}
    node_js.stdin.write(json.dumps([node.astext(), options]) + "\n")
    node_js.stdin.flush()
    answer = json.loads(node_js.stdout.readline())
    if "error" in answer:
        logger.warning("%s", answer["error"], location=node, type="katex")
    return answer.get("html", "")


def inline(self, node):
    self.body.append(f'<span class="math">{render(self, node, False)}</span>')
    raise nodes.SkipNode


def block(self, node):
    self.body.append(self.starttag(node, "div", CLASS="math"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "#")
        self.body.append("</span>")
    self.body.append(render(self, node, True) + "</div>\n")
    raise nodes.SkipNode


def setup(app):
    app.add_config_value("katex_macros", {}, "html", dict)
    app.add_html_math_renderer("katex_static", (inline, None), (block, None))
    app.add_css_file("katex/katex.min.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
