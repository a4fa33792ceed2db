"""Names of models: compared with their tag, and read from what people paste."""

from __future__ import annotations

import pytest

from core.engines.ollama_names import checked_name, full_name, is_cloud_name
from core.errors import EngineError


def test_a_name_without_a_tag_means_latest() -> None:
    assert full_name("llama3.2") == "llama3.2:latest"
    assert full_name("llama3.2:1b") == "llama3.2:1b"
    assert full_name("host:5000/team/model") == "host:5000/team/model:latest"


def test_a_model_of_the_cloud_is_known_by_its_tag() -> None:
    assert all(map(is_cloud_name, ("glm-4.6:cloud", "gpt-oss:120b-cloud")))
    assert not any(map(is_cloud_name, ("cloud", "my-cloud", "cloud:1b", "host:5000/cloud/model")))


@pytest.mark.parametrize(("written", "name"), [
    ("qwen3:4b", "qwen3:4b"),
    ("  gpt-oss:20b \n", "gpt-oss:20b"),
    ("ollama pull qwen3:4b", "qwen3:4b"),
    ("ollama run llama3.2", "llama3.2"),
    ("hf.co/unsloth/Qwen3-4B-GGUF:Q4_K_M", "hf.co/unsloth/Qwen3-4B-GGUF:Q4_K_M"),
    ("registry.example.com:5000/team/model:v1.2", "registry.example.com:5000/team/model:v1.2"),
    ("https://ollama.com/library/qwen3:4b", "qwen3:4b"),
    ("https://ollama.com/someone/model", "someone/model"),
    ("https://huggingface.co/unsloth/Qwen3-4B-GGUF/", "hf.co/unsloth/Qwen3-4B-GGUF"),
])
def test_what_people_paste_is_read(written: str, name: str) -> None:
    assert checked_name(written) == name


@pytest.mark.parametrize("written", [
    "", "   ", "qwen3 4b", "qwen3:", ":4b", "qwen3:4b:5", "../../etc/passwd", "http://169.254.169.254/x", "<script>",
    "model\nname", "añadido:4b", "a" * 400, "-rf", "/qwen3",
])
def test_what_is_no_name_is_refused_before_anybody_is_asked(written: str) -> None:
    with pytest.raises(EngineError) as caught:
        checked_name(written)
    assert caught.value.code == "pull_bad_name"
