"""Errors a user can act on.

    AppError                what happened and what to do, as a code the page turns into words
    ├── DocumentError       a file that cannot be read, an index that is held by someone else
    ├── EngineError         a model that does not answer
    └── TrainingError       a dataset, a setting or a run that cannot go on

Core knows no language: an error carries a code and the values of its sentence, and the sentence stands in
`ui/locales/*.json` under `error.<code>`. Anything that is not an AppError is a bug and reaches the log.
"""

from __future__ import annotations


class AppError(Exception):
    """An error with a sentence in every language of the page.

    `code` names the sentence (`error.<code>` in the locales); `values` fill its placeholders. `str()` gives
    both, for logs.
    """

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code, values)
        self.code = code
        self.values = values

    def __str__(self) -> str:
        details = ", ".join(f"{name}={value!r}" for name, value in self.values.items())
        return f"{self.code}({details})"


class DocumentError(AppError):
    """A document, or the index as a whole, cannot be used."""


class EngineError(AppError):
    """The engine that writes the words failed or is missing."""


class TrainingError(AppError):
    """A dataset, a training setting or a training run cannot go on."""
