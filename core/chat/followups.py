"""Does a question lean on what was said before? Told by its words, without a model.

Knows Spanish and English best; in other languages only very short questions count as leaning.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.chat.prompt import NO_PASSAGES
from core.chat.talk import language_code, words_of
from core.engines.base import Message
from core.engines.passages import ENGLISH_STOP_WORDS, SPANISH_STOP_WORDS

# All patterns are asked of words in lower case without accents or marks, between single blanks.
# A question that begins like this goes on with the one before.
_CONTINUES = re.compile(
    r"^(?:y|e|o|pero|entonces|ademas|tambien|asi que|o sea|y por que|por que no|and|or|but|so|then|also|what about"
    r"|how about|que tal|que hay de|que pasa con|what if|why not)\b(?! (?:how (?:do|can) (?:i|you|we)))")
# What only asks for more, whole.
_MORE = re.compile(
    r"(?:(?:y )?(?:por que|como|cuando|donde|quien|quienes|cuanto|cuantos|cuantas|cual|cuales|para que|desde cuando"
    r"|en que|a que|de que|con que|de quien|a quien|entonces|seguro|en serio|de verdad)(?: (?:no|si|exactamente|eso"
    r"|asi))?"
    r"|(?:and )?(?:why|how|when|where|who|which|what|how many|how much|how long|how come|what for|since when|really"
    r"|are you sure|says who)(?: (?:not|so|exactly|then|is that))?"
    r"|(?:dame|dime|cuentame|quiero|pon|ponme|necesito) (?:mas|otro|otra|otros|otras|algun|un|una)?\b.{0,30}"
    r"|(?:give|tell|show) me (?:more|another|some more|an?) ?.{0,30}"
    r"|mas(?: \w+)?|sigue|continua|continua por favor|otro(?: \w+)?|otra(?: \w+)?|more(?: \w+)?|go on|continue|another"
    r"(?: \w+)?|keep going|elaborate|elabora|amplia(?:lo)?|desarrolla(?:lo)?|detalla(?:lo)?)")
# What is to be done with the answer before.
_REWORK = re.compile(
    r"\b(?:explica(?:melo|mela|lo|la|los|las)|explicame (?:eso|esto|lo|mejor|mas)|resume(?:lo|la|los|las|melo)"
    r"|traduce(?:lo|la|los|las|melo)|repite(?:lo|la|melo)?|compara(?:lo|la|los|las)|simplifica(?:lo|la)"
    r"|amplia(?:lo|la)|acorta(?:lo|la)|corrige(?:lo|la)|escribe(?:lo|la)|hazlo|hazla|dilo|dimelo|ponlo|ponla|listalos"
    r"|enumera(?:los|las)|ordena(?:los|las)|(?:mas|menos) (?:corto|breve|simple|sencillo|largo|detalle|detalles"
    r"|detallado|facil)"
    r"|en (?:una|otras|pocas|dos) (?:tabla|lista|palabras|frase|frases)$"
    r"|^(?:\S+ ){0,3}(?:en|al) (?:ingles|espanol|frances|aleman)$"
    r"|in other words|in (?:a|one|two|simple|plain) (?:table|list|words?|sentences?|english|terms)$"
    r"|^(?:\S+ ){0,3}(?:in|into) (?:english|spanish|french|german)$|(?:shorter|simpler|longer)"
    r"|more (?:detail|details|simply|briefly)"
    r"|(?:explain|summari[sz]e|translate|repeat|rephrase|expand|shorten|compare|list|rewrite|simplify) (?:it|that|this"
    r"|them|these|those)|that again|your (?:last )?(?:answer|reply)|tu (?:ultima )?respuesta|la respuesta anterior)\b")
# Words that point back, where nothing after them says to what.
_SPANISH_POINTER = re.compile(
    r"\b(?:eso|esto|aquello|ese|esa|esos|esas|aquel|aquella|aquellos|aquellas|ello|ellos|ellas|el mismo|la misma"
    r"|lo mismo|los mismos|las mismas|dicho|dicha|dichos|dichas|ambos|ambas|alli|ahi|entonces|el anterior"
    r"|la anterior|lo anterior|los anteriores|los demas|las demas|el resto|mencionas|mencionaste|dices|dijiste"
    r"|has dicho|(?:el|la|los|las) (?:primer[oa]|segund[oa]|tercer[oa]|ultim[oa]|otr[oa])s?$"
    r"|(?:los|las) dos(?! \w+s\b))"
    r"\b")
_ENGLISH_POINTER = re.compile(
    r"\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|this|these|those|there|then|such|the same|the former"
    r"|the latter|the rest|the previous|both|you said|you mentioned|you mean|(?:the|which|another|\w+) ones?$"
    r"|which one|the others?$|others$|next$|else|(?:is|was|were|are|does|did|do|about|with|of|by|for|to|from|in|on|at"
    r"|after|before|like|explain|why|how|when|where|mean|means|and) that(?= |$)|that$)\b|^that\b")
# Pointers that say within the question what they mean, or mean nothing.
_SPANISH_OWN = re.compile(
    r"\b(?:es(?:e|a|os|as)|est(?:e|a|os|as)) (?:documento|documentos|archivo|archivos|contrato|informe|texto|pdf|libro"
    r"|manual|articulo|programa|ano|mes|semana|semestre|carpeta)\b|\bpor eso\b|\ba la vez\b|\ben eso\b|\blo que\b"
    r"|\blos que\b|\blas que\b|\bla que\b|\bel que\b|\blo mas\b")
_ENGLISH_OWN = re.compile(
    r"\b(?:this|that|these|those) (?:documents?|files?|contracts?|reports?|texts?|pdfs?|books?|manuals?|articles?"
    r"|programs?|years?|months?|weeks?|folders?)\b|\bis there\b|\bare there\b|\bthere (?:is|are|was|were|any)\b"
    r"|\bwas there\b|\bwere there\b|\bone of\b|\bboth \w+ and\b|\bsuch as\b|\bwhich one of\b|\bno one\b"
    r"|\bit (?:is|was|takes?|took|costs?) .{0,40}\bto\b|\bdoes it (?:take|cost) .{0,60}\bto\b|\bis it (?:possible"
    r"|necessary|true|allowed|required)\b|\bso that\b")
_RELATIVE_THAT = re.compile(r"\b\w+ that (?:the|a|an|is|was|are|were|has|have|had|can|could|will|would|must|should|\w+s"
                            r"|\w+ed)\b|\b(?:say|says|said|know|mean|means|state|states|show|shows|so) that\b")
_NAMED_BEFORE = 2  # content words before a possessive: "el autor del contrato y su firma" says whose
_STANDS_ALONE_WORDS = 25  # a question so long says what it is about


def needs_history(question: str, history: Sequence[Message]) -> bool:
    """Whether this question can only be understood with the ones before it. About 0.2 ms."""
    if not any(message.role == "user" for message in history):
        return False
    words = words_of(question)
    if not words or len(words.split()) > _STANDS_ALONE_WORDS:
        return False
    if _MORE.fullmatch(words) or _REWORK.search(words) or _CONTINUES.search(words):
        return True
    language = language_code(question, history)
    if language == "es":
        return _leans_in_spanish(words)
    if language == "en":
        return _leans_in_english(words)
    return len(words.split()) <= 2 and _is_without_name(question)


def leans_on_answer(question: str, history: Sequence[Message]) -> bool:
    """Whether this goes on about an answer that cited documents: explaining it needs no new passage."""
    answers = [message.content for message in history
               if message.role == "assistant" and message.content != NO_PASSAGES]
    return bool(answers) and re.search(r"\[\d{1,3}\]", answers[-1]) is not None and needs_history(question, history)


def _leans_in_spanish(words: str) -> bool:
    own = _SPANISH_OWN.sub(" ", words)
    if _SPANISH_POINTER.search(own):
        return True
    content = _content(own, SPANISH_STOP_WORDS)
    if not content:
        return True
    for found in re.finditer(r"\b(?:su|sus|suyo|suya|suyos|suyas)\b", own):
        if len(_content(own[: found.start()], SPANISH_STOP_WORDS)) < _NAMED_BEFORE:
            return True
    # "¿Cuándo lo firmaron?": a pronoun before a verb, and nothing else that it could stand for.
    clitic = re.search(r"\b(?:cuando|como|donde|quien|por que|quienes|cuanto|para que|cual|que) (?:no )?(?:se )?"
                       r"(?:lo|la|los|las|le|les)\b", own)
    if clitic and len(content) <= 2:
        return True
    # "¿En qué año se encendió?", "¿Hay otros?", "¿Qué más se sabe?": something is left out at the end.
    if len(content) <= 3 and re.search(r"\bse(?: (?:puede|pueden|podia|debe|suele))? \w+$|\b(?:otro|otra|otros|otras)"
                                       r"(?: \w+)?$|^(?:que|quien|quienes|cual|donde) mas\b|^estas? segur[oa]$", own):
        return True
    # "¿Cuánto cuesta?": a verb without its subject.
    return len(own.split()) <= 3 and len(content) == 1 and _is_bare_verb(own)


def _leans_in_english(words: str) -> bool:
    own = _RELATIVE_THAT.sub(" ", _ENGLISH_OWN.sub(" ", words))
    content = _content(own, ENGLISH_STOP_WORDS)
    if not content:
        return True
    for found in _ENGLISH_POINTER.finditer(own):
        before = _content(own[: found.start()], ENGLISH_STOP_WORDS)
        if len(before) < _NAMED_BEFORE or found[0].endswith(("that", "those", "the same", "the former", "the latter")):
            return True
    return False


def _is_bare_verb(words: str) -> bool:
    """Whether a question word and one more are all there is, and that one is no name of a thing: "cuánto cuesta"."""
    return re.fullmatch(r"(?:(?:a|de|en|por|para|desde|hasta|con) )?(?:que|cuando|como|donde|quien|quienes|cuanto"
                        r"|cuanta|cuantos|cuantas|cual)(?: se)? \w+(?:a|e|o|an|en|on|aron|ieron|io|aba|ia)", words
                        ) is not None


def _is_without_name(question: str) -> bool:
    return not any(word[:1].isupper() for word in question.split()[1:])


def _content(words: str, stop_words: str) -> list[str]:
    stopped = set(stop_words.split())
    return [word for word in words.split() if word not in stopped and (len(word) > 1 or word.isdigit())]
