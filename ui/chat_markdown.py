"""A model's Markdown on its way to the page: it keeps its tables, code and formulas, and loses what could load or run.

Gradio's sanitiser runs no script, but it lets pictures from other hosts through, which would tell them what a document
says; they are shown as the text they are written as. Knows nothing of turns, and loads nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from core.chat.citations import CODE, replace_citations

# What gradio shall take for formulas. Not the single dollar: it would read "$5 or $10" as one; `_formulas` finds those
# that are meant.
LATEX_DELIMITERS: list[dict[str, str | bool]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]
_INDENTED = re.compile(r" {4}| {0,3}\t")
_FENCE = re.compile(r"`{3,}(?=[^`]*\Z)|~{3,}")
_HOLDER = re.compile(r"[-+*>]|\d{1,9}[.)]|\[\^")  # of indented lines that are no code: a list, a quotation, a footnote
# As Pandoc has it: the dollars of a formula touch it, and no digit follows the last one.
_DOLLARS = re.compile(r"(?<![\\$])\$(?![\s$])((?:\\.|[^$\n\\])+?)(?<!\s)\$(?![\d$])")
_FORMULA = re.compile(r"\$\$.+?\$\$|\\\(.+?\\\)|\\\[.+?\\\]", re.DOTALL)
# Marks that only shape text; models write <br> into tables.
_SHAPING = re.compile(r"</?(?:br|sub|sup|b|i|em|strong|u|kbd)\s*/?>\Z", re.IGNORECASE)
_TAG = re.compile(r"<(?=[a-zA-Z/!?])(?:[^<>\n]{0,12}>)?")
_PICTURE = re.compile(r"!\[")
# Links within the page are ours alone: they show sources and press buttons.
_OWN_LINK = re.compile(r"\](\(\s*<?\s*#|:\s*<?\s*#)")
_DOUBT = "\ue0d7"  # of the private use area: in no text


def shown(answer: str, turn_index: int, doubtful: Sequence[tuple[int, int]] = (), doubt: str = "") -> str:
    """A resolved answer for gradio's Markdown: harmless, each `[n]` a link to its source, and a question mark that says
    `doubt` behind each sentence of `doubtful`, spans of `answer`."""
    pieces, begin = [], 0
    for _, end in sorted(doubtful, key=lambda span: span[1]):
        pieces.append(answer[begin:end])
        begin = end
    pieces.append(answer[begin:])
    # A mark of ours between the pieces, so that code and formulas are seen across them.
    marked = _DOUBT.join(piece.replace(_DOUBT, "") for piece in pieces)
    linked = replace_citations(harmless(marked), lambda number: f"[[{number}]](#source-{turn_index}-{number})")
    return linked.replace(_DOUBT, f'<a href="#doubt" class="doubt" title="{escape(doubt)}">?</a>')



def harmless(text: str) -> str:
    """Markdown whose pictures, HTML and links into the page are text. Code stays as it is."""
    parts, begin = [], 0
    for start, end in _indented_code(text):
        parts += [_around_code(text[begin:start]), text[start:end]]
        begin = end
    return "".join([*parts, _around_code(text[begin:])])


def _indented_code(text: str) -> list[tuple[int, int]]:
    """Code by its indentation alone. Only where nothing above could hold the lines: in a list they are prose."""
    spans: list[tuple[int, int]] = []
    fence, after_blank, outside, running, end = "", True, True, False, 0
    for line in re.findall(r"[^\n]*\n|[^\n]+\Z", text):
        start, end, said = end, end + len(line), line.strip()
        if fence:
            if said.startswith(fence) and not said.strip(fence[0]):
                fence, after_blank = "", True
        elif not said:
            after_blank = True
        elif _INDENTED.match(line):
            if running or (after_blank and outside):
                spans.append((start, end))
                running = True
        else:
            if opening := _FENCE.match(said):
                fence = opening[0]
            plain = line[0] == said[0] and _HOLDER.match(said) is None
            outside = plain if after_blank else outside and plain
            running, after_blank = False, False
    return spans


def _around_code(text: str) -> str:
    parts, begin = [], 0
    for code in CODE.finditer(text):
        parts += [_prose(text[begin:code.start()]), code[0]]
        begin = code.end()
    return "".join([*parts, _prose(text[begin:])])


def _prose(text: str) -> str:
    text = _DOLLARS.sub(r"\\(\1\\)", text)
    parts, begin = [], 0
    for formula in _FORMULA.finditer(text):
        # No tag can begin before a blank, and a formula does not mind one.
        parts += [_words(text[begin:formula.start()]), re.sub("<(?=[a-zA-Z/!?])", "< ", formula[0])]
        begin = formula.end()
    return "".join([*parts, _words(text[begin:])])


def _words(text: str) -> str:
    text = _TAG.sub(lambda tag: tag[0] if _SHAPING.match(tag[0]) else "&lt;" + tag[0][1:], text)
    text = _PICTURE.sub("!&#91;", text)
    return _OWN_LINK.sub(lambda link: "]" + ("&#40;" if link[1].startswith("(") else "&#58;") + link[1][1:], text)
