"""Every text a user reads, in Spanish and English. Knows no gradio: the terminal uses it too.

Keys are dotted (`documents.sync`); a sentence may hold `{placeholders}`. The page's own labels, which the
browser translates, are handed to gradio under the same keys with a prefix (see `ui.page`).
"""

from __future__ import annotations

import json
import locale
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from core.errors import AppError

LANGUAGES = ("es", "en")
LANGUAGE_COOKIE = "taller_language"  # of the switch in the header
DEFAULT_LANGUAGE = "en"


@cache
def texts(language: str) -> dict[str, str]:
    """All texts of one language."""
    path = Path(__file__).parent / "locales" / f"{language}.json"
    loaded: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def translate(language: str, key: str, **values: object) -> str:
    """The text of `key` with its placeholders filled. A missing key is a bug: KeyError."""
    text = texts(language)[key]
    return text.format_map(values) if values else text


def explain(language: str, error: AppError) -> str:
    """The sentence of an error a user can act on."""
    return translate(language, f"error.{error.code}", **error.values)


def choose_language(preferences: str) -> str:
    """The first language of an Accept-Language header, or of a list like it, that the page speaks."""
    for part in preferences.replace("_", "-").split(","):
        language = part.split(";")[0].strip().split("-")[0].lower()
        if language in LANGUAGES:
            return language
    return DEFAULT_LANGUAGE


def terminal_language(environment: Mapping[str, str] = os.environ) -> str:
    """The language of the terminal: LC_ALL, LC_MESSAGES, LANG, then what the system says (Windows)."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environment.get(name):
            return choose_language(environment[name].split(".")[0])
    return choose_language(locale.getlocale()[0] or "")


def plural(language: str, key: str, count: int, **values: object) -> str:
    """The text of `key.one` or `key.many`, with `{count}` filled."""
    form = "one" if count == 1 else "many"
    return translate(language, f"{key}.{form}", count=count, **values)
