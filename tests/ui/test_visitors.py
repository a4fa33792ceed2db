"""Sessions begin with a token, end in time or by hand, and take with them what they wait for."""

from __future__ import annotations

import time

from ui.visitors import MOST_VISITORS, Role, Visitors


def test_a_token_opens_its_session_and_nothing_else_does() -> None:
    visitors = Visitors()
    token, visitor = visitors.begin(Role.GUEST, "1", time.time() + 60)
    assert visitors.of(token) is visitor
    for other in ("", token[:-1], token + "a", token.upper(), visitor.id, "\ud800"):
        assert visitors.of(other) is None


def test_tokens_are_long_and_never_the_same() -> None:
    visitors = Visitors()
    tokens = {visitors.begin(Role.GUEST, "1", time.time() + 60)[0] for _ in range(100)}
    assert len(tokens) == 100 and min(map(len, tokens)) >= 43  # 256 bits


def test_a_session_ends_with_its_time() -> None:
    now = 1000.0
    visitors = Visitors(clock=lambda: now)
    token, visitor = visitors.begin(Role.GUEST, "1", ends_at=1010.0)
    now = 1009.9
    assert visitors.of(token) is visitor
    now = 1010.0
    assert visitors.of(token) is None and visitor.ended and visitors.of_role(Role.GUEST) == []


def test_ending_a_session_calls_what_waits_for_it_once() -> None:
    visitors, called = Visitors(), []
    _, visitor = visitors.begin(Role.GUEST, "1", time.time() + 60)
    visitor.while_here(lambda: called.append("stays"))
    forget = visitor.while_here(lambda: called.append("left before"))
    forget()
    visitors.end([visitor])
    visitor.end()
    assert called == ["stays"]


def test_a_visitor_is_here_while_something_of_theirs_is_under_way_and_seen_until_it_ends() -> None:
    _, visitor = Visitors().begin(Role.GUEST, "1", time.time() + 60)
    visitor.seen = 0.0
    forget = visitor.while_here(lambda: None)
    assert visitor.here
    forget()
    assert not visitor.here and time.time() - visitor.seen < 5


def test_what_begins_after_the_end_leaves_at_once() -> None:
    visitors, called = Visitors(), []
    _, visitor = visitors.begin(Role.GUEST, "1", time.time() + 60)
    visitors.end([visitor])
    visitor.while_here(lambda: called.append("left"))
    assert called == ["left"]


def test_where_there_are_too_many_the_one_unseen_for_longest_goes_and_never_one_of_another_role() -> None:
    visitors = Visitors()
    owners_token, owner = visitors.begin(Role.OWNER, "taller", time.time() + 60)
    owner.seen = 0.0
    tokens = [visitors.begin(Role.GUEST, str(number), time.time() + 60)[0] for number in range(MOST_VISITORS)]
    away, here = visitors.of_role(Role.GUEST)[5:7]
    away.seen, here.seen = 1.0, 0.0
    here.while_here(lambda: None)
    visitors.begin(Role.GUEST, "last", time.time() + 60)
    assert [number for number, token in enumerate(tokens) if visitors.of(token) is None] == [5]
    assert visitors.of(owners_token) is owner
