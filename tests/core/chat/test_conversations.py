"""Conversations outlive the process, are found by their words, and leave as files that can be read again."""

from __future__ import annotations

import functools
import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.chat.conversations import Conversations
from core.chat.events import AnswerOptions, Budget, Done, Loading, Nothing, Partial, Rewritten, Sources, Thought
from core.chat.exports import as_json, as_markdown, from_json
from core.chat.turns import Turn, history_of
from core.engines.base import Message, Usage
from core.errors import AppError, EngineError
from tests.core.chat.conftest import MakeHits
from ui.i18n import translate


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Conversations]:
    conversations = Conversations(tmp_path / "conversations.sqlite3")
    yield conversations
    conversations.close()


def reopened(kept: Conversations) -> Conversations:
    kept.close()
    return Conversations(kept.path)


def answered(make_hits: MakeHits) -> Turn:
    turn = Turn("¿Cuándo vence el alquiler?", model="ollama|qwen3:4b")
    for event in (Rewritten("alquiler vence"), Loading("qwen3:4b", 5), Thought("Hmm."), Partial("El 5"),
                  Sources(tuple(make_hits("El 5 de mayo.\nCada año.", "Otro.")), Budget(100, 8192), 2, 1, "c.pdf"),
                  Done("El 5 de mayo [1].", (), Usage(90, 7, 1.5), cut=True, doubtful=((0, 16),), from_model=False)):
        turn.apply(event)
    return turn


def test_a_turn_comes_back_as_it_was_after_a_restart(kept: Conversations, make_hits: MakeHits) -> None:
    options = AnswerOptions("ollama|m", 5, 0.2, "Sé breve.", False, "low", ("a.pdf",))
    conversation = kept.create(options)
    turn = answered(make_hits)
    kept.save_turn(conversation, turn)
    again = reopened(kept).get(conversation)
    assert again.turns == [turn] and again.options == options
    assert [key for key, _ in turn.notes] == ["chat.whole_document", "chat.dropped_messages.many",
                                              "chat.dropped_passages.one", "chat.cut"]
    assert (turn.state, turn.query, turn.thought) == ("done", "alquiler vence", "Hmm.")


def test_history_has_no_thoughts_and_nothing_unanswered(make_hits: MakeHits) -> None:
    failed = Turn("¿Nada?", thought="Hmm.")
    failed.fail(EngineError("engine_timeout", seconds=120))
    greeted = Turn("Hola")
    greeted.apply(Nothing("small_talk"))
    assert history_of([answered(make_hits), failed, greeted]) == [
        Message("user", "¿Cuándo vence el alquiler?"), Message("assistant", "El 5 de mayo [1].")]


def test_what_was_running_when_the_program_ended_is_stopped(kept: Conversations) -> None:
    conversation = kept.create()
    kept.save_turn(conversation, Turn("¿Qué?", answer="A med"))
    turn = reopened(kept).get(conversation).turns[0]
    assert (turn.state, turn.answer) == ("stopped", "A med")


def test_an_error_keeps_what_was_written_and_its_code(kept: Conversations) -> None:
    conversation, turn = kept.create(), Turn("¿Qué?", answer="A med")
    turn.fail(EngineError("engine_timeout", seconds=120))
    kept.save_turn(conversation, turn)
    again = kept.get(conversation).turns[0]
    assert (again.state, again.answer, again.error) == ("failed", "A med", ("engine_timeout", {"seconds": 120}))


def test_the_list_is_searched_in_titles_questions_and_answers_without_accents(kept: Conversations) -> None:
    ids = {}
    for name, question, answer in (("rent", "¿Cuándo vence el ALQUILER?", "En mayo."), ("sun", "Energía", "El árbol."),
                                   ("percent", "100% de _nada_", "Sí.")):
        ids[name] = kept.create()
        kept.save_turn(ids[name], Turn(question, answer=answer))
    kept.create()  # without a turn: not listed
    assert [one.id for one in kept.list()] == [ids["percent"], ids["sun"], ids["rent"]]
    for query, name in (("alquiler", "rent"), ("MAYO vence", "rent"), ("energia arbol", "sun"), ("0% _", "percent")):
        assert [one.id for one in kept.list(query)] == [ids[name]], query
    assert not kept.list("mayo arbol")
    kept.rename(ids["sun"], "Tejado")
    assert [(one.id, one.title, one.turns) for one in kept.list("TÉJADO")] == [(ids["sun"], "Tejado", 1)]


def test_the_first_question_is_the_title_until_it_is_renamed(kept: Conversations) -> None:
    conversation = kept.create()
    first = Turn("palabra " * 40)
    kept.save_turn(conversation, first)
    title = kept.list()[0].title
    assert title.endswith("…") and len(title) <= 61
    kept.drop_turns_from(conversation, first.id)
    kept.save_turn(conversation, Turn("Otra"))
    assert kept.list()[0].title == "Otra"
    kept.rename(conversation, "  Mi   título ")
    kept.save_turn(conversation, Turn("Más"))
    assert kept.list()[0].title == "Mi título"
    kept.rename(conversation, "")
    assert kept.list()[0].title == "Otra"


def test_a_query_without_end_is_read_to_its_200th_character(kept: Conversations) -> None:
    kept.save_turn(kept.create(), Turn("¿Qué bomba?"))
    assert len(kept.list("bomba " * 33 + "xx" + "x" * 30_000)) == 0
    assert len(kept.list("bomba " * 34 + "x" * 30_000)) == 1


def test_conversations_of_guests_are_deleted_and_all_others_stay(kept: Conversations) -> None:
    guests, owners, others = kept.create(owner="guest:1"), kept.create(), kept.create(owner="taller")
    for conversation in (guests, owners, others):
        kept.save_turn(conversation, Turn("¿Qué?"))
    assert kept.delete_owned("guest:") == 1
    assert {one.id for one in kept.list(owner=None)} == {owners, others}


