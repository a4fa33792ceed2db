"""What a window shows of a conversation: the last messages, in their order, and what is kept of each turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.chat.conversations import Conversations
from core.chat.turns import Turn
from ui.chat_session import Session


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Conversations]:
    made = Conversations(tmp_path / "conversations.sqlite3")
    yield made
    made.close()


def asked(session: Session, kept: Conversations, question: str, answer: str = "an answer") -> Turn:
    turn = session.begin(kept, question, "")
    turn.answer, turn.state = answer, "done"
    session.end(kept, turn, session.conversation_id)
    return turn


def long_session(count: int) -> Session:
    return Session(turns=[Turn(f"q{number}", answer=f"a{number}", state="done") for number in range(count)])


def test_a_long_conversation_shows_its_last_hundred_messages_and_more_when_asked() -> None:
    session = long_session(80)
    messages = session.messages("en")
    assert len(messages) == 100 and messages[0]["content"] == "q30" and messages[-1]["content"] == "a79"
    assert session.earlier() and session.owner("en", 0) == 30 and session.owner("en", 99) == 79
    session.shown += 100
    assert len(session.messages("en")) == 160 and not session.earlier() and session.owner("en", 200) is None


def test_while_an_answer_is_written_fewer_messages_are_drawn_again_and_again() -> None:
    session = long_session(80)
    session.active = session.turns[-1]
    assert len(session.messages("en")) == 24 and session.earlier()
    session.active = None
    assert len(session.messages("en")) == 100


def test_while_an_answer_is_written_the_first_message_stays_the_same() -> None:
    session = long_session(80)
    session.active = session.turns[-1]
    session.active.state = "running"
    before = session.messages("en")
    session.active.thought = "I thought."
    after = session.messages("en")
    assert len(after) == len(before) + 1 and after[0] is before[0]


def test_a_finished_turn_is_drawn_once_and_a_running_one_each_time() -> None:
    session = long_session(2)
    session.turns[1].state = "running"
    first = session.messages("en")
    session.turns[1].answer = "more"
    second = session.messages("en")
    assert first[0] is second[0] and second[-1]["content"] == "more"


def test_a_turn_is_kept_from_its_question_to_its_end(kept: Conversations) -> None:
    session = Session()
    turn = session.begin(kept, "Why?", "")
    assert kept.get(session.conversation_id).turns[0].question == "Why?"
    turn.answer = "half"
    session.end(kept, turn, session.conversation_id)
    (saved,) = kept.get(session.conversation_id).turns
    assert (saved.answer, saved.state) == ("half", "stopped") and session.active is None


def test_a_question_taken_back_goes_with_all_after_it_and_does_not_return(kept: Conversations) -> None:
    session = Session()
    for question in ("a", "b", "c"):
        asked(session, kept, question)
    running = session.begin(kept, "d", "")
    assert session.take_back(kept, 1) == "b"
    session.end(kept, running, session.conversation_id)  # its stream ends a moment later
    assert [turn.question for turn in kept.get(session.conversation_id).turns] == ["a"]
    assert [turn.question for turn in session.turns] == ["a"]


def test_an_answer_left_behind_is_kept_in_its_own_conversation(kept: Conversations) -> None:
    session = Session()
    turn = session.begin(kept, "a", "")
    left = session.conversation_id
    session.clear()
    turn.answer = "half"
    session.end(kept, turn, left)
    assert kept.get(left).turns[0].answer == "half" and session.turns == []


def test_what_only_this_window_knows_is_not_kept(kept: Conversations) -> None:
    session = Session()
    session.tell(Turn("", notes=[("chat.told", {"text": "added"})], state="done"))
    asked(session, kept, "a")
    assert [turn.question for turn in kept.get(session.conversation_id).turns] == ["a"]
    session.take_back(kept, 0)
    assert session.turns == [] == kept.get(session.conversation_id).turns


def test_choices_stay_with_the_conversation_and_a_new_one_has_the_same_model(kept: Conversations) -> None:
    session = Session()
    session.choose(kept, picked="ollama|m", strict=False, sources=("a.pdf",), top_k=5)
    asked(session, kept, "a")
    session.choose(kept, temperature=0.5)
    other = Session()
    other.open(kept.get(session.conversation_id))
    assert other.options == session.options and other.options.temperature == 0.5 and other.options.top_k == 5
    other.clear()
    assert other.options.picked == "ollama|m" and other.options.strict and other.options.sources == ()


def test_a_window_catches_up_with_another_one_of_the_same_conversation(kept: Conversations) -> None:
    here, there = Session(), Session()
    asked(here, kept, "first")
    there.open(kept.get(here.conversation_id))
    asked(here, kept, "second")
    turns = kept.get(here.conversation_id).turns
    assert here.catch_up(turns) is False  # it has them all
    assert there.catch_up(turns) is True
    assert [message["content"] for message in there.messages("en")] == [
        message["content"] for message in here.messages("en")]
    there.begin(kept, "third", "")
    assert there.catch_up(turns) is False  # never while it is writing itself
    assert [turn.question for turn in there.turns] == ["first", "second", "third"]


def test_asking_in_a_conversation_that_another_window_deleted_brings_it_back(kept: Conversations) -> None:
    session = Session()
    asked(session, kept, "first")
    kept.delete(session.conversation_id)
    asked(session, kept, "second")
    assert [summary.id for summary in kept.list()] == [session.conversation_id]
