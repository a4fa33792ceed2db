"""Which passages a question is answered from: the best ones, or a document from beginning to end. Knows no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.chat.events import AnswerOptions
from core.chat.library import Library
from core.chat.prompt import Room
from core.chat.talk import document_asked_for, wants_whole
from core.documents.search import Hit

# The least relevance of the best passage. On XQuAD, the right articles there in the question's language or not there at
# all: refuses 1.6% and .8% of English and Spanish questions that can be answered, 98% and 79% of those that cannot.
RELEVANT = 0.27
_UNLIMITED_CHARS = 200_000  # of a document that goes in whole where nothing limits the model


@dataclass(frozen=True)
class Found:
    """`relevant` tells whether any of it is about the question."""

    hits: tuple[Hit, ...]
    relevant: bool
    whole_document: str = ""
    too_long: str = ""


def find(question: str, query: str, library: Library, names: Sequence[str], room: Room,
         options: AnswerOptions, *, quoting: bool) -> Found:
    """What there is for `question`, searched as `query` among the documents `names`. `quoting`: the engine quotes
    single sentences, so a whole document is of no use to it. May raise DocumentError."""
    document = document_asked_for(question, names, options.sources)
    asked_whole = bool(document) and wants_whole(question)
    if document and not quoting:
        limit = room.whole_document_chars(question, options) if room.limit else _UNLIMITED_CHARS
        whole = library.whole(document, limit)
        if whole is not None:
            return Found(tuple(whole), True, whole_document=document)
        if asked_whole:
            return Found(tuple(library.spread(document, limit)), True, too_long=document)
    sources = (document,) if document else options.sources
    hits = tuple(library.search(query, options.top_k, sources))
    relevant = any(hit.relevance >= RELEVANT for hit in hits) or (asked_whole and bool(hits))
    too_long = document if document and not quoting and document not in options.sources else ""
    return Found(hits, relevant, too_long=too_long)

