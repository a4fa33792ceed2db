"""Events: whole lines, also after a kill."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from core.finetune.events import TORN, EventWriter, read_events


def test_a_number_that_is_none_becomes_null(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    EventWriter(path).write("step", loss=float("nan"), learning_rate=float("inf"), total=3)
    event = json.loads(path.read_text(), parse_constant=lambda _: "not JSON")
    assert (event["loss"], event["learning_rate"], event["total"]) == (None, None, 3)


def test_a_line_torn_by_a_kill_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"event": "start"}\n{"event": "st')
    writer = EventWriter(path)
    writer.write("state", state="loading")
    writer.write("state", state="training")
    kinds = [event.get("state", event["event"]) for event in read_events(path)]
    assert kinds == ["start", TORN["event"], "loading", "training"]


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "events.jsonl")

    def write_many() -> None:
        for _ in range(20):
            writer.write("step", text="ñ" * 5000)

    threads = [threading.Thread(target=write_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = read_events(writer.path)
    assert len(events) == 80
    assert TORN not in events


def test_no_file_means_no_events(tmp_path: Path) -> None:
    assert read_events(tmp_path / "none.jsonl") == []
