"""The embedded engine with a real, tiny model in its real child process."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from core.engines import config
from core.engines.base import ChatRequest, EngineEvent, Finished, Loading, Message, Thinking, Token
from core.engines.config import EnginesConfig
from core.engines.embedded import CPU_CONTEXT, EmbeddedEngine, check_memory, context_of
from core.engines.embedded_models import from_folder
from core.engines.hub_cache import cache_folder
from core.errors import EngineError
from core.settings import Settings
from tests.running_app import wait_for
from tests.tiny_model import make_tiny_model

ANSWER_TOKENS = 24
# A parent that asks its embedded engine one question, tells the child's pid, and waits.
PARENT = """
import asyncio, pathlib, sys, time
from core.engines.embedded import EmbeddedEngine
from core.settings import Settings
from tests.core.engines.test_embedded import ask, only_model
data = pathlib.Path(sys.argv[1])
engine = EmbeddedEngine(Settings(data_dir=data, runs_dir=data / "runs"))
ask(engine, only_model(engine))
print(engine._child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that can think or not, as Qwen3 can."""
    folder = make_tiny_model(tmp_path_factory.mktemp("tiny") / "model")
    with (folder / "chat_template.jinja").open("a", encoding="utf-8") as template:
        template.write("{% if enable_thinking is defined and enable_thinking %}<think>\n{% endif %}")
    return folder


@pytest.fixture(autouse=True)
def no_downloaded_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def settings_for(folder: Path, model: Path) -> Settings:
    config.save(folder, EnginesConfig(embedded_model=str(model)))
    return Settings(data_dir=folder, runs_dir=folder / "runs", first_token_timeout_seconds=60)


@pytest.fixture(scope="module")
def running(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEngine]:
    """One engine for all tests that leave its child alive."""
    engine = EmbeddedEngine(settings_for(tmp_path_factory.mktemp("data"), tiny))
    with contextlib.closing(engine):
        yield engine


def only_model(engine: EmbeddedEngine) -> str:
    return asyncio.run(engine.models())[0].name


def request(model: str, question: str = "Hola", **changes: Any) -> ChatRequest:
    messages = (Message("system", "Be brief."), Message("user", question))
    values = {"temperature": 0.0, "max_tokens": ANSWER_TOKENS, **changes}
    return ChatRequest(model, messages, question, **values)


def ask(engine: EmbeddedEngine, model: str, question: str = "Hola", **changes: Any) -> list[EngineEvent]:
    async def collected() -> list[EngineEvent]:
        return [event async for event in engine.chat(request(model, question, **changes))]

    return asyncio.run(collected())


def text(events: list[EngineEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token))


def alone(model: Path, adapter: Path | None = None) -> str:
    """What transformers, and PEFT, write themselves for the same question."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype="auto" if fast_bfloat16() else torch.float32)
    if adapter is not None:
        loaded = PeftModel.from_pretrained(loaded, str(adapter))
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hola"}]
    prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
    output = loaded.generate(**ids, do_sample=False, max_new_tokens=ANSWER_TOKENS)
    return str(tokenizer.decode(output[0, ids["input_ids"].shape[1]:], skip_special_tokens=True))


def fast_bfloat16() -> bool:
    from core.engines.generation import has_fast_bfloat16

    return has_fast_bfloat16()


def gone(pid: int, seconds: float) -> bool:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def child_pid(engine: EmbeddedEngine) -> int:
    assert engine._child is not None
    return engine._child.pid


def test_the_first_question_loads_the_model_and_the_answer_is_its_own(running: EmbeddedEngine, tiny: Path) -> None:
    model = only_model(running)
    events = ask(running, model)
    assert isinstance(events[0], Loading)
    assert events[0].size_bytes > 100_000
    assert text(events) == alone(tiny)
    last = events[-1]
    assert isinstance(last, Finished)
    assert (last.usage.answer_tokens, last.cut) == (ANSWER_TOKENS, True)
    assert last.usage.prompt_tokens > 0
    assert not any(isinstance(event, Loading) for event in ask(running, model))
    assert running.state.state == "ready"
    assert running.state.memory_bytes > 0


def test_a_model_that_can_think_does_so_when_asked_and_not_otherwise(running: EmbeddedEngine) -> None:
    model = asyncio.run(running.models())[0]
    assert model.think_levels == ("off", "on")
    thinking = ask(running, model.name, think="on")
    assert any(isinstance(event, Thinking) for event in thinking)
    assert not text(thinking)  # a random model never comes to its answer
    for level in ("off", None, "high"):
        events = ask(running, model.name, think=level)
        assert text(events)
        assert not any(isinstance(event, Thinking) for event in events)


def test_nobody_without_the_secret_is_answered_and_nobody_outside_can_ask(running: EmbeddedEngine) -> None:
    model = only_model(running)
    ask(running, model)
    child = running._child
    assert child is not None
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        assert httpx.get(f"{child.url}/v1/models", headers=headers).status_code == 401
        body = {"messages": [{"role": "user", "content": "x"}]}
        assert httpx.post(f"{child.url}/v1/chat/completions", headers=headers, json=body).status_code == 401
    listening = [place.laddr.ip for place in psutil.Process(child.pid).net_connections() if place.status == "LISTEN"]
    assert listening == ["127.0.0.1"]
    assert child.secret not in " ".join(psutil.Process(child.pid).cmdline())


def test_a_prompt_larger_than_the_context_is_refused(running: EmbeddedEngine) -> None:
    with pytest.raises(EngineError) as caught:
        ask(running, only_model(running), "word " * 3000)
    assert caught.value.code == "engine_context_too_small"
    assert caught.value.values["num_ctx"] == asyncio.run(running.context(only_model(running)))


def test_closing_an_answer_ends_the_writing_and_the_next_one_comes_at_once(running: EmbeddedEngine) -> None:
    model = only_model(running)
    ask(running, model)

    async def leave_early() -> None:
        stream = running.chat(request(model, max_tokens=None))
        async for event in stream:
            if isinstance(event, Token):
                break
        await stream.aclose()

    asyncio.run(leave_early())
    started = time.monotonic()
    assert text(ask(running, model))
    assert time.monotonic() - started < 2
    process = psutil.Process(child_pid(running))
    time.sleep(0.3)
    before = sum(process.cpu_times()[:2])
    time.sleep(0.5)
    assert sum(process.cpu_times()[:2]) - before < 0.2


def test_people_who_ask_at_once_are_answered_one_after_the_other(running: EmbeddedEngine) -> None:
    model = only_model(running)

    async def three() -> list[str]:
        async def one() -> str:
            return text([event async for event in running.chat(request(model))])

        return list(await asyncio.gather(one(), one(), one()))

    answers = asyncio.run(three())
    assert len(set(answers)) == 1
    assert answers[0]


def test_a_child_killed_in_the_middle_keeps_what_it_wrote_and_is_started_anew(running: EmbeddedEngine) -> None:
    model = only_model(running)
    ask(running, model)
    killed = child_pid(running)

    async def interrupted() -> str:
        got = ""
        with pytest.raises(EngineError) as caught:
            async for event in running.chat(request(model, max_tokens=None)):
                if isinstance(event, Token):
                    got += event.text
                    with contextlib.suppress(psutil.Error):
                        psutil.Process(killed).kill()
        assert caught.value.code == "engine_embedded_died"
        return got

    assert asyncio.run(interrupted())
    assert wait_for(lambda: running.state.state == "stopped", 5)
    assert text(ask(running, model))
    assert child_pid(running) != killed


def test_a_folder_with_an_adapter_answers_as_peft_does_and_not_as_its_base(tiny: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "2026-11-22-1530-tiny"
    make_adapter(tiny, run / "adapter")
    engine = EmbeddedEngine(Settings(data_dir=tmp_path, runs_dir=tmp_path / "runs"))
    with contextlib.closing(engine):
        assert only_model(engine) == run.name
        answer = text(ask(engine, run.name))
    assert answer == alone(tiny, run / "adapter")
    assert answer != alone(tiny)


def make_adapter(base: Path, folder: Path) -> None:
    """A LoRA adapter that changes what the model says: its weights are random, not zero as before training."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(1)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj"]
    lora = LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=64, target_modules=targets, init_lora_weights=False)
    adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(base), lora)
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    adapted.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)


def test_a_model_that_cannot_be_loaded_says_why(tiny: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny, broken)
    (broken / "model.safetensors").write_bytes(b"not weights at all")
    engine = EmbeddedEngine(settings_for(tmp_path / "data", broken))
    with contextlib.closing(engine), pytest.raises(EngineError) as caught:
        ask(engine, str(broken))
    assert caught.value.code == "engine_embedded_failed"
    assert caught.value.values["detail"] not in ("", "?")


def test_killing_the_app_ends_the_child(tiny: Path, tmp_path: Path) -> None:
    settings_for(tmp_path, tiny)
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert psutil.pid_exists(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone(pid, 3)


def test_deleting_a_model_stops_it_first_and_tells_who_was_being_answered(tiny: Path, tmp_path: Path) -> None:
    folder = cache_folder("org/tiny")
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    shutil.copytree(tiny, folder / "snapshots" / "abc")
    make_adapter(folder / "snapshots" / "abc", tmp_path / "runs" / "mine" / "adapter")
    engine = EmbeddedEngine(Settings(data_dir=tmp_path, runs_dir=tmp_path / "runs"))
    removal = engine.removal("org/tiny")
    assert removal.size_bytes > 100_000 and removal.needed_by == ("mine",)

    deleting = threading.Thread(target=engine.delete, args=("org/tiny",))

    async def interrupted() -> str:
        async with contextlib.aclosing(engine.chat(request("org/tiny", max_tokens=None))) as events:
            async for event in events:
                if isinstance(event, Token) and deleting.ident is None:
                    deleting.start()
        return "not reached"

    with pytest.raises(EngineError) as caught:
        asyncio.run(interrupted())
    deleting.join(10)
    assert caught.value.code == "engine_embedded_stopped"
    assert engine.state.state == "stopped"
    assert not folder.exists() and asyncio.run(engine.models()) == []


def test_a_model_larger_than_the_memory_is_not_even_started(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        check_memory(replace(from_folder(tiny), size_bytes=10**15))
    assert caught.value.code == "engine_out_of_memory"


def test_the_context_is_the_models_own_within_what_this_machine_can_read(tiny: Path) -> None:
    model = from_folder(tiny)
    assert context_of(model, Settings()) == 2048
    assert context_of(model, Settings(num_ctx=1000)) == 1000
    assert context_of(replace(model, max_positions=131072), Settings()) in (CPU_CONTEXT, Settings().num_ctx)
