"""What a model is made of, known before its weights are here."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from core.finetune import blueprints, preflight
from core.finetune.blueprints import Blueprint, find, of_folder
from core.finetune.inspect_worker import learn
from core.finetune.memory import ITEM_BYTES
from tests.hub_server import HubServer
from tests.tiny_gpt_oss import make_tiny_gpt_oss
from tests.tiny_model import make_tiny_model


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def size_bytes(blueprint: Blueprint) -> int:
    return sum(math.prod(shape) * ITEM_BYTES.get(kind, 2) for kind, shape in blueprint.tensors.values())


def test_gpt_oss_is_known_without_a_network_as_it_is_published(tmp_path: Path) -> None:
    known = find(preflight.GPT_OSS, tmp_path)
    assert known is not None
    assert size_bytes(known) == pytest.approx(13.76e9, rel=0.001)
    assert known.quant_method == "mxfp4"
    small = of_folder(make_tiny_gpt_oss(tmp_path / "small"))

    def kinds(blueprint: Blueprint) -> dict[str, str]:
        return {re.sub(r"\d+", "N", name): kind for name, (kind, _) in blueprint.tensors.items()}

    assert kinds(known) == kinds(small)


def test_a_hub_model_is_asked_about_once_and_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    tiny = make_tiny_model(tmp_path / "tiny")
    whole = of_folder(tiny)
    with HubServer("someone/something", tiny) as hub:
        monkeypatch.setattr(huggingface_hub, "HfApi", lambda: huggingface_hub.hf_api.HfApi(endpoint=hub.url))
        assert find("someone/something", tmp_path / "cache") is None
        blueprints.fetch("someone/something", whole.config, tmp_path / "cache")
        asked = list(hub.ranges)
        blueprints.fetch("someone/something", whole.config, tmp_path / "cache")
        assert asked == hub.ranges == ["bytes=0-100000"]
    assert find("someone/something", tmp_path / "cache") == whole


def test_what_the_hub_does_not_tell_stays_unknown_and_the_speed_is_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.finetune import speed

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(blueprints, "fetch", lambda *_: 1 / 0)
    learn("someone/something", tmp_path, tmp_path / "cache")
    assert find("someone/something", tmp_path / "cache") is None
    measured = speed.known(tmp_path / "cache")
    assert measured is not None
    assert 0 < measured.operation <= measured.operation32 * 2 < measured.dequantize < measured.call
    before = speed.path_of(tmp_path / "cache").stat().st_mtime_ns
    learn("someone/something", tmp_path, tmp_path / "cache")
    assert speed.path_of(tmp_path / "cache").stat().st_mtime_ns == before
    speed.path_of(tmp_path / "cache").write_text("{")
    assert speed.known(tmp_path / "cache") is None
