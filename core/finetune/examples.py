"""One row of a user's file → the examples it holds: which column is the question, which the answer, or a whole chat.

Knows neither files (`formats` does) nor tokens.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Any, Literal

from core.errors import TrainingError

Row = Mapping[str, Any]
Turns = Literal["all", "last"]

# What people call these columns, in Spanish and English, without accents; the first found is taken.
INSTRUCTION_NAMES = ("instruction", "instruccion", "prompt", "question", "pregunta", "query", "consulta", "user",
                     "usuario", "peticion", "orden")
INPUT_NAMES = ("input", "entrada", "context", "contexto")
OUTPUT_NAMES = ("output", "response", "answer", "completion", "respuesta", "salida", "assistant", "asistente",
                "target", "solution", "solucion", "resultado")
HISTORY_NAMES = ("history", "historial")
SYSTEM_NAMES = ("system", "sistema", "system_prompt")
MESSAGES_NAMES = ("messages", "conversations", "conversation", "mensajes", "conversacion", "chat", "dialogue")
ROLES = {"system": "system", "developer": "system", "sistema": "system", "user": "user", "human": "user",
         "usuario": "user", "assistant": "assistant", "gpt": "assistant", "model": "assistant", "bot": "assistant",
         "asistente": "assistant"}
SHOWN_CHARS = 40  # of a wrong value, in the sentence about it
# A file where each row has names of its own, or a name of megabytes, must fill neither memory nor time.
GUESSES_KEPT = 200
GUESS_CHARS = 2000
NAMES_READ = 1000


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said before: `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Example:
    """One answer to learn. `instruction` already holds the optional input, after a blank line; `history` is what
    comes before it in a chat. `line` is that of the user's file: the examples of one conversation share it."""

    instruction: str
    output: str
    history: tuple[Turn, ...] = ()
    line: int = field(default=0, compare=False)


class LineError(Exception):
    """A line that is no example: `code` and values of its Problem."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code)
        self.code = code
        self.values = values


@dataclass(frozen=True)
class ColumnMapping:
    """Which column holds what; empty where a file has none for it."""

    instruction: str = ""
    input: str = ""
    output: str = ""
    messages: str = ""
    history: str = ""
    system: str = ""

    @property
    def complete(self) -> bool:
        """Whether a row can become an example by it."""
        return bool(self.messages or (self.instruction and self.output))

    @property
    def columns(self) -> tuple[str, ...]:
        names = (self.instruction, self.input, self.output, self.messages, self.history, self.system)
        return tuple(filter(None, names))


def mapping_of(texts: Mapping[str, str]) -> ColumnMapping:
    """A mapping as a person writes it: `{"instruction": "frase", "output": "traducción"}`. Raises TrainingError
    dataset_mapping_wrong for a part that no row has, and where question or answer is missing."""
    known = [each.name for each in fields(ColumnMapping)]
    if set(texts) <= set(known) and (mapping := ColumnMapping(**texts)).complete:
        return mapping
    raise TrainingError("dataset_mapping_wrong", given=", ".join(texts), known=", ".join(known))


def guess_mapping(names: Iterable[str]) -> ColumnMapping:
    """The mapping that usual names tell. Where only an input and an output are found, the input is the question."""
    known: dict[str, str] = {}
    for name in islice(names, NAMES_READ):
        known.setdefault(plain_name(name), name)

    def first(candidates: Sequence[str]) -> str:
        return next((known[name] for name in candidates if name in known), "")

    instruction, extra = first(INSTRUCTION_NAMES), first(INPUT_NAMES)
    if not instruction:
        instruction, extra = extra, ""
    return ColumnMapping(instruction, extra, first(OUTPUT_NAMES), first(MESSAGES_NAMES), first(HISTORY_NAMES),
                         first(SYSTEM_NAMES))


def plain_name(name: str) -> str:
    """`" Instrucción "` → `instruccion`."""
    letters = unicodedata.normalize("NFKD", str(name)[:100]).casefold()
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).strip()


class ExampleReader:
    """Rows → examples, by the mapping given or else by what each row's own names tell.

    `turns`: of a conversation every answer is an example of its own, or only the last one.
    """

    def __init__(self, mapping: ColumnMapping | None = None, turns: Turns = "all") -> None:
        self.given = mapping
        self.first: ColumnMapping | None = mapping  # of the first row that told one
        self.turns = turns
        self._guessed: dict[tuple[str, ...], ColumnMapping] = {}

    def examples(self, line: int, row: Row) -> list[Example]:
        """At least one. Raises LineError."""
        mapping = self.given or self._guess(row)
        if mapping.messages and row.get(mapping.messages) not in (None, "", []):
            return conversation(line, turns_of(row[mapping.messages], mapping.messages), self.turns)
        first = self.first or mapping
        instruction = text_of(row, mapping.instruction or first.instruction or "instruction")
        output = text_of(row, mapping.output or first.output or "output")
        extra = text_of(row, mapping.input) if mapping.input and row.get(mapping.input) not in (None, "") else ""
        if extra:
            instruction = f"{instruction}\n\n{extra}"
        before = history_of(row, mapping)
        if before:
            return conversation(line, ordered([*before, Turn("user", instruction), Turn("assistant", output)]), "last")
        return [Example(instruction, output, (), line)]

    def _guess(self, row: Row) -> ColumnMapping:
        names = tuple(row)
        known = self._guessed.get(names)
        if known is None:
            known = guess_mapping(names)
            if len(self._guessed) < GUESSES_KEPT and sum(map(len, names)) < GUESS_CHARS:
                self._guessed[names] = known
            if self.first is None and known.complete:
                self.first = known
        return known


def text_of(row: Row, name: str) -> str:
    """A field's text, without the blanks around it. Raises LineError."""
    if name not in row:
        raise LineError("dataset_line_missing_field", field=shown(name))
    value = row[name]
    if not isinstance(value, str):
        raise LineError("dataset_line_wrong_type", field=shown(name))
    text = clean(value)
    if not text and name not in INPUT_NAMES:
        raise LineError("dataset_line_empty_text", field=shown(name))
    return text


