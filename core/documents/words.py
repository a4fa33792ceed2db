"""What counts as a word in a language: in lower case, stemmed, without accents. And which words of a question only ask.

Knows nothing of an index or of passages.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from typing import Any

from core.documents.language import OTHER, STEMMERS

_MAX_TOKEN_BYTES = 64
_WORD = re.compile(r"\w+")
# Words that ask. Passages seldom hold them, so an index takes "how" and "cuánto" for telling words; most lists of
# stop words leave them out. They stand beside Tantivy's lists, which miss five languages, and without accents, as
# many people type.
_UNLISTED = ("ar", "el", "ro", "ta", "tr")
_ASKING = {
    "ar": "ما ماذا من متى اين أين كيف كم لماذا هل اي أي",
    "da": "hvad hvem hvis hvilken hvilket hvilke hvornar hvor hvordan hvorfor mange meget",
    "de": "was wer wen wem wessen wann wo woher wohin warum weshalb wieso wie welche welcher welches welchem welchen "
          "viel viele wurde wurden",
    "el": "τι ποιος ποια ποιο ποιοι ποτε που πως γιατι ποσο ποσα ποσοι ποσες",
    "en": "what which who whom whose when where why how many much do does did has have had were can could would should",
    "es": "que cual cuales quien quienes cuando donde adonde como cuanto cuanta cuantos cuantas por",
    "fi": "mika mita mitka missa mista mihin kuka kenen ketka milloin koska miksi miten kuinka paljon monta montako",
    "fr": "que quoi qui quel quelle quels quelles quand ou comment combien pourquoi est ce etait sont a ont",
    "hu": "mi mit mik ki kit kik mikor hol hova honnan miert hogyan mennyi hany melyik milyen",
    "it": "che cosa chi quale quali qual quando dove come quanto quanta quanti quante perche",
    "nl": "wat wie wiens wanneer waar waarom hoe welke welk hoeveel veel",
    "no": "hva hvem hvilken hvilket hvilke nar hvor hvordan hvorfor mange mye",
    "pt": "que qual quais quem quando onde como quanto quanta quantos quantas porque por",
    "ro": "ce care cine cui cand unde cum cat cata cati cate de este sunt in la si a al ale",
    "ru": "что кто кого кому чей какой какая какое какие когда где куда откуда почему зачем как сколько который",
    "sv": "vad vem vems vilken vilket vilka nar var hur varfor manga mycket",
    "ta": "என்ன யார் எது எங்கே எப்போது ஏன் எப்படி எத்தனை",
    "tr": "ne kim kimin hangi nerede nereye nereden nasil neden nicin kac ne mi mu ve bir",
}


def tokens(text: str, language: str) -> list[str]:
    """The words of `text` in their order, as the index of `language` knows them."""
    found: list[str] = analyzer(language).analyze(text)
    return found


def folded(text: str) -> str:
    """The words of `text` in lower case and without accents, between single blanks."""
    return " ".join(tokens(text, OTHER))


def asked_words(question: str, language: str) -> list[str]:
    """The words of `question`, as written, without those of `language` that only ask; all of them when no other is
    left."""
    words = _WORD.findall(question)
    return [word for word in words if folded(word) not in _asking(language)] or words


def content_words(question: str, language: str) -> list[str]:
    """The words of `question`, as written, without the function words of `language`; all of them when no other is
    left: "to be or not to be"."""
    words = asked_words(question, language)
    return [word for word in words if _without_stop_words(language).analyze(word)] or words


def words_among(text: str, language: str, wanted: Collection[str]) -> tuple[str, ...]:
    """The words of `text`, as written there, that are one of the `wanted` tokens."""
    words = dict.fromkeys(_WORD.findall(text))
    return tuple(word for word in words if any(token in wanted for token in tokens(word, language)))


@cache
def analyzer(language: str) -> Any:
    """Tantivy's analyzer: first stemmed, then without accents, for a stemmer needs the accents that a hurried
    reader leaves out. Of OTHER: not stemmed."""
    import tantivy

    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    builder = builder.filter(tantivy.Filter.remove_long(_MAX_TOKEN_BYTES)).filter(tantivy.Filter.lowercase())
    if language != OTHER:
        builder = builder.filter(tantivy.Filter.stemmer(STEMMERS[language]))
    return builder.filter(tantivy.Filter.ascii_fold()).build()


@cache
def _asking(language: str) -> frozenset[str]:
    return frozenset(_ASKING.get(language, "").split())


@cache
def _without_stop_words(language: str) -> Any:
    import tantivy

    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple()).filter(tantivy.Filter.lowercase())
    if language in STEMMERS and language not in _UNLISTED:
        builder = builder.filter(tantivy.Filter.stopword(STEMMERS[language]))
    return builder.build()
