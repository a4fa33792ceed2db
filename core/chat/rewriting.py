"""A question as search should be asked it: one short call to the model makes a follow-up stand alone, or asks it in the
language of the documents. What the model writes is believed only where it is a question about what was said.

Knows nothing of search.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence

from core.chat.citations import without_citations
from core.chat.followups import needs_history
from core.chat.talk import language_code, language_name, words_of
from core.documents.language import STEMMERS
from core.documents.words import content_words
from core.engines.base import ChatRequest, Engine, Finished, Message, Token
from core.engines.sentences import split_sentences
from core.errors import EngineError

REWRITE_SECONDS = 10.0
_REWRITE_TOKENS = 64
_THINKING_TOKENS = 256
_MOST_CHARS = 300  # of a rewritten question: a longer one is an answer
_MOST_SENTENCES = 2  # "Who signed it? And when?"
_SAID_BEFORE = 0.5  # the share of its content words that the conversation holds
_STEM_CHARS = 5  # words that begin alike count as the same
_TOLD_CHARS = 500  # of an earlier answer, to the model that rewrites
_KEYWORDS = 8  # of the question before, for an engine without a model

_SYSTEM = """\
Rewrite the user's last question so that it can be understood without the conversation: put names in place of pronouns \
and add what was left out. Keep its language and its meaning. Do not answer it. Write the question alone, on one \
line."""
_TRANSLATE = """\
Rewrite the user's question as a search query in {name}, understandable without the conversation. Do not answer it. \
Write the query alone, on one line."""

_THOUGHTS = re.compile(r"(?s)<think>.*?(?:</think>|\Z)")
_PREFIX = re.compile(
    r"(?i)^[\"'“«*_`# ]*(?:(?:the |la )?(?:rewritten |standalone |search |last |translated )?"
    r"(?:question|query|translation|pregunta|consulta|traducción)"
    r"(?: (?:reescrita|independiente|de búsqueda|traducida))?)[*_` ]*:[*_` ]*")
# What speaks of the question, or of the model, instead of asking; and what passages that give orders are answered with.
_NO_QUESTION = re.compile(
    r"^(?:(?:i m |i am )?(?:very |so )?sorry|(?:lo siento|disculpa|perdon)\b"
    r"|i (?:can ?not|can t|won t|am (?:unable|not able) to) (?:help|assist|answer|rewrite|translate|provide|comply)\b"
    r"|no puedo (?:ayudar|responder|contestar|reescribir|traducir|dar)\b|as an? (?:ai|language model)|como modelo de\b"
    r"|(?:the|this) (?:user|question|query|conversation)\b|(?:el|la|este|esta) (?:usuari[oa]|pregunta|consulta)\b"
    r"|(?:(?:sure|claro|of course|por supuesto) )?(?:here is|here s|aqui (?:tienes|esta))\b"
    r"|(?:ignore|disregard|ignora|olvida) (?:all|any|the|your|previous|todas?|las?|tus)\b)")


async def rewrite(question: str, history: Sequence[Message], engine: Engine, model: str, *,
                  seconds: float = REWRITE_SECONDS) -> str:
    """A leaning question as search should be asked it, by one short call; `fallback`'s when the model fails, takes
    longer than `seconds` or writes something else. Cancelling this closes the engine's connection."""
    plain = fallback(question, history)
    if engine.name == "passages":
        return plain
    line = _only_line(await _written(_SYSTEM, question, history, engine, model, seconds))
    language, other = language_code(question, history), language_code(line)
    if language not in STEMMERS:  # nothing is known of its words, perhaps not even where they end
        return line or plain
    same_language = language == other or other not in STEMMERS
    return line if same_language and _is_about(line, question, history) else plain


