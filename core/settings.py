"""Every setting of Taller, once, with its unit. Built in `app.py` and passed down; there are no globals."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_cache_path

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """What the user may choose; the defaults are the mission's."""

    # Folders.
    docs_dir: Path = Path("mis_documentos")  # the user's files, never destroyed
    data_dir: Path = Path("data")  # the store, the trash, logs: ours
    runs_dir: Path = Path("gpt_oss_fine_tuned")  # one folder a training run
    # What this machine can make again, such as models converted for its processor; shared by all data folders.
    cache_dir: Path = field(default_factory=lambda: user_cache_path("taller"))

    # Documents.
    chunk_size: int = 1000  # characters
    chunk_overlap: int = 200  # characters
    embedding_model: str = "sentence-transformers/all-MiniLM-L6-v2"  # the packaged copy; other ids: the hub
    max_file_bytes: int = 200 * MEBIBYTE
    page_timeout_seconds: float = 30.0  # a parser that finishes no page for so long is ended
    file_timeout_seconds: float = 1800.0  # reading one file, all its pages
    parser_memory_bytes: int = 2048 * MEBIBYTE  # resident memory at which a parser is ended

    # Search.
    top_k: int = 3  # passages given to the model

    # Chat.
    ollama_host: str = "http://127.0.0.1:11434"
    ollama_model: str = "gpt-oss:20b"
    max_question_chars: int = 8000
    num_ctx: int = 8192  # tokens; Ollama's own default drops the oldest messages silently
    ollama_keep_alive: str = "10m"  # how long Ollama keeps an idle model in memory, as it writes durations
    # A packet lost on the way is sent again after one second; a host that is off never answers.
    connect_timeout_seconds: float = 1.5
    answer_timeout_seconds: float = 5.0  # for what a server that was reached knows at once, such as its models
    # A cold 20B model may need minutes to load from a slow disk before its first token.
    first_token_timeout_seconds: float = 600.0
    token_timeout_seconds: float = 120.0

    @property
    def store_path(self) -> Path:
        return self.data_dir / "taller.sqlite3"

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"
