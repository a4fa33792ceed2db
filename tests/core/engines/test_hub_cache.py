"""What the hub's cache has of a model, and that deleting one leaves nothing of it and everything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.engines import hub_cache
from core.engines.hub_cache import cache_folder
from core.errors import EngineError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def keep(model: str, name: str, size_bytes: int) -> Path:
    path = cache_folder(model) / "blobs" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"0" * size_bytes)
    return path


def test_only_downloads_that_began_here_are_told_as_half_done() -> None:
    keep("org/ours", "1f.taller.incomplete", 300)
    keep("org/ours", "2f", 7)
    keep("org/theirs", "1f.incomplete", 300)
    assert hub_cache.partial_bytes() == {"org/ours": 300}


def test_a_link_takes_no_room() -> None:
    blob = keep("org/model", "1f", 300)
    link = cache_folder("org/model") / "snapshots" / "abc" / "model.safetensors"
    link.parent.mkdir(parents=True)
    try:
        link.symlink_to(blob)
    except OSError:
        pytest.skip("this system makes no links")
    assert hub_cache.disk_bytes("org/model") == 300


def test_a_deleted_model_leaves_nothing_and_its_neighbours_stay(own_cache: Path) -> None:
    keep("org/model", "1f", 300)
    (own_cache / ".locks" / "models--org--model").mkdir(parents=True)
    other = keep("org/model-2", "1f", 300)
    hub_cache.delete("org/model")
    assert [path for path in own_cache.rglob("*") if path.is_file()] == [other]
    assert list((own_cache / ".locks").iterdir()) == []


@pytest.mark.parametrize("name", ["org/nobody", "", "../..", "/etc"])
def test_what_is_no_model_here_is_not_deleted(name: str) -> None:
    with pytest.raises(EngineError) as caught:
        hub_cache.delete(name)
    assert caught.value.code == "engine_embedded_missing"


def test_a_model_that_cannot_be_moved_stays_whole(own_cache: Path) -> None:
    blob = keep("org/model", "1f", 300)
    (own_cache / ".deleted--models--org--model").write_text("in the way")
    with pytest.raises(EngineError) as caught:
        hub_cache.delete("org/model")
    assert caught.value.code == "model_not_deleted"
    assert blob.exists()
