"""Pages of HTML that show what attention does: `attention_page` and `forming_page`. A page is one
file with its style and scripts inside; it needs no network.

Look first at `attention_page`, then at web/view.js, which draws in the browser, and web/model.js,
which translates there. Where scripts do not run, a drawing made by `static_map` stands instead.
"""

import base64
import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from tinyattn._serialization import write_aside
from tinyattn.kernels._types import Array
from tinyattn.viz.terminal import attention_text
from tinyattn.viz.trace import Trace

# A page may run its own scripts and use its own style; a request to anywhere is refused.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
CUT, CUT_BY_SCORES = ("char", "word", "space"), ("unigram", "bpe")  # tokens that a page can cut
MODELS = {"rnn": "recurrent.js", "transformer": "transformer.js"}  # models that a page can run
VIEW = ("drawing.js", "pictures.js", "view.js")  # the scripts of every page
INT8_FROM = 1_000_000  # parameters: from here on weights are written in 8 bits, below in 16


class Page:
    """An HTML page. `save` writes it; Jupyter shows it, in a frame of its own.

    text: the page. plain: what is left of it where HTML may not run, as in an untrusted notebook.
    """

    def __init__(self, text: str, plain: str) -> None:
        # Half a character, which UTF-8 does not have, becomes a question mark.
        self.text, self.plain = (x.encode("utf-8", "replace").decode() for x in (text, plain))

    def save(self, path: str | Path) -> None:
        """Write the page into a file."""
        write_aside(path, self.text.encode())

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{html.escape(self.text)}" sandbox="allow-scripts" '
            'title="A page about attention" style="width: 100%; height: 760px; border: 0"></iframe>'
            f"<details><summary>As text</summary><pre>{html.escape(self.plain)}</pre></details>"
        )


def attention_page(
    traces: Sequence[Trace], model: Mapping[str, Any] | None = None, title: str = "Attention"
) -> Page:
    """A page that shows these traces.

    model: the translator itself, which then runs in the page: "options", the ordinary tokens
    "source" and "target", "weights", an array for each name, and for a side with subwords their
    "scores"; see translator/paging.py in examples/. Raises ValueError for no trace, and for a
    model that a page can't run; TypeError for what is no trace or no such mapping.

    >>> from tinyattn.viz import Trace, attention_page
    >>> trace = Trace("书", "book", ["书"], ["book"], attention={"cross": [[[[1.0]]]]})
    >>> attention_page([trace]).save("book.html")  # doctest: +SKIP
    """
    check_traces("traces", traces)
    if not traces:
        raise ValueError("traces: expected at least one, got none")
    data: dict[str, Any] = {"title": title, "traces": [drawn(trace) for trace in traces]}
    if model is not None:
        data["model"] = packed(model)
    return page_of(data, traces, scripts_of(model) if model is not None else [])


def forming_page(
    steps: Sequence[int],
    moments: Sequence[Sequence[Trace]],
    accuracy: Sequence[float] | None = None,
    title: str = "How the alignment formed",
) -> Page:
    """A page with a slider that shows the same sentences at several moments of training.

    steps: the step of each moment, above 0. moments: for each, a trace of each sentence. accuracy:
    the share of words that look where they should, at each moment. Raises ValueError where they do
    not fit together.
    """
    if not steps or not all(a < b for a, b in zip([0, *steps], steps, strict=False)):
        raise ValueError(f"steps: expected numbers above 0 that grow, got {list(steps)}")
    for one in moments:
        check_traces("moments", one)
    counts = {len(one) for one in moments}
    if len(moments) != len(steps) or len(counts) != 1 or 0 in counts:
        raise ValueError(
            f"moments: expected the traces of the same sentences for each of {len(steps)} steps, "
            f"got {[len(one) for one in moments]}"
        )
    if accuracy is not None and len(accuracy) != len(steps):
        raise ValueError(f"accuracy: expected {len(steps)} numbers, got {len(accuracy)}")
    by_sentence = [[drawn(one) for one in sentence] for sentence in zip(*moments, strict=True)]
    data = {
        "title": title,
        "traces": by_sentence,
        "steps": list(steps),
        "accuracy": None if accuracy is None else [round(float(x), 4) for x in accuracy],
    }
    return page_of(data, moments[-1])


def check_traces(name: str, traces: Sequence[Trace]) -> None:
    """Raise TypeError for anything but a list of traces."""
    if not isinstance(traces, Sequence):
        raise TypeError(f"{name}: expected a list of Trace, got {type(traces).__name__}")
    for one in traces:
        if not isinstance(one, Trace):
            raise TypeError(f"{name}: expected a list of Trace, got {type(one).__name__} in it")


