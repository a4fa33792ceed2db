"""Small talk, documents asked for by name, and the language of short questions."""

from __future__ import annotations

import pytest

from core.chat.talk import document_asked_for, is_small_talk, language_code, language_name
from core.engines.base import Message

NAMES = ["informes/contrato 2023.pdf", "manual de usuario del horno.docx", "energía solar.pdf", "faro.txt"]


@pytest.mark.parametrize("said", [
    "hola", "¡Hola, buenos días!", "Muchas gracias por la ayuda", "vale, perfecto", "hello there", "Thanks a lot!",
    "ok", "¿Quién eres?", "Hola, ¿qué puedes hacer?", "what can you do for me?", "Which documents do you have?", "…"])
def test_small_talk_asks_nothing_of_the_documents(said: str) -> None:
    assert is_small_talk(said)


@pytest.mark.parametrize("said", [
    "hola, ¿cuándo vence el alquiler?", "¿Qué puede hacer el inquilino?", "Who are you to call in an emergency?",
    "gracias a qué se enciende el faro", "buenas prácticas", "great fire of London", "vale de compra"])
def test_a_question_is_no_small_talk(said: str) -> None:
    assert not is_small_talk(said)


@pytest.mark.parametrize(("question", "limited", "name"), [
    ("¿Qué dice contrato 2023.pdf de la fianza?", (), "informes/contrato 2023.pdf"),
    ("Resume el contrato 2023", (), "informes/contrato 2023.pdf"),
    ("How do I clean it, by the manual de usuario del horno?", (), "manual de usuario del horno.docx"),
    ("¿Qué ventajas tiene la energía solar?", (), ""),
    ("¿Cuánto mide el faro?", (), ""),
    ("¿Cuánto mide el faro según FARO.TXT?", (), "faro.txt"),
    ("¿Qué dice de la fianza?", ("faro.txt",), "faro.txt"),
    ("Resume el documento", (), ""),
    ("Resume energía solar.pdf", ("faro.txt", "informes/contrato 2023.pdf"), "")])
def test_a_document_is_wanted_when_named_or_chosen(question: str, limited: tuple[str, ...], name: str) -> None:
    assert document_asked_for(question, NAMES, limited) == name


def test_the_only_document_is_meant_by_the_document() -> None:
    assert document_asked_for("Summarize the document", ["a.txt"], ()) == "a.txt"
    assert document_asked_for("What does the document say about rent?", ["a.txt"], ()) == ""


@pytest.mark.parametrize(("question", "code"), [
    ("¿y 2019?", "es"), ("why?", "en"), ("por que", "es"), ("Wann ist die Miete für das Büro fällig?", "de"),
    ("How tall is the lighthouse?", "en"), ("¿Cuánto mide el faro?", "es")])
def test_the_language_of_a_question_is_told_even_when_it_is_short(question: str, code: str) -> None:
    assert language_code(question) == code


def test_a_word_of_no_language_takes_that_of_the_conversation() -> None:
    assert language_code("2019?", [Message("user", "¿Cuánto mide el faro de noche?")]) == "es"
    assert language_name("es") == "Spanish" and language_name("xx") == ""
