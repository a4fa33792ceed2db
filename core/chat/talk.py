"""What kind of thing was said: a greeting, thanks, a question about the assistant, or one about a document by name; and
in which language. Knows Spanish and English small talk; every other language counts as a question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from core.documents.language import OTHER, STEMMERS, detect, identify
from core.engines.base import Message
from core.engines.passages import ENGLISH_STOP_WORDS, SPANISH_STOP_WORDS, folded

_CERTAIN_WORDS = 5  # in a text of so many words the identifier can be trusted
_LANGUAGE_NAMES = {
    "ar": "Arabic", "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish", "fi": "Finnish",
    "fr": "French", "hu": "Hungarian", "it": "Italian", "nl": "Dutch", "no": "Norwegian", "pt": "Portuguese",
    "ro": "Romanian", "ru": "Russian", "sv": "Swedish", "ta": "Tamil", "tr": "Turkish", "ca": "Catalan",
    "eu": "Basque", "gl": "Galician", "zh": "Chinese", "ja": "Japanese", "ko": "Korean", "pl": "Polish",
    "uk": "Ukrainian", "cs": "Czech", "he": "Hebrew", "hi": "Hindi",
}
# Without accents, as they are compared; the whole of what was said must be made of these.
_PLEASANTRIES = re.compile(
    r"(?:(?:hola+|buen[oa]s(?: dias| tardes| noches)?|buen dia|hey|saludos|que tal|como estas|como va|como te va"
    r"|(?:muchas |muchisimas |mil )?gracias(?: por (?:todo|la ayuda|tu ayuda))?|te lo agradezco|adios|hasta luego"
    r"|hasta pronto|chao|nos vemos|ok|okey|vale|perfecto|genial|estupendo|de acuerdo|entendido|muy bien|bien"
    r"|hi|hello|hey there|hi there|good (?:morning|afternoon|evening|night)|how are you(?: doing)?|what s up"
    r"|(?:many )?thanks(?: a lot| so much)?|thank you(?: very much| so much)?|cheers|bye|goodbye|see you|okay"
    r"|great|perfect|nice|cool|got it|understood|taller|amigo|everyone|there|a todos)\s*)+"
)
_ABOUT_ITSELF = re.compile(
    r"(?:quien eres(?: tu)?|que eres(?: tu)?|como te llamas|que (?:puedes|sabes) hacer(?: por mi| tu)?"
    r"|en que (?:me )?puedes ayudar(?:me)?|(?:me puedes|puedes) ayudar(?:me)?|como funcionas|que modelo eres"
    r"|que (?:documentos|archivos|ficheros) (?:tienes|hay|conoces|puedes leer|has leido|tengo)"
    r"|(?:cuantos|cuales) (?:documentos|archivos) (?:tienes|hay|tengo|son)|sobre que (?:te )?puedo preguntar(?:te)?"
    r"|que (?:te )?puedo preguntar(?:te)?"
    r"|who are you|what are you|what is your name|what can you do(?: for me)?|what do you do|can you help me"
    r"|how can you help(?: me)?|how do you work|(?:what|which) model are you"
    r"|(?:what|which) (?:documents|files) (?:do you have|do you know|are there|can you read|have you read|do i have)"
    r"|how many (?:documents|files) (?:do you have|are there|do i have)|what can i ask(?: you)?)"
)
_WHOLE = re.compile(
    r"\b(?:resum\w*|sintetiza\w*|sintesis|esquematiza\w*|de que (?:trata|va|habla)|ideas? principal\w*|puntos clave"
    r"|summar\w*|overview|outline|tl ?dr|what is \S+(?: \S+){0,6} about|main (?:ideas?|points?)|key (?:points?|ideas?)"
    r"|todo el (?:documento|archivo|texto)|documento (?:entero|completo)"
    r"|(?:whole|entire) (?:document|file|text))\b"
)
_NAMED_DOCUMENT = re.compile(
    r"\b(?:(?:el|este|ese|del|al|mi) (?:documento|archivo|fichero|pdf|texto)"
    r"|(?:the|this|that|my) (?:document|file|pdf|text))\b")
_SPANISH = frozenset(SPANISH_STOP_WORDS.split()) | {"cual", "cuanto", "donde", "quien", "explica", "resume", "dime"}
_ENGLISH = frozenset(ENGLISH_STOP_WORDS.split()) | {"the", "explain", "tell", "summarize", "please", "give", "show"}


def words_of(text: str) -> str:
    """The words of `text` in lower case, without accents or marks, between single blanks."""
    return " ".join(re.findall(r"\w+", folded(text)))


def is_small_talk(said: str) -> bool:
    """Whether this asks nothing that a document could answer."""
    words = words_of(said)
    if not words:
        return True
    rest = re.sub(rf"^(?:{_PLEASANTRIES.pattern})", "", f"{words} ").strip()
    return not rest or _ABOUT_ITSELF.fullmatch(rest) is not None


def document_asked_for(question: str, names: Sequence[str], limited_to: Sequence[str]) -> str:
    """The one document that is wanted as a whole; empty where none is: the one that the conversation is limited to,
    or that the question names, or the only one there is when the question asks for a summary of it."""
    if len(limited_to) == 1:
        return limited_to[0] if limited_to[0] in names else ""
    among = [name for name in names if name in limited_to] if limited_to else list(names)
    words = f" {words_of(question)} "
    named = [name for name in among if _is_named(words, name)]
    longest = max((len(words_of(name)) for name in named), default=0)
    best = [name for name in named if len(words_of(name)) == longest]
    if len(best) == 1:
        return best[0]
    if not named and len(among) == 1 and _WHOLE.search(words) and _NAMED_DOCUMENT.search(words):
        return among[0]
    return ""


def _is_named(words: str, name: str) -> bool:
    """Whether `words` hold a file's name: with its ending, or without it where the name tells enough."""
    path = PurePosixPath(name)
    if f" {words_of(path.name)} " in words and path.suffix:
        return True
    stem = words_of(path.stem)
    if f" {stem} " not in words:
        return False
    telling = len(stem.split()) > 2 and len(stem) >= 12  # "energía solar" is a subject, too
    return telling or (len(stem) >= 5 and _WHOLE.search(words) is not None)


def wants_whole(question: str) -> bool:
    """Whether a summary, or the gist of a text, is asked for."""
    return _WHOLE.search(words_of(question)) is not None


def language_code(text: str, history: Sequence[Message] = ()) -> str:
    """The language of what was asked, as a code; OTHER where it cannot be told. Short questions are told by their
    small words, then by the questions before."""
    words = words_of(text).split()
    if len(words) >= _CERTAIN_WORDS:
        return identify(text)
    if re.search(r"[¿¡ñ]", text.lower()):
        return "es"
    spanish, english = sum(word in _SPANISH for word in words), sum(word in _ENGLISH for word in words)
    if spanish != english:
        return "es" if spanish > english else "en"
    before = [message.content for message in history if message.role == "user"]
    if before:
        return language_code(before[-1], [message for message in history if message.content != before[-1]])
    guess = detect(text)
    return guess if len(words) > 2 and guess in STEMMERS else OTHER


def language_name(code: str) -> str:
    """In English; empty for one without a name here."""
    return _LANGUAGE_NAMES.get(code, "")
