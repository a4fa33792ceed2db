"""Names of Ollama's models: as they are compared, and as a person writes or pastes them. Asks no server."""

from __future__ import annotations

import re

from core.errors import EngineError

MAX_NAME_CHARS = 300
# host[:port]/ or namespace/, any number of them; the model; its tag. As Ollama's own parser takes them.
NAME = re.compile(r"(?:[A-Za-z0-9][\w.-]*(?::\d{1,5})?/)*[A-Za-z0-9][\w.-]*(?::[A-Za-z0-9_][\w.-]*)?", re.ASCII)
COMMAND = re.compile(r"(?:ollama\s+)?(?:pull|run)\s+", re.IGNORECASE)
ADDRESS = re.compile(r"https://(?:www\.)?(ollama\.com|huggingface\.co|hf\.co)/", re.IGNORECASE)


def full_name(model: str) -> str:
    """A model's name with its tag: a name without one means `:latest`."""
    return model if ":" in model.rsplit("/", 1)[-1] else f"{model}:latest"


def is_cloud_name(model: str) -> bool:
    """Whether Ollama runs the model on its own machines: `glm-4.6:cloud`, `gpt-oss:120b-cloud`."""
    tag = full_name(model).rpartition(":")[2]
    return tag == "cloud" or tag.endswith("-cloud")


def checked_name(written: str) -> str:
    """The model that `written` names: a name, `ollama pull NAME`, or the address of a model's page at ollama.com
    or huggingface.co. Raises EngineError `pull_bad_name`."""
    name = COMMAND.sub("", written.strip().strip("\"'"), count=1).strip().rstrip("/")
    address = ADDRESS.match(name)
    if address:
        host = "" if address[1].lower() == "ollama.com" else "hf.co/"
        name = host + name[address.end() :].removeprefix("library/")
    if len(name) > MAX_NAME_CHARS or not NAME.fullmatch(name):
        raise EngineError("pull_bad_name", name=written.strip()[:MAX_NAME_CHARS])
    return name
