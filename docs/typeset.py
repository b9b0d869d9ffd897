"""Formulas of docstrings, as TeX. A docstring writes `dx_j = y_j (g_j - sum_i g_i y_i)`: words and
formulas stand side by side, and `typeset` finds the formulas among the words. RULES says how one is
written in TeX.
"""

import re

WORD = re.compile(r"[A-Za-z][a-z]+(-[a-z]+)*|[A-Za-z]+'s|[A-Z][A-Za-z]{2,}|i-th")
# What looks like a word and belongs to formulas. Those of NAMES are words where they stand alone.
NAMES = {*("index", "mask", "rows", "axes", "mean", "sign"), *("low", "high", "sum", "mod")}
NAMES |= {"count", "groups"}
SYMBOLS = {*("log", "log_2", "sin", "cos", "tanh", "min", "max", "floor", "trunc", "softmax")}
SYMBOLS |= {*("sqrt", "pi", "inf", "eps", "dlog", "dlow", "dhigh", "dmask", "do")}
SYMBOLS |= {"Tq", "Tk"}
SYMBOLS |= {f"d{x}" for x in "abchklmnpqrstvwxyzXABCW"}
CODE = re.compile(r"`[^`]*`|[\w/]+\.py|[a-z]{3,}_[a-z]{3,}")
SOURCE = re.compile(r"\([A-Z][^()]*\d{4}[^()]*\)")  # (Vaswani et al. 2017, arXiv:1706.03762)
BREAK = "\ue000"  # ends a formula; a character that no docstring holds
NESTED = r"\(((?:[^()]|\([^()]*\))*)\)"

# One after another: what is read, and the TeX that stands for it.
RULES = [
    (r"\.\.\.", r"\\dots "),
    (r"(?<= )\.(?= )", r"\\cdot "),
    (r"!=", r"\\ne "),
    (r"<=", r"\\le "),
    (r">=", r"\\ge "),
    (r"(\d)e-(\d+)", r"\1 \\cdot 10^{-\2}"),
    (r"\bdlog ", r"d\\log "),
    (r"\bd([A-Za-z](?:_\w+)?)/d([A-Za-z](?:_\w+)?)", r"\\partial \1/\\partial \2"),
    (r"\b([xy])\^(?=[ ,;.)]|$)", r"\\hat{\1}"),
    (r"\^T\b", r"^{\\top}"),
    (r"\b1\[([^]]*)\]", r"1_{[\1]}"),
    (rf"\bsqrt{NESTED}", r"\\sqrt{\1}"),
    (r"\bsqrt ?(\w)", r"\\sqrt{\1}"),
    (r"_\(([^()]*)\)", r"_{\1}"),
    (r"_([A-Za-z0-9]{2,})", r"_{\1}"),
    (r"\^\(([^()]*)\)", r"^{\1}"),
    (r"\^(-?(?:\|[^|]*\||[A-Za-z0-9]+(?:_(?:\{[^}]*\}|\w))?))", r"^{\1}"),
    (r"(?<![\\A-Za-z])(sum|prod|log|sin|cos|tanh|min|max)(?![A-Za-z])", r"\\\1 "),
    (r"(?<![A-Za-z])(mean|sign|floor|trunc|softmax)(?![A-Za-z])", r"\\operatorname{\1}"),
    (r"(?<![A-Za-z])(index|mask|rows|axes|low|high|at)(?![A-Za-z])", r"\\mathit{\1}"),
    (r"(?<![A-Za-z])(count|groups)(?![A-Za-z])", r"\\text{\1}"),
    (r"(?<![A-Za-z])mod(?![A-Za-z])", r"\\bmod "),
    (r"\bd(low|high|mask)\b", r"d\\mathit{\1}"),
    (r"\bT([qk])\b", r"T_\1"),
    (r"\beps\b", r"\\varepsilon "),
    (r"\bpi\b", r"\\pi "),
    (r"\binf\b", r"\\infty "),
    (r"\bNaN\b", r"\\text{NaN}"),
]


def typeset(text: str) -> str:
    """A docstring as Markdown, with its formulas between dollars."""
    return "\n\n".join(_paragraph(part) for part in re.split(r"\n\s*\n", text))


def _paragraph(text: str) -> str:
    """Lines that are indented keep their ends; the others are joined."""
    lines: list[str] = []
    before = False
    for line in text.split("\n"):
        indented = line.startswith("  ")
        if lines and not indented and not before:
            begins = re.match(r"\S+ =", line)  # a new equation
            lines[-1] += f" {BREAK} {line}" if begins else f" {line}"
        else:
            lines.append(line.strip())
        before = indented
    return "\\\n".join(_line(re.sub(" {3,}", f" {BREAK} ", line)) for line in lines)


def _line(text: str) -> str:
    """Words stay; what stands between them becomes formulas."""
    out: list[str] = []
    run: list[str] = []
    tokens = [t for t in re.split(rf"({SOURCE.pattern}|`[^`]*`)|\s+", text) if t]
    for token, then in zip(tokens, [*tokens[1:], ""], strict=True):
        if _is_word(token, then, bool(run)):
            _end(run, out)
            bare = token.strip("(),;:.")
            is_code = CODE.fullmatch(bare) and bare[0] != "`"
            out.append(token.replace(bare, f"`{bare}`") if is_code else token)
        else:
            run.append(token)
            ends = token.endswith((",", ";", ".", ":")) and token not in (".", ":", "=:", "...")
            if ends and not _unclosed(run):
                _end(run, out)
    _end(run, out)
    return re.sub(r"` (?=[.,;:)])", "`", " ".join(t for t in out if t != BREAK))


def _is_word(token: str, then: str, inside: bool) -> bool:
    """Whether a token is no part of a formula; `inside` says that one has begun before it."""
    bare = token.strip("(),;:.")
    if token == BREAK or CODE.fullmatch(bare) or SOURCE.fullmatch(token):
        return True
    follows = bool(WORD.fullmatch(then.strip("(),;:."))) and then not in SYMBOLS
    if bare in ("a", "A"):  # the article?
        return follows and then not in ("and", "with")
    if bare in NAMES:
        applied = bare == token and bare in ("sum", "sign") and not follows
        return not (inside or applied or re.match("[<>=]", then))
    return bool(WORD.fullmatch(bare)) and bare not in SYMBOLS


def _unclosed(run: list[str]) -> bool:
    text = " ".join(run)
    return any(text.count(a) > text.count(b) for a, b in ("()", "[]", "{}"))


def _end(run: list[str], out: list[str]) -> None:
    """The formula of a run. Where words follow an open bracket, it begins a remark."""
    if not run:
        return
    at = next((i for i in range(len(run), 0, -1) if run[i - 1][0] == "("), 0) - 1
    parts = [run[:at], run[at:]] if at > 0 and _unclosed(run) else [run]
    out += [_formula(" ".join(part)) for part in parts]
    run.clear()


def _formula(text: str) -> str:
    before = after = ""
    while text.endswith((",", ";", ":", ".")) and not text.endswith("..."):
        text, after = text[:-1].rstrip(), text[-1] + after
    if text.count("(") > text.count(")") and text[0] == "(":
        text, before = text[1:], "("
    if text.count(")") > text.count("(") and text[-1:] == ")":
        text, after = text[:-1], ")" + after
    if not text or text in ("a", "A"):
        return before + text + after
    for rule, tex in RULES:
        text = re.sub(rule, tex, text)
    return f"{before}${text.strip()}${after}"