def page_of(data: dict[str, Any], traces: Sequence[Trace], scripts: Sequence[str] = ()) -> Page:
    """The page that draws this data, with these scripts first. `traces` stand where none runs."""
    # No tag and no comment can begin inside the JSON, whatever the tokens are.
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c")
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(data['title'])}</title>",
        f"<style>\n{asset('page.css')}</style>\n</head>\n<body>\n<main>",
        f'<div class="static">\n<h1>{html.escape(data["title"])}</h1>',
        *map(static_map, traces),
        '</div>\n<div id="view"></div>\n</main>',
        f'<script type="application/json" id="data">{text}</script>',
        "<script>\n" + "\n".join(map(asset, [*scripts, *VIEW])) + "</script>",
        "</body>\n</html>\n",
    ]
    return Page("\n".join(parts), "\n\n".join(map(as_text, traces)))


def asset(name: str) -> str:
    """A file of web/."""
    return (files("tinyattn.viz") / "web" / name).read_text(encoding="utf-8")


# --- a trace as a page draws it -------------------------------------------------------------------


def drawn(trace: Trace) -> dict[str, Any]:
    """What view.js draws of a trace: its numbers to four places, its gates as means over units."""
    return {
        "sentence": trace.sentence,
        "translation": trace.translation,
        "source": trace.source,
        "target": trace.target,
        "attention": {name: short(weights) for name, weights in trace.attention.items()},
        "probabilities": short(trace.probabilities),
        "entropies": short(trace.entropies),
        "alternatives": trace.alternatives,
        "alternativeProbabilities": short(trace.alternative_probabilities),
        "covered": short(trace.covered),
        "gates": charts(trace),
        "words": trace.words,
        "beam": None
        if trace.beam is None
        else {name: short(value) for name, value in trace.beam.items()},
    }


