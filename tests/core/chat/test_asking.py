"""What a question goes through before and after the model: refusals, whole documents, follow-ups, queue, retries."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from core.chat.answer import answer
from core.chat.budget import Calibration
from core.chat.events import AnswerOptions, ChatEvent, Done, Nothing, Partial, Rewritten, Sources, Thought, Waiting
from core.chat.queue import Queues
from core.chat.turns import Turn, history_of
from core.documents.search import Hit
from core.engines.base import Engine, Message
from core.engines.passages import PassagesEngine
from core.errors import EngineError
from core.settings import Settings
from tests.core.chat.conftest import MakeHits, Scribe, Shelf

RENT = "El alquiler vence el 5 de mayo de 2024 y se paga por transferencia a la cuenta de la propietaria."
TALK = [Message("user", "¿Cuándo vence el alquiler de la oficina?"), Message("assistant", "El 5 de mayo [1].")]


def ask(question: str, library: Shelf, engine: Engine, options: AnswerOptions | None = None,
        history: list[Message] | None = None, calibration: Calibration | None = None) -> list[ChatEvent]:
    async def collect() -> list[ChatEvent]:
        return [event async for event in answer(question, history or [], library, engine, "m", Settings(), options,
                                                calibration)]

    return asyncio.run(collect())


def kinds(events: list[ChatEvent]) -> list[str]:
    return list(dict.fromkeys(type(event).__name__ for event in events))


def done_of(events: list[ChatEvent]) -> Done:
    assert isinstance(events[-1], Done)
    return events[-1]


class Bilingual(Shelf):
    """Finds something about one question alone."""

    def __init__(self, hits: list[Hit], query: str) -> None:
        super().__init__(hits, spoken={"es": 1, "en": 1})
        self.query = query

    def search(self, question: str, top_k: int, sources: Sequence[str] = ()) -> list[Hit]:
        hits = super().search(question, top_k, sources)
        return hits if question == self.query else unrelated(hits)


def unrelated(hits: list[Hit]) -> list[Hit]:
    return [replace(hit, relevance=0.05) for hit in hits]


@pytest.mark.parametrize("engine", [Scribe("?"), PassagesEngine()], ids=["model", "passages"])
def test_strict_mode_refuses_without_a_model_when_no_passage_is_relevant(make_hits: MakeHits, engine: Engine) -> None:
    library = Shelf(unrelated(make_hits(RENT)))
    assert ask("¿Quién ganó el mundial de fútbol?", library, engine) == [Nothing("no_match")]
    if isinstance(engine, Scribe):
        assert not engine.requests


@pytest.mark.parametrize(("question", "spoken", "hinted"), [
    ("¿Quién ganó el mundial de fútbol?", {"es": 95, "en": 5}, False),
    ("Who won the football world cup?", {"es": 95, "en": 5}, True),
    ("¿Quién ganó el mundial de fútbol?", {"es": 7, "en": 3, "other": 90}, True),
    ("¿Quién ganó el mundial de fútbol?", {"es": 1}, False), ("mundial fútbol", {"en": 1}, False)])
def test_a_refusal_tells_of_other_languages_where_many_documents_are_in_them(
    make_hits: MakeHits, question: str, spoken: dict[str, int], hinted: bool
) -> None:
    library = Shelf(unrelated(make_hits(RENT)), spoken=spoken)
    assert ask(question, library, Scribe(EngineError("engine_timeout", seconds=1))) == [Nothing("no_match", hinted)]
    # Nobody translates for it: it asks in its own language, or nothing.
    assert ask(question, library, PassagesEngine()) == [Nothing("no_match", hinted)]


def test_what_finds_nothing_is_asked_again_in_the_language_of_the_other_documents(make_hits: MakeHits) -> None:
    query, answer = "When is the rent due?", "El 5 de mayo [1]."
    library = Bilingual(make_hits(RENT), query)
    engine = Scribe(query, answer)
    events = ask("¿Cuándo vence el alquiler del piso?", library, engine)
    assert kinds(events) == ["Rewritten", "Sources", "Partial", "Done"] and events[0] == Rewritten(query)
    assert [asked for asked, _, _ in library.asked] == ["¿Cuándo vence el alquiler del piso?", query]
    assert "in English" in engine.requests[0].messages[0].content
    assert "Answer in Spanish" in engine.requests[1].messages[0].content


def test_what_is_found_at_once_is_not_translated(make_hits: MakeHits) -> None:
    engine = Scribe("El 5 de mayo [1].")
    events = ask("¿Cuándo vence el alquiler?", Shelf(make_hits(RENT), spoken={"es": 1, "en": 9}), engine)
    assert kinds(events) == ["Sources", "Partial", "Done"] and len(engine.requests) == 1


def test_a_refusal_after_a_translation_says_what_was_searched_and_blames_no_language(make_hits: MakeHits) -> None:
    library, query = Shelf(unrelated(make_hits(RENT)), spoken={"es": 1, "en": 9, "fr": 3}), "Who won the world cup?"
    assert ask("¿Quién ganó el mundial de fútbol?", library, Scribe(query)) == [Rewritten(query), Nothing("no_match")]
    assert len(library.asked) == 2


@pytest.mark.parametrize("engine", [Scribe("?"), PassagesEngine()], ids=["model", "passages"])
def test_without_documents_that_is_what_is_said(engine: Engine) -> None:
    assert ask("¿Cuándo vence el alquiler?", Shelf(), engine) == [Nothing("no_documents")]


@pytest.mark.parametrize("strict", [True, False])
def test_that_all_chosen_documents_are_gone_is_what_is_said(make_hits: MakeHits, strict: bool) -> None:
    options = AnswerOptions(sources=("gone.pdf",), strict=strict)
    assert ask("¿Cuándo vence el alquiler?", Shelf(make_hits(RENT)), Scribe("?"), options) == [Nothing("not_these")]


def test_free_mode_answers_from_the_model_and_says_so(make_hits: MakeHits) -> None:
    engine = Scribe("Argentina.")
    events = ask("¿Quién ganó el mundial de fútbol?", Shelf(unrelated(make_hits(RENT))), engine,
                 AnswerOptions(strict=False))
    assert done_of(events).from_model and "alquiler" not in engine.requests[0].messages[-1].content
    cited = ask("¿Cuándo vence el alquiler?", Shelf(make_hits(RENT)), Scribe("El 5 de mayo de 2024 [1]."),
                AnswerOptions(strict=False))
    assert not done_of(cited).from_model


@pytest.mark.parametrize("said", ["hola", "¡Muchas gracias!", "Hi there", "who are you?", "¿Qué documentos tienes?"])
def test_small_talk_is_answered_without_passages(make_hits: MakeHits, said: str) -> None:
    engine, library = Scribe("¡Hola!"), Shelf(make_hits(RENT))
    assert kinds(ask(said, library, engine)) == ["Partial", "Done"]
    assert "doc1.txt" in engine.requests[0].messages[0].content and not library.asked
    assert ask(said, library, PassagesEngine()) == [Nothing("small_talk")]


def test_a_question_about_a_cited_answer_is_not_refused(make_hits: MakeHits) -> None:
    engine = Scribe("¿Qué quiere decir que vence el 5 de mayo?", "Que se paga ese día.")
    events = ask("Explícamelo mejor", Shelf(unrelated(make_hits(RENT))), engine, history=TALK)
    assert kinds(events) == ["Rewritten", "Sources", "Partial", "Done"]


def test_a_follow_up_is_searched_as_rewritten_and_asked_as_written(make_hits: MakeHits) -> None:
    engine = Scribe("¿Quién paga el alquiler de la oficina?", "La inquilina [1].")
    library = Shelf(make_hits(RENT))
    events = ask("¿Y quién lo paga?", library, engine, history=TALK)
    assert events[0] == Rewritten("¿Quién paga el alquiler de la oficina?")
    assert library.asked[0][0] == "¿Quién paga el alquiler de la oficina?"
    first, second = engine.requests
    assert first.max_tokens == 64 and first.temperature == 0.0 and first.think == "off"
    assert second.messages[-1].content.endswith("¿Y quién lo paga?")
    assert second.messages[2].content == "El 5 de mayo."  # numbers of other passages would mislead


def test_a_question_that_stands_alone_is_not_rewritten(make_hits: MakeHits) -> None:
    engine = Scribe("La propietaria [1].")
    assert kinds(ask("¿A qué cuenta se paga el alquiler?", Shelf(make_hits(RENT)), engine, history=TALK)) == [
        "Sources", "Partial", "Done"]
    assert len(engine.requests) == 1


@pytest.mark.parametrize("reply", [EngineError("engine_timeout", seconds=1), "", "a\nb\nc", "x" * 900])
def test_a_rewriting_that_fails_falls_back_to_the_words_of_both_questions(
    make_hits: MakeHits, reply: str | EngineError
) -> None:
    library = Shelf(make_hits(RENT))
    ask("¿Y quién lo paga?", library, Scribe(reply, "La inquilina [1]."), history=TALK)
    assert library.asked[0][0] == "¿Y quién lo paga? vence alquiler oficina"


def test_a_question_in_a_language_of_no_document_that_cannot_be_translated_is_left_to_the_model(
    make_hits: MakeHits
) -> None:
    library = Shelf(unrelated(make_hits("The rent is due in May.")), spoken={"en": 1})
    events = ask("¿Cuándo vence el alquiler del piso?", library, Scribe("Lo siento.", "Mayo [1]."))
    assert kinds(events) == ["Sources", "Partial", "Done"] and done_of(events).text.strip() == "Mayo [1]."
    turn = Turn("¿Cuándo vence el alquiler del piso?")
    turn.apply(events[0])
    assert turn.notes == [("chat.foreign_question", {})]
    quoted = ask("¿Cuándo vence el alquiler del piso?", library, PassagesEngine())[0]
    assert isinstance(quoted, Sources) and quoted.foreign


def test_without_a_model_nothing_unrelated_is_quoted_in_free_mode_either(make_hits: MakeHits) -> None:
    library = Shelf(unrelated(make_hits(RENT)))
    assert ask("¿Quién ganó el mundial?", library, PassagesEngine(), AnswerOptions(strict=False)) == [
        Nothing("no_match")]


def test_a_greeting_is_not_said_to_come_from_the_model(make_hits: MakeHits) -> None:
    assert not done_of(ask("hola", Shelf(make_hits(RENT)), Scribe("¡Hola!"), AnswerOptions(strict=False))).from_model


def test_a_document_that_fits_goes_in_whole_when_asked_about() -> None:
    pages = ["Página uno del contrato.", "Página dos del contrato."]
    library = Shelf(pages={"contrato.pdf": pages, "otro.pdf": ["Otro."]})
    events = ask("Resume contrato.pdf", library, Scribe("Dos páginas [2]."))
    sources = events[0]
    assert isinstance(sources, Sources) and sources.whole_document == "contrato.pdf"
    assert [(hit.rank, hit.page, hit.text) for hit in sources.hits] == [(1, 1, pages[0]), (2, 2, pages[1])]
    assert not library.asked
    limited = ask("¿Qué dice de la fianza?", library, Scribe("Nada."), AnswerOptions(sources=("otro.pdf",)))[0]
    assert isinstance(limited, Sources) and limited.whole_document == "otro.pdf"


def test_a_document_too_long_gives_its_passages_and_says_so(make_hits: MakeHits) -> None:
    library = Shelf([replace(hit, source="largo.pdf") for hit in make_hits(RENT)], pages={"largo.pdf": ["x" * 90_000]})
    sources = ask("¿Cuándo vence el alquiler según largo.pdf?", library, Scribe("El 5 de mayo [1]."))[0]
    assert isinstance(sources, Sources) and sources.too_long == "largo.pdf" and sources.hits[0].text == RENT
    assert library.asked[0][2] == ("largo.pdf",)
    summary = ask("Resume largo.pdf", library, Scribe("Equis [1]."))[0]
    assert isinstance(summary, Sources) and summary.too_long == "largo.pdf" and summary.dropped_passages == 0


def test_an_engine_that_finds_the_prompt_too_long_is_asked_again_with_less(make_hits: MakeHits) -> None:
    refusal = EngineError("engine_context_too_small", model="m", num_ctx=8192)
    engine, calibration = Scribe(refusal, "Sí [1]."), Calibration()
    events = ask("¿Cuándo vence el alquiler?", Shelf(make_hits(*["palabra " * 700] * 3)), engine,
                 AnswerOptions(top_k=3), calibration=calibration)
    first, second = [event for event in events if isinstance(event, Sources)]
    assert len(second.hits) < len(first.hits) and second.dropped_passages > first.dropped_passages
    assert calibration.ratio("m") < 3.0
    with pytest.raises(EngineError):
        ask("¿Cuándo vence el alquiler?", Shelf(make_hits(RENT)), Scribe(refusal))


def test_what_the_model_counted_is_learnt(make_hits: MakeHits) -> None:
    calibration = Calibration()
    for _ in range(6):
        ask("¿Cuándo vence el alquiler?", Shelf(make_hits("palabra " * 500)), Scribe("Sí.", prompt_tokens=1500),
            calibration=calibration)
    assert calibration.ratio("m") > 3.0


def test_thinking_is_shown_and_not_sent_back(make_hits: MakeHits) -> None:
    events = ask("¿Cuándo vence el alquiler?", Shelf(make_hits(RENT)), Scribe("En mayo [1].", thinking="Hmm."))
    assert Thought("Hmm.") in events and "Hmm" not in done_of(events).text


@pytest.mark.parametrize("reply", ["", " \n "])
def test_a_model_that_only_thinks_has_written_nothing(make_hits: MakeHits, reply: str) -> None:
    done = done_of(ask("¿Cuándo vence el alquiler?", Shelf(make_hits(RENT)), Scribe(reply, thinking="Hmm."),
                       AnswerOptions(strict=False)))
    assert done.text == "" and not done.from_model and not done.citations


def test_a_follow_up_may_lean_on_a_question_that_was_refused(make_hits: MakeHits) -> None:
    refused = Turn("¿Cuánto costó el puente de Ribadeo?")
    refused.apply(Nothing("no_match"))
    failed = Turn("¿Quién lo pintó de rojo ayer?")
    failed.fail(EngineError("engine_timeout", seconds=1))
    history = history_of([refused, failed])
    assert [message.role for message in history] == ["user", "assistant"]
    library = Shelf(make_hits(RENT))
    ask("¿Y quién lo construyó?", library, Scribe("", "Nadie."), history=history)
    assert library.asked[0][0] == "¿Y quién lo construyó? costó puente Ribadeo"


def test_what_goes_on_about_a_cited_answer_is_not_refused_for_a_refusal_in_between(make_hits: MakeHits) -> None:
    refused = Turn("¿Cuánto costó el puente de Ribadeo?")
    refused.apply(Nothing("no_match"))
    events = ask("Explícamelo mejor", Shelf(unrelated(make_hits(RENT))), Scribe("", "Que se paga ese día."),
                 history=[*TALK, *history_of([refused])])
    assert kinds(events)[-1] == "Done"


def test_a_sentence_its_passage_does_not_support_is_marked(make_hits: MakeHits) -> None:
    good = "El alquiler vence el 5 de mayo de 2024 [1]."
    bad = "La catedral gótica fue construida por arquitectos franceses medievales [1]."
    done = done_of(ask("¿Cuándo vence el alquiler?", Shelf(make_hits(RENT)), Scribe(f"{good} {bad}")))
    assert [done.text[start:end] for start, end in done.doubtful] == [bad]


def test_the_settings_of_the_conversation_reach_the_engine(make_hits: MakeHits) -> None:
    engine, library = Scribe("Sí."), Shelf(make_hits(RENT, RENT))
    options = AnswerOptions(top_k=1, temperature=0.3, think="high", system_prompt="Sé breve.",
                            sources=("doc1.txt", "b"))
    ask("¿Cuándo vence el alquiler?", library, engine, options)
    (request,) = engine.requests
    assert (request.temperature, request.think) == (0.3, "high") and "Sé breve." in request.messages[0].content
    assert library.asked == [("¿Cuándo vence el alquiler?", 1, ("doc1.txt", "b"))]


def test_sixteen_people_are_served_one_after_the_other_in_their_order(make_hits: MakeHits) -> None:
    engine, library, queues = Scribe("a b c d e", pause=0.001), Shelf(make_hits(RENT)), Queues()
    finished: list[str] = []
    places: dict[str, list[int]] = {}

    async def person(name: str) -> None:
        async for event in answer("¿Cuándo vence el alquiler?", [], library, engine, "m", Settings(), queues=queues,
                                  person=name):
            if isinstance(event, Waiting):
                places.setdefault(name, []).append(event.place)
            if isinstance(event, Done):
                finished.append(name)

    async def everyone() -> None:
        await asyncio.gather(*(person(f"{number:02}") for number in range(16)))

    asyncio.run(everyone())
    assert engine.most == 1 and len(finished) == 16
    assert finished == sorted(finished, key=lambda name: places.get(name, [0])[0])
    assert all(seen == sorted(seen, reverse=True) and seen[-1] == 1 for seen in places.values()) and len(places) == 15


def test_who_leaves_the_queue_keeps_nobody_waiting(make_hits: MakeHits) -> None:
    engine, library, queues = Scribe("a " * 200, pause=0.005), Shelf(make_hits(RENT)), Queues()

    async def until(kind: type, name: str) -> None:
        events = answer("¿Cuándo vence el alquiler?", [], library, engine, "m", Settings(), queues=queues, person=name)
        async for event in events:
            if isinstance(event, kind):
                break
        await events.aclose()

    async def all_three() -> None:
        first = asyncio.create_task(until(Done, "a"))
        await asyncio.sleep(0.05)
        await until(Waiting, "b")
        third = asyncio.create_task(until(Partial, "c"))
        await asyncio.sleep(0.05)
        first.cancel()
        async with asyncio.timeout(0.5):
            await third

    asyncio.run(all_three())
    assert engine.now == 0