async def translate(question: str, history: Sequence[Message], engine: Engine, model: str, into: str, *,
                    seconds: float = REWRITE_SECONDS) -> str:
    """The question as a search query in the language with the code `into`; empty when the model fails, takes longer
    than `seconds` or writes something else."""
    system = _TRANSLATE.format(name=language_name(into))
    line = _only_line(await _written(system, question, history, engine, model, seconds))
    return line if line != question and language_code(line) != language_code(question, history) else ""


def fallback(question: str, history: Sequence[Message]) -> str:
    """The question with the telling words of the last one that stood for itself."""
    before = [message for message in history if message.role == "user"]
    for index in range(len(before) - 1, -1, -1):
        if not index or not needs_history(before[index].content, before[:index]):
            asked = before[index].content
            break
    else:
        return question
    own = set(words_of(question).split())
    kept = [word for word in content_words(asked, language_code(asked)) if words_of(word) not in own]
    return " ".join([question, *kept[:_KEYWORDS]])


async def _written(system: str, question: str, history: Sequence[Message], engine: Engine, model: str,
                   seconds: float) -> str:
    """All the model writes, as far as it comes."""
    think, tokens = _thinking(engine.name, model)
    request = ChatRequest(model, _messages(system, question, history), question, (), 0.0, think, tokens)
    text = ""
    with contextlib.suppress(EngineError, TimeoutError):
        async with asyncio.timeout(seconds), contextlib.aclosing(engine.chat(request)) as events:
            async for event in events:
                if isinstance(event, Token):
                    text += event.text
                if isinstance(event, Finished) or len(text) > _MOST_CHARS:
                    return text
    return ""


def _thinking(engine: str, model: str) -> tuple[str | None, int]:
    """The least a model can think, and the tokens it may write: gpt-oss thinks always, and that counts."""
    if "gpt-oss" in model.lower():
        return "low", _REWRITE_TOKENS + _THINKING_TOKENS
    # Ollama and our own server pass over what a model does not know; another server may refuse it.
    return ("off" if engine in ("ollama", "embedded") else None), _REWRITE_TOKENS


def _messages(system: str, question: str, history: Sequence[Message]) -> tuple[Message, ...]:
    """The last exchange or two and the question, as one message: a model that sees a conversation goes on with it."""
    told = []
    for message in history[-4:]:
        content = without_citations(message.content)[:_TOLD_CHARS]
        told.append(f"{'User' if message.role == 'user' else 'Assistant'}: {content}")
    conversation = "<conversation>\n" + "\n".join(told) + "\n</conversation>\n\n" if told else ""
    return (Message("system", system), Message("user", f"{conversation}Last question: {question}"))


def _only_line(text: str) -> str:
    """The one line that was asked for, without what models put around it; empty when that is not what came."""
    lines = [line.strip() for line in _THOUGHTS.sub("", text).splitlines() if line.strip()]
    if len(lines) == 2 and lines[0].endswith(":"):
        del lines[0]  # "Here is the question:"
    if len(lines) != 1:
        return ""
    line = without_citations(_PREFIX.sub("", lines[0])).strip(" \"'“”«»*`")
    fits = 2 < len(line) <= _MOST_CHARS and len(list(split_sentences(line))) <= _MOST_SENTENCES
    return "" if not fits or _NO_QUESTION.search(words_of(line)) else line


def _is_about(line: str, question: str, history: Sequence[Message]) -> bool:
    """Whether a rewritten question says what the conversation says: something in the user's own words, and little that
    nobody said. What a passage made the model write, an answer and an excuse do not."""
    asked = [question, *(message.content for message in history if message.role == "user")]
    said = [*asked, *(message.content for message in history if message.role == "assistant")]
    words = _beginnings(line)
    return bool(words & _beginnings(*asked)) and len(words & _beginnings(*said)) >= _SAID_BEFORE * len(words)


def _beginnings(*texts: str) -> set[str]:
    """Of the content words, without their endings."""
    return {words_of(word)[:_STEM_CHARS] for text in texts for word in content_words(text, language_code(text))}