def clean(value: str) -> str:
    """A text without the blanks around it. Raises LineError for characters that no file can hold."""
    if "\0" in value:
        raise LineError("dataset_line_nul")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:  # half of a surrogate pair, or a byte that was no UTF-8
            raise LineError("dataset_line_not_utf8") from error
    return value.strip()


def shown(value: object) -> str:
    """A value from outside, fit for a sentence."""
    text = str(value)[: SHOWN_CHARS + 1].encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"


def turns_of(value: object, name: str) -> list[Turn]:
    """The turns of a chat: an optional system text, then user and assistant in turn, ending with an answer: what
    the chat templates of models accept. Raises LineError naming the turn, from 1."""
    if isinstance(value, str):  # a table's cell
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise LineError("dataset_line_chat_not_list", field=shown(name)) from error
    if not isinstance(value, list) or not value:
        raise LineError("dataset_line_chat_not_list", field=shown(name))
    return ordered([turn_of(number, entry) for number, entry in enumerate(value, start=1)])


def history_of(row: Row, mapping: ColumnMapping) -> list[Turn]:
    """What a row says was before its question: a system text, and turns or pairs of question and answer."""
    turns = []
    if mapping.system and row.get(mapping.system) not in (None, ""):
        turns.append(Turn("system", text_of(row, mapping.system)))
    before = row.get(mapping.history) if mapping.history else None
    if before in (None, "", []):
        return turns
    if not isinstance(before, list):
        raise LineError("dataset_line_chat_not_list", field=shown(mapping.history))
    for number, entry in enumerate(before, start=1):
        if isinstance(entry, list) and len(entry) == 2:
            turns += [turn_of(number, {"role": role, "content": text})
                      for role, text in zip(("user", "assistant"), entry, strict=True)]
        else:
            turns.append(turn_of(number, entry))
    return turns


def ordered(turns: list[Turn]) -> list[Turn]:
    """The same turns. Raises LineError where they are not in an order that models know."""
    expected = "user"
    for number, turn in enumerate(turns, start=1):
        if number == 1 and turn.role == "system":
            continue
        if turn.role != expected:
            raise LineError("dataset_line_chat_order", turn=number, role=turn.role, expected=expected)
        expected = "assistant" if expected == "user" else "user"
    if turns[-1].role != "assistant":
        raise LineError("dataset_line_chat_no_answer")
    return turns


def turn_of(number: int, entry: object) -> Turn:
    """`{"role", "content"}`, or `{"from", "value"}` as ShareGPT has it; a content in parts is joined."""
    if not isinstance(entry, dict):
        raise LineError("dataset_line_chat_turn", turn=number)
    role = entry.get("role", entry.get("from"))
    content = entry.get("content", entry.get("value"))
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else None for part in content]
        texts = [part for part in parts if isinstance(part, str)]
        content = "".join(texts) if len(texts) == len(parts) else None
    if not isinstance(role, str) or not isinstance(content, str):
        raise LineError("dataset_line_chat_turn", turn=number)
    known = ROLES.get(plain_name(role))
    if known is None:
        raise LineError("dataset_line_chat_role", turn=number, role=shown(role))
    text = clean(content)
    if not text:
        raise LineError("dataset_line_chat_empty", turn=number)
    return Turn(known, text)


def conversation(line: int, turns: Sequence[Turn], wanted: Turns) -> list[Example]:
    """Every answer with all that came before it, or the last one alone. The loss falls on one answer a row, so a
    conversation of n answers is learnt whole as n rows, whatever the model's template can mark."""
    answers = [number for number, turn in enumerate(turns) if turn.role == "assistant"]
    if wanted == "last":
        answers = answers[-1:]
    return [Example(turns[number - 1].content, turns[number].content, tuple(turns[: number - 1]), line)
            for number in answers]


def to_rows(example: Example) -> dict[str, list[dict[str, str]]]:
    """A row as TRL takes it: with prompt and completion apart, the loss falls on the completion only."""
    before = [{"role": turn.role, "content": turn.content} for turn in example.history]
    return {
        "prompt": [*before, {"role": "user", "content": example.instruction}],
        "completion": [{"role": "assistant", "content": example.output}],
    }