def short(value: Any) -> Any:
    """Numbers to four places, as lists; anything else as it is."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return np.round(value.astype(np.float64), 4).tolist()
    return value.tolist() if isinstance(value, np.ndarray) else value


def charts(trace: Trace) -> list[dict[str, Any]]:
    """A chart for each layer and direction of the cells: the mean of each gate, and of the change
    of the state, at each token. Layers of the encoder with two directions come in turn."""
    read = {"encoder": trace.source, "decoder": ["<bos>", *trace.target[:-1]]}
    found = []
    for side, gates in trace.gates.items():
        both = side == "encoder" and two_directions(trace)
        for place, state in enumerate(gates["state"]):
            layer, backwards = (place // 2, place % 2 == 1) if both else (place, False)
            lines = {name: short(x[place].mean(-1)) for name, x in gates.items() if name != "state"}
            # Before its first token the encoder's state is zero; the decoder's is not in a trace.
            first = np.full_like(state[:1], 0 if side == "encoder" else np.nan)
            path = np.concatenate([state, first] if backwards else [first, state])
            change = np.abs(np.diff(path, axis=0)).mean(-1).tolist()
            lines["change"] = [None if np.isnan(x) else round(x, 4) for x in change]
            direction = (", backwards" if backwards else ", forwards") if both else ""
            name = f"{side}, layer {layer + 1}{direction}"
            found.append({"name": name, "tokens": read[side], "lines": lines})
    return found


def two_directions(trace: Trace) -> bool:
    """Whether the encoder has twice the rows of the decoder, which reads in one direction."""
    rows = {side: len(gates["state"]) for side, gates in trace.gates.items()}
    return rows.get("encoder") == 2 * rows.get("decoder", 0)


# --- where scripts do not run ---------------------------------------------------------------------

_CIVIDIS = ("00224e", "123570", "3b496c", "575d6d", "707173", "8a8678", "a59c74", "c3b369",
            "e1cc55", "fee838")  # fmt: skip
_NOT_SHOWN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")  # XML and HTML refuse them


def static_map(trace: Trace) -> str:
    """The alignment of a trace as SVG: a row for each target token, a column for each source one.
    It is the mean over layers and heads."""
    weights = trace.attention["cross"].mean((0, 1))
    cell, left, top = 26, 8 + 9 * widest(trace.target), 12 + 9 * widest(trace.source)
    width, height = left + cell * len(trace.source) + 10, top + cell * len(trace.target) + 10
    parts = []
    for j, token in enumerate(trace.source):
        x, y = left + cell * (j + 0.5), top - 6
        parts.append(f'<text x="{x}" y="{y}" transform="rotate(-60 {x} {y})">{safe(token)}</text>')
    for i, (token, row) in enumerate(zip(trace.target, weights, strict=True)):
        y = top + cell * i
        parts.append(f'<text x="{left - 6}" y="{y + 18}" text-anchor="end">{safe(token)}</text>')
        for j, weight in enumerate(row):
            title = f"{safe(token)} looks at {safe(trace.source[j])}: {100 * weight:.0f} %"
            parts.append(
                f'<rect x="{left + cell * j}" y="{y}" width="{cell - 1}" height="{cell - 1}" '
                f'fill="#{_CIVIDIS[min(int(weight * 10), 9)]}"><title>{title}</title></rect>'
            )
    text = f"{safe(trace.sentence)} → {safe(trace.translation)}"
    return (
        f'<figure class="scrolls"><svg xmlns="http://www.w3.org/2000/svg" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="Attention: {text}">{"".join(parts)}</svg>'
        f"<figcaption>{text}</figcaption></figure>"
    )


def widest(tokens: Sequence[str]) -> int:
    return min(max(map(len, tokens), default=1), 20)


def safe(text: str) -> str:
    """A text of at most 60 characters for SVG: isolated, so that its direction stays its own."""
    short_one = text if len(text) <= 60 else text[:59] + "…"
    return "\u2068" + html.escape(_NOT_SHOWN.sub("\ufffd", short_one)) + "\u2069"


def as_text(trace: Trace) -> str:
    """The alignment as characters."""
    weights = np.clip(trace.attention["cross"].mean((0, 1)), 0, 1)
    tokens = [[_NOT_SHOWN.sub("\ufffd", x) for x in side] for side in (trace.source, trace.target)]
    return attention_text(weights, *tokens)


# --- the model inside a page ----------------------------------------------------------------------


def scripts_of(model: Mapping[str, Any]) -> list[str]:
    """The scripts that this model needs in a page."""
    more = ["subwords.js"] if model.get("scores") else []
    return ["text.js", *more, "model.js", MODELS[model["options"]["model"]]]


def packed(model: Mapping[str, Any]) -> dict[str, Any]:
    """The model as model.js reads it: its weights in base64, in float16, or from a million
    parameters on in int8 with a scale for each row."""
    if not isinstance(model, Mapping):
        raise TypeError(f"model: expected a mapping, got {type(model).__name__}")
    for name in ("options", "source", "target", "weights"):
        if name not in model:
            raise ValueError(f"model: expected {name!r} in it, got {sorted(model)}")
    options, scores = dict(model["options"]), dict(model.get("scores", {}))
    if options.get("model") not in MODELS:
        raise ValueError(
            f"model: expected one that a page can run, rnn or transformer, got "
            f"{options.get('model')!r}"
        )
    for side in ("source", "target"):
        check_tokens(side, options.get(f"{side}_tokens"), len(model[side]), scores.get(side))
    for name, x in model["weights"].items():
        if np.asarray(x).dtype.kind != "f":  # quantised
            raise ValueError(
                f"model: expected weights in floating point, got {np.asarray(x).dtype} for {name}"
            )
    weights = {name: np.asarray(x, np.float32) for name, x in model["weights"].items()}
    bits = 8 if sum(x.size for x in weights.values()) > INT8_FROM else 16
    return {
        "options": options,
        "source": list(model["source"]),
        "target": list(model["target"]),
        "scores": {side: encoded(np.asarray(x, "<f4")) for side, x in scores.items()},
        "bits": bits,
        "weights": {name: packed_array(x, bits) for name, x in weights.items()},
    }


def check_tokens(side: str, kind: Any, tokens: int, scores: Sequence[float] | None) -> None:
    """Raise ValueError for a side whose tokens a page can't cut."""
    if kind not in (*CUT, *CUT_BY_SCORES):
        raise ValueError(
            f"model: expected {side} tokens that a page can cut "
            f"({', '.join((*CUT, *CUT_BY_SCORES))}), got {kind!r}"
        )
    wanted = tokens if kind in CUT_BY_SCORES else 0
    found = 0 if scores is None else len(scores)
    if found != wanted:
        raise ValueError(
            f"model: expected {wanted} scores of the {side} tokens ({kind}), got {found}"
        )


def packed_array(x: Array, bits: int) -> dict[str, Any]:
    """An array for model.js. Vectors stay in float16: they are short."""
    if bits == 16 or x.ndim < 2:
        return {"shape": x.shape, "float16": encoded(x.astype("<f2"))}
    scale = np.maximum(np.abs(x).max(axis=1), 1e-12) / 127
    return {
        "shape": x.shape,
        "int8": encoded(np.round(x / scale[:, None]).astype(np.int8)),
        "scale": encoded(scale.astype("<f4")),
    }


def encoded(x: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(x).tobytes()).decode()
