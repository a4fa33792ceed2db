"""A JSON file that holds a list of rows → its rows one after the other, without reading it whole.

The list may be the file itself or the first list inside its one object. The standard library's decoder reads each
row; this module only finds where they begin, and how much text a row needs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import IO, Any

from core.finetune.examples import LineError, Row

CHUNK_CHARS = 256 * 1024
BLANKS = re.compile(r"[ \t\r\n]*")


class BrokenError(Exception):
    """The text is no JSON from here on, or an element is larger than allowed: nothing behind it can be found."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class TextWindow:
    """The part of a text around the reading place, and the line that place is in."""

    def __init__(self, file: IO[str], limit_chars: int) -> None:
        self.file = file
        self.limit_chars = limit_chars
        self.text = ""
        self.place = 0
        self.line = 1
        self.ended = False
        self.decoder = json.JSONDecoder()

    def peek(self) -> str:
        """The next character that is not blank; empty at the end."""
        while True:
            blanks = BLANKS.match(self.text, self.place)
            self._move(blanks.end() if blanks else self.place)
            if self.place < len(self.text):
                return self.text[self.place]
            if not self.grow():
                return ""

    def take(self, expected: str) -> None:
        if self.peek() != expected:
            raise BrokenError("dataset_line_json_broken")
        self._move(self.place + 1)

    def value(self) -> Any:
        """The JSON value at this place. Raises BrokenError."""
        self.peek()
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.place)
            except RecursionError as error:
                raise BrokenError("dataset_line_json_broken") from error
            except ValueError as error:
                # An error in the middle of what is known stays one; at its end the value may go on.
                known = len(self.text) - self.place
                place = getattr(error, "pos", len(self.text))
                unfinished = len(self.text) - place < 16 or "Unterminated" in str(error)
                if known > self.limit_chars:
                    raise BrokenError("dataset_line_too_long") from error
                if not unfinished or not self.grow():
                    raise BrokenError("dataset_line_json_broken") from error
                continue
            # A number at the very end may have more digits to come.
            if end < len(self.text) or not self.grow():
                self._move(end)
                return value

    def grow(self) -> bool:
        """Read on, at least as much as is held, so that a long value is not decoded over and over."""
        if self.ended:
            return False
        kept = self.text[self.place :]
        more = self.file.read(max(CHUNK_CHARS, len(kept)))
        self.ended = not more
        self.text, self.place = kept + more, 0
        return bool(more)

    def _move(self, place: int) -> None:
        self.line += self.text.count("\n", self.place, place)
        self.place = place


def json_rows(file: IO[str], limit_chars: int) -> Iterator[tuple[int, Row | LineError]]:
    """Each element of the list with the line it begins at. What breaks the JSON ends the reading and is told."""
    window = TextWindow(file, limit_chars)
    try:
        if window.peek() == "{" and not enter_list(window):
            return
        window.take("[")
        while window.peek() != "]":
            window.peek()
            line, value = window.line, window.value()
            yield line, value if isinstance(value, dict) else LineError("dataset_line_not_object")
            if window.peek() != "]":
                window.take(",")
    except BrokenError as error:
        yield window.line, LineError(error.code, limit_mb=limit_chars // 2**20)


def enter_list(window: TextWindow) -> bool:
    """Go to the first list inside an object; False when it has none."""
    window.take("{")
    while window.peek() not in ("}", ""):
        if not isinstance(window.value(), str):
            raise BrokenError("dataset_line_json_broken")
        window.take(":")
        if window.peek() == "[":
            return True
        window.value()
        if window.peek() == ",":
            window.take(",")
    return False