def test_deleting_can_be_undone_until_it_is_emptied(kept: Conversations) -> None:
    conversation = kept.create()
    kept.save_turn(conversation, Turn("¿Qué?"))
    kept.delete(conversation)
    assert not kept.list()
    kept.restore(conversation)
    assert len(kept.list()) == 1
    kept.delete(conversation)
    assert kept.empty_deleted(older_than_seconds=60) == 0 and kept.empty_deleted() == 1
    with pytest.raises(AppError) as caught:
        kept.get(conversation)
    assert caught.value.code == "conversation_missing"
    with pytest.raises(AppError):
        kept.save_turn(conversation, Turn("¿Qué?"))


def test_asking_anew_takes_away_the_turn_and_all_after_it(kept: Conversations) -> None:
    conversation, turns = kept.create(), [Turn(str(number)) for number in range(4)]
    for turn in turns:
        kept.save_turn(conversation, turn)
    kept.drop_turns_from(conversation, turns[2].id)
    assert [turn.question for turn in kept.get(conversation).turns] == ["0", "1"]


def test_people_see_their_own_conversations(kept: Conversations) -> None:
    mine, other = kept.create(owner="ana"), kept.create(owner="luis")
    for conversation in (mine, other):
        kept.save_turn(conversation, Turn("¿Qué?"))
    assert [one.id for one in kept.list(owner="ana")] == [mine] and len(kept.list()) == 2
    with pytest.raises(AppError):
        kept.get(other, owner="ana")


def test_exports_hold_sources_and_can_be_read_again(kept: Conversations, make_hits: MakeHits) -> None:
    conversation, turn = kept.create(AnswerOptions(top_k=4)), answered(make_hits)
    turn.stop()
    turn.error = ("engine_broken_stream", {})
    kept.save_turn(conversation, turn)
    markdown = as_markdown(kept.get(conversation), functools.partial(translate, "es"))
    for text in ("# ¿Cuándo vence el alquiler?", "El 5 de mayo [1].", r"\[1\] doc1.txt", "> El 5 de mayo.\n> Cada año.",
                 translate("es", "error.engine_broken_stream"), "qwen3:4b"):
        assert text in markdown
    assert "Otro." not in markdown and "Hmm." not in markdown
    text = as_json(kept.get(conversation))
    again = from_json(text)
    assert again.turns == [turn] and again.options.top_k == 4
    assert json.loads(text)["turns"][0]["hits"][0]["source"] == "doc1.txt"
    for broken in ("{}", "[]", "nothing", '{"format": "taller-conversation", "version": 99}'):
        with pytest.raises(ValueError):
            from_json(broken)


@pytest.mark.parametrize("damage", ["garbage", "truncated", "version", "empty table"])
def test_a_file_that_cannot_be_read_is_set_aside_and_kept(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "conversations.sqlite3"
    kept = Conversations(path)
    conversation = kept.create()
    for number in range(200):
        kept.save_turn(conversation, Turn(f"¿{number}?", answer="x" * 500))
    kept.close()
    if damage == "garbage":
        path.write_bytes(b"no database at all " * 500)
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    else:
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99" if damage == "version" else "DROP TABLE turns")
        db.close()
    before = path.read_bytes()
    again = Conversations(path)
    assert again.set_aside is not None and again.set_aside.read_bytes() == before and not again.list()
    again.save_turn(again.create(), Turn("¿Y ahora?"))
    again = reopened(again)
    assert again.set_aside is None and len(again.list()) == 1
    again.close()


def test_a_killed_process_loses_nothing_it_had_saved(tmp_path: Path) -> None:
    path = tmp_path / "conversations.sqlite3"
    code = """
import sys, time
from pathlib import Path
from core.chat.conversations import Conversations
from core.chat.turns import Turn
kept = Conversations(Path(sys.argv[1]))
conversation, turn = kept.create(), Turn("¿Qué?")
for number in range(100_000):
    turn.answer += f" {number}"
    kept.save_turn(conversation, turn)
    print(number, flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    saved = 0
    give_up = time.monotonic() + 20
    while saved < 50 and time.monotonic() < give_up:
        saved = int(child.stdout.readline())
    child.kill()
    saved = int(([str(saved), *child.stdout.read().split()])[-1])
    child.wait()
    kept = Conversations(path)
    assert kept.set_aside is None
    (turn,) = kept.get(kept.list()[0].id).turns
    assert turn.state == "stopped" and int(turn.answer.split()[-1]) >= saved
    kept.close()


def test_threads_can_write_at_once(kept: Conversations) -> None:
    ids = [kept.create() for _ in range(8)]

    def write(conversation: str) -> None:
        for number in range(25):
            kept.save_turn(conversation, Turn(f"¿{number}?"))

    threads = [threading.Thread(target=write, args=(one,)) for one in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.turns for one in kept.list()] == [25] * 8


def test_what_is_known_of_a_models_tokens_is_kept(kept: Conversations) -> None:
    for _ in range(5):
        kept.calibration.learn("m", ["palabra " * 500], 1300)
    ratio = kept.calibration.ratio("m")
    assert reopened(kept).calibration.ratio("m") == ratio != 3.0


def test_saving_and_listing_stay_fast(kept: Conversations, make_hits: MakeHits) -> None:
    turn = answered(make_hits)
    conversation = kept.create()
    started = time.perf_counter()
    for _ in range(20):
        turn.answer += "x" * 200
        kept.save_turn(conversation, turn)
    assert (time.perf_counter() - started) / 20 < 0.05
