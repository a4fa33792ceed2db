"""What the small Ollama of the tests has: models on its disk, half-fetched layers, models in memory. Knows no HTTP."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

FOREVER = 1e12  # seconds; keep_alive below zero
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass
class Loaded:
    size: int
    context: int
    ready: float  # time.monotonic() at which it has come into memory; until then it is listed already
    expires: float  # the same clock


@dataclass(frozen=True)
class Layer:
    digest: str
    size: int


@dataclass
class Shelf:
    """`installed` maps a name to what differs from a plain chat model; `catalogue` holds what can be pulled."""

    installed: dict[str, dict[str, Any]]
    catalogue: dict[str, dict[str, Any]] = field(default_factory=dict)
    partial: dict[str, int] = field(default_factory=dict)  # digest → bytes fetched so far
    memory: dict[str, Loaded] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, name: str) -> str | None:
        """The installed model a request means: a name without a tag means `:latest`."""
        return next((known for known in self.installed if full(known) == full(name)), None)

    def delete(self, name: str) -> None:
        with self.lock:
            del self.installed[name]
            self.memory.pop(name, None)

    def load(self, name: str, context: int, keep_alive: float, seconds: float) -> float:
        """Bring a model into memory as a server does that a request reaches; the seconds until it is there."""
        now = time.monotonic()
        with self.lock:
            loaded = self.memory.get(name)
            if loaded is None or loaded.context != context or loaded.expires < now:
                size = int(1.1 * self.installed[name].get("size", 1_000_000))
                loaded = self.memory[name] = Loaded(size, context, now + seconds, 0)
            loaded.expires = max(now, loaded.ready) + keep_alive
            return max(0.0, loaded.ready - now)

    def unload(self, name: str) -> None:
        with self.lock:
            self.memory.pop(name, None)

    def tags(self) -> dict[str, Any]:
        return {"models": [_listed(name, model) for name, model in list(self.installed.items())]}

    def processes(self) -> dict[str, Any]:
        now = time.monotonic()
        with self.lock:
            self.memory = {name: loaded for name, loaded in self.memory.items() if loaded.expires > now}
            return {"models": [
                {
                    "name": full(name), "model": full(name), "size": loaded.size, "size_vram": loaded.size,
                    "digest": _digest(name), "details": details(self.installed[name]),
                    "context_length": loaded.context if loaded.ready <= now else 0,  # 0 while it loads
                    "expires_at": datetime.fromtimestamp(
                        min(time.time() + loaded.expires - now, 4e9), UTC).isoformat(),
                }
                for name, loaded in self.memory.items()
            ]}

    def show(self, name: str) -> dict[str, Any]:
        model = self.installed[name]
        family = model.get("family", "llama")
        shown: dict[str, Any] = {
            "modelfile": f"FROM {name}", "parameters": "temperature 0.7", "template": "{{ .Prompt }}",
            "details": details(model),
            "model_info": {
                "general.architecture": family,
                f"{family}.context_length": model.get("context", 131_072),
                f"{family}.rope.scaling.original_context_length": 4096,
            },
            "capabilities": model.get("capabilities", ["completion"]),
            "modified_at": "2026-01-01T00:00:00Z",
        }
        if shown["capabilities"] is None:  # an old server does not tell
            del shown["capabilities"], shown["model_info"]
        return shown | {key: model[key] for key in ("remote_host", "thinking") if key in model}

    def layers(self, name: str) -> list[Layer]:
        """As in a manifest: the weights, which are nearly everything, then what is small."""
        size = int(self.catalogue[name].get("size", 1_000_000))
        parts = {"weights": max(1, size - 20_000), "template": 8_000, "license": 11_500, "config": 500}
        return [Layer(_digest(f"{name} {part}"), bytes_) for part, bytes_ in parts.items()]

    def install(self, name: str) -> None:
        with self.lock:
            others = {known: model for known, model in self.installed.items() if known != name}
            self.installed = {name: dict(self.catalogue[name]), **others}


def full(name: str) -> str:
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def details(model: Mapping[str, Any]) -> dict[str, Any]:
    family = model.get("family", "llama")
    return {
        "parent_model": "", "format": "gguf", "family": family, "families": [family],
        "parameter_size": model.get("parameters", "1B"),
        "quantization_level": model.get("quantization", "Q4_0"),
    }


def seconds_of(keep_alive: object) -> float:
    """A duration as Ollama reads it: seconds, or Go's "10m"; below zero is for ever."""
    if keep_alive is None:
        return 300.0
    if isinstance(keep_alive, int | float):
        return FOREVER if keep_alive < 0 else float(keep_alive)
    text = str(keep_alive)
    if text.startswith("-"):
        return FOREVER
    unit = next((unit for unit in ("ms", "s", "m", "h") if text.endswith(unit)), "s")
    return float(text.removesuffix(unit)) * UNITS[unit]


def _listed(name: str, model: Mapping[str, Any]) -> dict[str, Any]:
    listed = {
        "name": name, "model": name, "modified_at": "2026-01-01T00:00:00Z", "size": model.get("size", 1_000_000),
        "digest": _digest(name + str(model.get("version", "")))[7:], "details": details(model),
    }
    return listed | {key: model[key] for key in ("remote_host",) if key in model}


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
