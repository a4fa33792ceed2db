"""What the small Ollama of the tests answers: texts built from the prompt. Knows no HTTP."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence

PASSAGE = re.compile(r'<passage number="(\d+)"[^>]*>(.*?)</passage>', re.DOTALL)
TAG = re.compile(r"<[^>]+>")
SPANISH = re.compile(
    r"[¿¡ñáéíóú]|\b(qué|que|cómo|como|cuál|cuándo|dónde|quién|el|la|los|las|de|del|una?|por|hola)\b", re.I
)
Messages = Sequence[Mapping[str, str]]


def cited_reply(messages: Messages) -> str:
    """The beginning of passage 1, cited; for tests."""
    passages = _passages(messages)
    if not passages:
        return "There are no passages to answer from."
    number, text = passages[0]
    return f"The document says: {_first_words(text, 12)} [{number}]."


def pleasant_reply(messages: Messages) -> str:
    """A few sentences as a good model would write them, in the question's language, to look at."""
    passages, question = _passages(messages), _question(messages)
    spanish = SPANISH.search(question) is not None
    if not passages:
        return (
            "No encuentro nada sobre eso en tus documentos. Prueba a preguntarlo con otras palabras."
            if spanish
            else "I find nothing about that in your documents. Try asking in other words."
        )
    first = _first_words(passages[0][1], 22)
    second = _first_words(passages[1][1], 14) if len(passages) > 1 else ""
    number, other = passages[0][0], passages[1][0] if len(passages) > 1 else passages[0][0]
    parts = (
        _spanish_parts(first, second, number, other)
        if spanish
        else _english_parts(first, second, number, other)
    )
    if len(question) % 3 == 0 and second:
        title = ("Fuente", "Qué dice") if spanish else ("Source", "What it says")
        rows = [f"| [{n}] | {_first_words(text, 8)} |" for n, text in passages[:2]]
        parts.append("\n".join([f"| {title[0]} | {title[1]} |", "| --- | --- |", *rows]))
    return "\n\n".join(parts)


def _spanish_parts(first: str, second: str, number: str, other: str) -> list[str]:
    parts = [f"**En pocas palabras:** tus documentos lo explican así: «{first}…» [{number}]."]
    if second:
        parts.append(
            f"Además, otro pasaje añade un detalle que conviene tener en cuenta: «{second}…» [{other}]."
        )
    return [*parts, "Si quieres, puedo resumir el resto de la página o comparar ambos pasajes."]


def _english_parts(first: str, second: str, number: str, other: str) -> list[str]:
    parts = [f"**In short:** your documents put it this way: “{first}…” [{number}]."]
    if second:
        parts.append(f"Another passage adds a detail worth keeping in mind: “{second}…” [{other}].")
    return [*parts, "I can sum up the rest of the page, or compare both passages, if you like."]


def pieces(text: str) -> list[str]:
    """`text` cut as a model streams it: words with the space before them."""
    return re.findall(r"\s*\S+|\s+$", text)


def count_tokens(messages: Messages) -> int:
    """About as many tokens as a model would count: four characters each."""
    return sum(len(message.get("content", "")) for message in messages) // 4 + 1


def _last_user_text(messages: Messages) -> str:
    return next((m.get("content", "") for m in reversed(messages) if m.get("role") == "user"), "")


def _passages(messages: Messages) -> list[tuple[str, str]]:
    return PASSAGE.findall(_last_user_text(messages))


def _question(messages: Messages) -> str:
    outside = TAG.sub("", PASSAGE.sub("", _last_user_text(messages)))
    lines = [line.strip() for line in outside.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _first_words(text: str, count: int) -> str:
    words = re.sub(r"[*_`|\[\]<>]", "", text).split()
    return " ".join(itertools.islice(words, count)).rstrip(".,;:")
