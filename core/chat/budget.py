"""How many tokens a text takes, without a tokenizer: estimated from its characters, more likely too many than too few,
and corrected by what each model counted. Knows nothing of prompts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

Ratios = list[float]  # characters a token as measured, the last at the end

# English runs at about 4 characters a token, Spanish at 3.3, code and tables at less.
DEFAULT_RATIO = 3.0
_LEAST_RATIO, _MOST_RATIO = 1.2, 4.2
_PLAUSIBLE_RATIO = 5.5  # more characters a token: most of the prompt was cached, and was not counted
_MARGIN = 0.93  # of what was measured: the next text may be denser
_SAMPLES = 20
_ENOUGH = 4  # samples before an estimate may become bolder than the default
_LEAST_TOKENS = 200  # of a prompt to learn from: in a short one the chat template's own words tip the scales
_TIGHTENED = 0.8
_GUESS_ANSWERS = 3  # counted prompts after which a refusal is forgotten: what was measured knows better than a guess
MESSAGE_TOKENS = 8  # what a chat template adds around each message


class Calibration:
    """Characters a token, by model. Safe for several threads.

    A count can be too low, where the server had part of the prompt cached, and never too high: so the least ratio of
    the last samples counts. A refusal counts nothing; it makes a guess, which holds until some prompts were counted.
    `saved` is what was known before; `save` keeps what is learnt.
    """

    def __init__(self, saved: Mapping[str, Ratios] | None = None,
                 save: Callable[[str, Ratios], None] | None = None) -> None:
        self._ratios = {model: list(ratios) for model, ratios in (saved or {}).items()}
        self._guesses: dict[str, tuple[float, int]] = {}  # characters a token, and how many prompts it still holds
        self._save = save
        self._lock = threading.Lock()

    def ratio(self, model: str) -> float:
        """Characters a token, on the safe side."""
        with self._lock:
            ratios = self._ratios.get(model, [])
            guess, _ = self._guesses.get(model, (_MOST_RATIO, 0))
        least = min(ratios) * _MARGIN if ratios else DEFAULT_RATIO
        most = _MOST_RATIO if len(ratios) >= _ENOUGH else DEFAULT_RATIO
        return max(min(least, most, guess), _LEAST_RATIO)

    def learn(self, model: str, texts: Iterable[str], prompt_tokens: int) -> None:
        """Note that the messages with these texts took `prompt_tokens`, as the model's server counted."""
        texts = list(texts)
        wide = sum(map(_wide, texts))
        narrow = sum(map(len, texts)) - wide
        tokens = prompt_tokens - wide - MESSAGE_TOKENS * len(texts)
        if prompt_tokens < _LEAST_TOKENS or tokens <= 0 or narrow < wide:
            return
        ratio = narrow / tokens
        if not _LEAST_RATIO <= ratio <= _PLAUSIBLE_RATIO:
            return
        with self._lock:
            ratios = self._ratios[model] = [*self._ratios.get(model, []), round(ratio, 3)][-_SAMPLES:]
            guess, left = self._guesses.pop(model, (0.0, 0))
            if left > 1:
                self._guesses[model] = guess, left - 1
        if self._save is not None:
            self._save(model, ratios)

    def tighten(self, model: str) -> None:
        """The model refused a prompt that was estimated to fit."""
        guess = self.ratio(model) * _TIGHTENED
        with self._lock:
            self._guesses[model] = guess, _GUESS_ANSWERS


def estimate_tokens(text: str, ratio: float = DEFAULT_RATIO) -> int:
    """Tokens of a message with this text, for a model with `ratio` characters a token."""
    wide = _wide(text)
    return int((len(text) - wide) / ratio) + wide + MESSAGE_TOKENS


def _wide(text: str) -> int:
    """Chinese, Japanese, Korean characters and pictures: about one token each."""
    return 0 if text.isascii() else sum(ord(character) > 0x2E7F for character in text)
