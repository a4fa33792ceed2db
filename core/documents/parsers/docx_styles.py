"""What a Word file's styles and lists mean for its text: which paragraph is a heading, which number stands before it.

Word stores neither; both follow from `styles.xml` and `numbering.xml`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

_MAX_INHERITED = 20  # styles based on styles
_LEVELS = 9
_HEADING = re.compile(r"heading ([1-6])", re.IGNORECASE)
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
          (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))


@dataclass(frozen=True)
class Style:
    """What a paragraph takes from its style: heading level (0: none), list and level in it."""

    heading: int = 0
    list_id: str = ""
    level: int = 0


@dataclass(frozen=True)
class _Level:
    """How one level of a list is numbered: `pattern` is like `%1.%2`."""

    format: str = "decimal"
    pattern: str = ""
    start: int = 1


@dataclass
class _Numbering:
    levels: dict[int, _Level]
    counts: list[int | None] = field(default_factory=lambda: [None] * _LEVELS)


class Styles:
    """The styles of one document."""

    def __init__(self, root: Any) -> None:
        """`root`: the lxml element of `styles.xml`, or None."""
        elements = {_value(style, "styleId"): style for style in _children(root, "style")}
        self._styles = {name: _style(name, elements) for name in elements}

    def get(self, name: str) -> Style:
        return self._styles.get(name, Style())


class Lists:
    """The lists of one document; counts as the paragraphs come."""

    def __init__(self, root: Any) -> None:
        """`root`: the lxml element of `numbering.xml`, or None."""
        shared = {_value(element, "abstractNumId"): _Numbering(_levels(element))
                  for element in _children(root, "abstractNum")}
        self._lists: dict[str, _Numbering] = {}
        for element in _children(root, "num"):
            numbering = shared.get(_value(_child(element, "abstractNumId"), "val"))
            if numbering is not None:
                self._lists[_value(element, "numId")] = numbering

    def label(self, list_id: str, level: int) -> str:
        """What stands before the next item of a list: `3.`, `2.1`, `b)`, `-`; "" where nothing does."""
        numbering = self._lists.get(list_id)
        if numbering is None or not 0 <= level < _LEVELS:
            return ""
        counts = numbering.counts
        own = numbering.levels.get(level, _Level())
        above = counts[level]
        counts[level] = own.start if above is None else above + 1
        counts[level + 1 :] = [None] * (_LEVELS - level - 1)
        if own.format == "bullet":
            return "-"
        return "" if own.format == "none" else re.sub(r"%([1-9])", lambda match: _number(numbering, match), own.pattern)


def _number(numbering: _Numbering, match: re.Match[str]) -> str:
    level = int(match[1]) - 1
    style = numbering.levels.get(level, _Level())
    count = numbering.counts[level]
    return written(style.start if count is None else count, style.format)


def written(number: int, style: str) -> str:
    """A number as Word's format `style` writes it: letters go a … z, aa, bb; what is not known, in digits."""
    if style.endswith("Letter") and 0 < number <= 26 * _LEVELS:
        text = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
    elif style.endswith("Roman") and 0 < number < 4000:
        text = ""
        for value, letters in _ROMAN:
            text += letters * (number // value)
            number %= value
    else:
        return f"{number:02}" if style == "decimalZero" else str(number)
    return text.upper() if style.startswith("upper") else text


def _style(name: str, elements: dict[str, Any]) -> Style:
    """A style with what it inherits."""
    heading, list_id, level = 0, "", 0
    for _ in range(_MAX_INHERITED):
        element = elements.get(name)
        if element is None:
            break
        title = _value(_child(element, "name"), "val")
        match = _HEADING.fullmatch(title)
        heading = heading or (int(match[1]) if match else int(title.lower() == "title"))
        numbers = _child(_child(element, "pPr"), "numPr")
        if not list_id:
            list_id = _value(_child(numbers, "numId"), "val")
            level = level or as_number(_value(_child(numbers, "ilvl"), "val"))
        name = _value(_child(element, "basedOn"), "val")
    return Style(heading, list_id, level)


def _levels(element: Any) -> dict[int, _Level]:
    return {
        as_number(_value(level, "ilvl")): _Level(
            format=_value(_child(level, "numFmt"), "val") or "decimal",
            pattern=_value(_child(level, "lvlText"), "val"),
            start=as_number(_value(_child(level, "start"), "val") or "1"),
        )
        for level in _children(element, "lvl")
    }


def as_number(text: str) -> int:
    """A small number of the file's, 0 for what is none."""
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text) else 0


def _children(element: Any, name: str) -> list[Any]:
    return [] if element is None else [child for child in element if _is(child, name)]


def _child(element: Any, name: str) -> Any:
    return next(iter(_children(element, name)), None)


def _is(element: Any, name: str) -> bool:
    return isinstance(element.tag, str) and element.tag.rpartition("}")[2] == name


def _value(element: Any, name: str) -> str:
    """An attribute by its local name: the transitional and the strict form of the format differ in the rest."""
    if element is None:
        return ""
    return next((value for key, value in element.attrib.items() if key.rpartition("}")[2] == name), "")
