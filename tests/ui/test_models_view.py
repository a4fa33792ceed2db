"""Ollama's models as HTML: facts, downloads, suggestions; nothing of what a server says becomes markup."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.engines.base import ModelInfo
from core.engines.ollama_models import LoadedModel
from core.engines.ollama_pull import PullProgress
from core.engines.pulls import Pull, PullState
from core.engines.suggestions import Suggestion
from core.errors import EngineError
from ui.i18n import LANGUAGES
from ui.models_view import Shelf, installed_view, pull_text, pulls_view, suggestions_view

HOSTILE = '"><script>alert(1)</script>'
GPT_OSS = ModelInfo("gpt-oss:20b", 13_780_000_000, "gptoss", parameters="20.9B", quantization="MXFP4",
                    context_tokens=131_072, think_levels=("low", "medium", "high"))
DOWNLOADING = PullProgress("downloading", 1_200_000_000, 5_225_000_000, 12_300_000.0, 327.0)


def shelf(*models: ModelInfo, here: bool = True) -> Shelf:
    return Shelf("http://127.0.0.1:11434", here, models, (), (Suggestion("qwen3:4b", 2_500_000_000, "memory"),))


def test_a_models_facts_stand_on_one_line() -> None:
    assert "20.9B · MXFP4 · 13.8 GB · context of 131,072 tokens · can think" in installed_view("en", shelf(GPT_OSS), "")
    assert "13,8 GB · contexto de 131.072 tokens · puede razonar" in installed_view("es", shelf(GPT_OSS), "")


def test_what_is_not_known_is_left_out() -> None:
    html = installed_view("en", shelf(ModelInfo("old:latest")), "")
    assert '<p class="hint"></p>' in html


def test_a_model_in_memory_can_be_taken_out() -> None:
    loaded = LoadedModel("gpt-oss:20b", 15_000_000_000, 7_500_000_000, 8192, 0)
    html = installed_view("en", Shelf("", True, (GPT_OSS,), (loaded,)), "")
    assert 'data-act="unload"' in html and "Takes 15.0 GB of memory; 50 % of it" in html
    assert 'data-act="unload"' not in installed_view("en", shelf(GPT_OSS), "")


def test_a_model_on_its_way_into_memory_says_so() -> None:
    loaded = LoadedModel("gpt-oss:20b", 15_000_000_000, 0, 0, 0, loading=True)
    html = installed_view("en", Shelf("", True, (GPT_OSS,), (loaded,)), "")
    assert "Loading…" in html and "In memory" not in html


def test_a_model_in_the_cloud_says_so() -> None:
    assert "what you ask leaves this one" in installed_view("en", shelf(ModelInfo("big:cloud", remote=True)), "")


def test_only_the_model_asked_about_waits_for_a_yes() -> None:
    models = shelf(GPT_OSS, ModelInfo("llama3.2:3b"))
    assert 'data-act="delete"' not in installed_view("en", models, "")
    html = installed_view("en", models, "gpt-oss:20b")
    assert html.count('data-act="delete"') == 1 and "It frees 13.8 GB" in html


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_empty_or_absent_server_says_what_to_do(language: str) -> None:
    for empty in (None, shelf(), Shelf("http://x:1", True)):
        assert len(installed_view(language, empty, "")) > 40
    assert suggestions_view(language, Shelf("http://x:1", True), ()) == ""


def test_a_download_tells_bytes_speed_and_time() -> None:
    assert pull_text("en", DOWNLOADING) == "1.2 GB of 5.2 GB · 12.3 MB/s · about 5 minutes left"
    stalled = replace(DOWNLOADING, stalled=True)
    assert pull_text("en", stalled) == "1.2 GB of 5.2 GB · nothing is coming right now"
    html = pulls_view("en", [Pull("qwen3:8b", "running", DOWNLOADING)])
    assert 'max="5225000000" value="1200000000"' in html and 'data-act="cancel"' in html


@pytest.mark.parametrize("stage", ["manifest", "verifying", "writing", "done"])
def test_every_stage_has_its_words(stage: str) -> None:
    for language in LANGUAGES:
        assert pull_text(language, PullProgress(stage))  # type: ignore[arg-type]
        assert "value=" not in pulls_view(language, [Pull("a", "running", PullProgress(stage))])  # type: ignore[arg-type]


@pytest.mark.parametrize(("state", "again"), [("done", False), ("cancelled", True), ("failed", True)])
def test_a_download_that_ended_can_be_put_away_and_gone_on_with(state: PullState, again: bool) -> None:
    error = EngineError("pull_no_space", model="qwen3:8b") if state == "failed" else None
    html = pulls_view("en", [Pull("qwen3:8b", state, DOWNLOADING, error)])
    assert 'data-act="put-away"' in html
    assert ('data-act="pull"' in html) == again
    assert ("no room left on the disk" in html) == (error is not None)


def test_suggestions_tell_size_and_fit_and_leave_out_what_comes() -> None:
    html = suggestions_view("en", shelf(), ())
    assert "<strong>qwen3:4b</strong> ≈ 2.5 GB · fits this machine" in html
    assert suggestions_view("en", shelf(), [Pull("qwen3:4b", "running", DOWNLOADING)]) == ""


def test_the_fit_on_another_machine_is_not_known() -> None:
    html = suggestions_view("en", shelf(here=False), ())
    assert "2.5 GB" in html and "fits" not in html


def test_nothing_a_server_says_becomes_markup() -> None:
    hostile = ModelInfo(HOSTILE, 1, HOSTILE, parameters=HOSTILE, quantization=HOSTILE)
    error = EngineError("pull_refused", model=HOSTILE, detail=HOSTILE)
    pulls = [Pull(HOSTILE, "running", DOWNLOADING), Pull(HOSTILE, "failed", DOWNLOADING, error)]
    html = installed_view("en", shelf(hostile), HOSTILE) + pulls_view("en", pulls)
    assert "<script" not in html and 'data-model=""' not in html
    assert "<script" not in installed_view("en", Shelf(HOSTILE, True), "")
