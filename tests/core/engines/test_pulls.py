"""Pulls that go on whoever looks: started, found again, cancelled, failed, put away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from core.engines.ollama import OllamaEngine
from core.engines.pulls import Pull, Pulls
from core.errors import EngineError
from core.settings import Settings
from tests.ollama_server import OllamaServer
from tests.running_app import wait_for

CATALOGUE: dict[str, dict[str, Any]] = {"qwen3:4b": {"size": 3_000_000}, "qwen3:8b": {"size": 3_000_000}}


@pytest.fixture
def server() -> Iterator[OllamaServer]:
    with OllamaServer(models={}, catalogue=CATALOGUE) as running:
        yield running


@pytest.fixture
def finished() -> threading.Event:
    return threading.Event()


@pytest.fixture
def pulls(server: OllamaServer, finished: threading.Event) -> Iterator[Pulls]:
    engine = OllamaEngine(Settings(), server.url)
    made = Pulls(lambda: engine.installed, finished.set)
    yield made
    made.close()


def ended(pulls: Pulls, model: str = "qwen3:4b") -> Pull:
    def one() -> Pull:
        return next(pull for pull in pulls.list() if pull.model == model)

    assert wait_for(lambda: one().state != "running", 5)
    return one()


def test_a_pull_runs_to_its_end_and_says_so(server: OllamaServer, pulls: Pulls, finished: threading.Event) -> None:
    assert pulls.start("ollama pull qwen3:4b").state == "running"
    assert ended(pulls).state == "done"
    assert finished.wait(1) and "qwen3:4b" in server.models
    pulls.put_away("qwen3:4b")
    assert pulls.list() == ()


def test_starting_what_runs_finds_it_again(server: OllamaServer, pulls: Pulls) -> None:
    server.behave(pull_bytes_per_second=1_000_000.0)
    pulls.start("qwen3:4b")
    assert server.wait_until(lambda: server.counters.active_pulls == 1)
    before = pulls.version
    assert wait_for(lambda: pulls.version > before, 2)
    assert pulls.start("qwen3:4b").progress.total_bytes > 0
    pulls.put_away("qwen3:4b")  # not while it runs
    assert len(pulls.list()) == 1 and server.counters.active_pulls == 1


def test_a_cancelled_pull_leaves_the_server_and_goes_on_later(
    server: OllamaServer, pulls: Pulls, finished: threading.Event
) -> None:
    server.behave(pull_bytes_per_second=1_000_000.0)
    pulls.start("qwen3:4b")
    assert wait_for(lambda: pulls.list()[0].progress.completed_bytes > 0, 3)
    pulls.cancel("qwen3:4b")
    assert pulls.list()[0].state == "cancelled"
    assert server.wait_until(lambda: server.counters.cancelled_pulls == 1, 1)
    assert not finished.is_set()
    server.behave(pull_bytes_per_second=0)
    pulls.start("qwen3:4b")
    assert ended(pulls).state == "done"


def test_several_go_side_by_side(server: OllamaServer, pulls: Pulls) -> None:
    server.behave(pull_bytes_per_second=3_000_000.0)
    for model in CATALOGUE:
        pulls.start(model)
    assert server.wait_until(lambda: server.counters.active_pulls == 2)
    assert [ended(pulls, model).state for model in CATALOGUE] == ["done", "done"]


def test_a_failed_pull_keeps_its_reason(server: OllamaServer, pulls: Pulls) -> None:
    server.behave(fault="pull_no_space")
    pulls.start("qwen3:4b")
    pull = ended(pulls)
    assert pull.state == "failed" and pull.error is not None and pull.error.code == "pull_no_space"
    assert pull.progress.total_bytes > 0


def test_what_is_no_name_is_refused_at_once(pulls: Pulls) -> None:
    with pytest.raises(EngineError) as caught:
        pulls.start("two words")
    assert caught.value.code == "pull_bad_name"
    assert pulls.list() == ()


def test_closing_ends_the_downloads(server: OllamaServer, pulls: Pulls) -> None:
    server.behave(pull_bytes_per_second=1_000_000.0)
    pulls.start("qwen3:4b")
    assert server.wait_until(lambda: server.counters.active_pulls == 1)
    pulls.close()
    assert server.wait_until(lambda: server.counters.cancelled_pulls == 1, 1)
    pulls.close()
