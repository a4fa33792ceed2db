"""What one window shows of one conversation. Knows no gradio; what is kept is kept by `Conversations`."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace

from core.chat.conversations import Conversations
from core.chat.events import AnswerOptions
from core.chat.turns import Conversation, Turn
from core.errors import AppError
from ui.chat_view import Message, turn_messages

MESSAGES_SHOWN = 100  # every update costs server and browser more with each message in the page
# While an answer is written, ten times a second: the rest comes back with its end. Turns, not messages: the page is
# sent differences, and were the first message another one, every message would differ.
TURNS_WHILE_WRITING = 12


@dataclass
class Session:
    """`conversation_id` is empty until the first question. `active` is the turn being answered in this window;
    `fleeting` are turns that only this window knows: what came of dropped files, questions that cannot be asked."""

    conversation_id: str = ""
    title: str = ""
    options: AnswerOptions = field(default_factory=AnswerOptions)
    turns: list[Turn] = field(default_factory=list)
    shown: int = MESSAGES_SHOWN
    active: Turn | None = None
    fleeting: set[str] = field(default_factory=set)
    revision: int = -1  # of all conversations, when this window last looked what others did
    listed: list[tuple[str, str]] = field(default_factory=list)  # ids and titles, as the window lists them
    _drawn: dict[tuple[str, int], list[Message]] = field(default_factory=dict)

    def open(self, conversation: Conversation) -> None:
        self.clear()
        self.conversation_id, self.title = conversation.id, conversation.title
        self.options, self.turns = conversation.options, conversation.turns

    def clear(self) -> None:
        """An empty conversation, answered by the same model."""
        self.conversation_id = self.title = ""
        self.options = AnswerOptions(picked=self.options.picked, top_k=self.options.top_k)
        self.turns, self.shown, self.active = [], MESSAGES_SHOWN, None
        self.fleeting, self._drawn = set(), {}

    def tell(self, turn: Turn) -> None:
        """Show a turn that is not kept."""
        self.fleeting.add(turn.id)
        self.turns.append(turn)

    def begin(self, conversations: Conversations, question: str, owner: str) -> Turn:
        """A new turn, kept at once; the conversation begins with it when it is the first."""
        if not self.conversation_id:
            self.conversation_id = conversations.create(self.options, owner)
        conversations.restore(self.conversation_id)  # another window may have deleted it
        self.turns = [turn for turn in self.turns if turn.error is None or turn.id not in self.fleeting]
        turn = Turn(question)
        self.turns.append(turn)
        self.active = turn
        self.save(conversations, turn)
        return turn

    def end(self, conversations: Conversations, turn: Turn, conversation_id: str) -> None:
        """The turn is written as far as it will be; saved unless it was taken away meanwhile."""
        turn.stop()
        if self.active is turn:
            self.active = None
        if turn in self.turns or conversation_id != self.conversation_id:
            with contextlib.suppress(AppError):  # its conversation was deleted for good
                conversations.save_turn(conversation_id, turn)

    def save(self, conversations: Conversations, turn: Turn) -> None:
        if turn.id not in self.fleeting:
            conversations.save_turn(self.conversation_id, turn)

    def take_back(self, conversations: Conversations, index: int) -> str:
        """Drop the turns from `index` on, to ask that question anew: which it was."""
        question = self.turns[index].question
        for turn in self.turns[index:]:
            if turn.id not in self.fleeting:
                conversations.drop_turns_from(self.conversation_id, turn.id)
                break
        del self.turns[index:]
        self.active = None
        return question

    def catch_up(self, turns: list[Turn]) -> bool:
        """Show the turns as they are kept, unless an answer is being written here; whether that changes anything."""
        mine = [turn for turn in self.turns if turn.id not in self.fleeting]
        if self.active is not None or turns == mine:
            return False
        self.turns, self._drawn = turns, {}
        return True

    def choose(self, conversations: Conversations, **changed: object) -> None:
        """Change what the conversation is answered with."""
        self.options = replace(self.options, **changed)  # type: ignore[arg-type]
        if self.conversation_id:
            conversations.set_options(self.conversation_id, self.options)

    def messages(self, language: str, before: str = "") -> list[Message]:
        """The last messages for gradio's Chatbot; finished ones are drawn once."""
        return [message for _, message in self._visible(language, before)]

    def owner(self, language: str, position: int) -> int | None:
        """The turn that a message in the page belongs to."""
        visible = self._visible(language, "")
        return visible[position][0] if 0 <= position < len(visible) else None

    def earlier(self) -> bool:
        """Whether the conversation has messages that are not shown."""
        return sum(bool(turn.question) + 1 for turn in self.turns) > self.shown

    def _visible(self, language: str, before: str) -> list[tuple[int, Message]]:
        found: list[tuple[int, Message]] = []
        first = 0 if self.active is None else max(0, len(self.turns) - TURNS_WHILE_WRITING)
        for index in range(len(self.turns) - 1, first - 1, -1):
            if len(found) >= self.shown:
                break
            messages = self._draw(language, self.turns[index], index, before)
            found += [(index, message) for message in reversed(messages)]
        return found[::-1]

    def _draw(self, language: str, turn: Turn, index: int, before: str) -> list[Message]:
        if turn.state == "running":
            return turn_messages(language, turn, index, before)
        key = (turn.id, index)
        if key not in self._drawn:
            self._drawn[key] = turn_messages(language, turn, index)
        return self._drawn[key]
