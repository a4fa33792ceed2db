"""The child that fetches a model: `python -m core.engines.download_worker MODEL`.

Tells on its output, as JSON lines: `{"total": bytes, "done": bytes}` as they change, then `{"state": "finished"}` or
`{"state": "failed", "code": …, "values": {…}}`. Ends when its input closes; what came is kept and the next start goes
on there, which the hub's own library (2.4) does not do. Files land in the Hugging Face cache, where other programs find
them.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import shutil
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.engines.hub_cache import PARTIAL_SUFFIX, cache_folder
from core.errors import EngineError

# Weights as safetensors only: the other formats are pickles, which run code when they are read.
WANTED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")
UNWANTED = ("*/*",)  # folders hold copies of the weights in other formats
HUB_SECONDS = 10.0  # a hub that does not answer is told within seconds
SILENT_SECONDS = 30.0  # between two pieces of a file
TELL_SECONDS = 0.25
PIECE_BYTES = 256 * 1024
ATTEMPTS = 4  # at going on with a file whose connection broke
SPARE_BYTES = 500_000_000  # that the disk keeps for everything else


@dataclass(frozen=True)
class HubFile:
    """`sha256` is empty for small files, which the hub keeps in another way."""

    name: str
    size: int
    sha256: str


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's; we leave when our input closes
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    try:
        fetch(sys.argv[1])
        tell(state="finished")
    except EngineError as error:
        traceback.print_exc()  # the log tells what the sentence leaves out
        tell(state="failed", code=error.code, values=error.values)
    except Exception as error:
        traceback.print_exc()
        tell(state="failed", code="download_failed", values={"model": sys.argv[1], "detail": str(error)[:300]})


def _leave_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


def tell(**message: object) -> None:
    print(json.dumps(message), flush=True)


def fetch(model: str) -> None:
    """Bring the model here. Raises EngineError `download_unreachable`, `download_not_found`, `download_gated`,
    `download_no_space`, `download_not_a_model`, `download_damaged`."""
    # Read when the library is first imported; its own defaults would retry for minutes.
    os.environ["HF_HUB_ETAG_TIMEOUT"] = str(int(HUB_SECONDS))
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        revision, files = listing(model)
        progress = Progress(model, files)
        check_space(model, progress.total - progress.done)
        # Small files first: a folder without its weights is never taken for a whole model.
        for file in sorted(files, key=lambda file: file.size):
            if file.sha256:
                Transfer(model, revision, file, progress).run()
            hf_hub_download(model, file.name)  # finds what is there, and enters it in the cache
            progress.came(file)
    except GatedRepoError as error:
        raise EngineError("download_gated", model=model) from error
    except RepositoryNotFoundError as error:
        raise EngineError("download_not_found", model=model) from error
    except EngineError:
        raise
    except Exception as error:
        if not is_network_error(error):
            raise
        raise EngineError("download_unreachable", model=model) from error


def listing(model: str) -> tuple[str, list[HubFile]]:
    """The newest revision and the files of it that a model needs."""
    from huggingface_hub import HfApi

    info = HfApi().model_info(model, files_metadata=True, timeout=HUB_SECONDS)
    files = [HubFile(file.rfilename, int(file.size or 0), checked_digest(file.lfs.sha256) if file.lfs else "")
             for file in info.siblings or [] if is_wanted(file.rfilename)]
    if not any(file.name.endswith(".safetensors") for file in files):
        raise EngineError("download_not_a_model", model=model)
    return str(info.sha), files


def checked_digest(sha256: object) -> str:
    """The digest, which becomes the name of a file of ours; empty when it is none."""
    return str(sha256) if re.fullmatch("[0-9a-f]{64}", str(sha256)) else ""


def is_wanted(name: str) -> bool:
    if name.startswith("consolidated") or any(fnmatch.fnmatch(name, pattern) for pattern in UNWANTED):
        return False
    return any(fnmatch.fnmatch(name, pattern) for pattern in WANTED)


def check_space(model: str, needed_bytes: int) -> None:
    folder = cache_folder(model)
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if needed_bytes + SPARE_BYTES > free:
        raise EngineError("download_no_space", folder=str(existing), needed_gb=round(needed_bytes / 1e9, 1),
                          free_gb=round(free / 1e9, 1))


def is_network_error(error: BaseException) -> bool:
    """Whether nobody answered, or not as the hub does. The hub's client is httpx under a name that changes between
    versions, so its errors are known by their module."""
    from huggingface_hub.errors import FileMetadataError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    if isinstance(error, ConnectionError | TimeoutError | HfHubHTTPError | LocalEntryNotFoundError
                  | FileMetadataError | OfflineModeIsEnabled):
        return True
    return any(kind.__module__.startswith("httpx") and kind.__name__ in ("HTTPError", "TransportError", "RequestError")
               for kind in type(error).__mro__)


class Progress:
    """Bytes that came, told a few times a second."""

    def __init__(self, model: str, files: list[HubFile]) -> None:
        self.total = sum(file.size for file in files)
        self._by_file = {file.name: partial_size(model, file) for file in files}
        self._told = 0.0
        self.tell()

    @property
    def done(self) -> int:
        return sum(self._by_file.values())

    def came(self, file: HubFile, size: int | None = None) -> None:
        self._by_file[file.name] = file.size if size is None else size
        if size is None or time.monotonic() - self._told > TELL_SECONDS:
            self.tell()

    def tell(self) -> None:
        self._told = time.monotonic()
        tell(total=self.total, done=self.done)


def blob_path(model: str, file: HubFile) -> Path:
    """Where the cache keeps the file's content."""
    return cache_folder(model) / "blobs" / file.sha256


def partial_path(model: str, file: HubFile) -> Path:
    return blob_path(model, file).with_name(file.sha256 + PARTIAL_SUFFIX)


def partial_size(model: str, file: HubFile) -> int:
    """How much of a file is here already."""
    if not file.sha256:
        return 0
    for path in (blob_path(model, file), partial_path(model, file)):
        if path.is_file():
            return min(path.stat().st_size, file.size)
    return 0


class Transfer:
    """One large file on its way into the cache; goes on where an earlier one ended."""

    def __init__(self, model: str, revision: str, file: HubFile, progress: Progress) -> None:
        self._model, self._revision, self._file, self._progress = model, revision, file, progress
        self._partial = partial_path(model, file)
        self._blob = blob_path(model, file)

    def run(self) -> None:
        if self._blob.is_file():
            return
        from filelock import FileLock

        self._partial.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._partial.with_suffix(".lock")):  # another window's app fetches it: wait, then find it here
            for attempt in range(ATTEMPTS):
                try:
                    if not self._blob.is_file():
                        self._receive()
                    break
                except Exception as error:
                    if attempt == ATTEMPTS - 1 or not is_network_error(error):
                        raise
                    time.sleep(attempt)
            if not self._blob.is_file():
                self._take_in()

    def _receive(self) -> None:
        """The rest of the file. The hub sends on to a host of its own choice; the user's token stays behind."""
        import httpx
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers

        here = self._partial.stat().st_size if self._partial.is_file() else 0
        if here >= self._file.size:
            return
        headers = {**build_hf_headers(), "Range": f"bytes={here}-", "Accept-Encoding": "identity"}
        url = hf_hub_url(self._model, self._file.name, revision=self._revision)
        timeout = httpx.Timeout(SILENT_SECONDS, connect=HUB_SECONDS)
        with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=timeout) as response:
            response.raise_for_status()
            starts_over = response.status_code == 200  # this server does not know ranges
            with self._partial.open("wb" if starts_over else "ab") as file:
                for piece in response.iter_bytes(PIECE_BYTES):
                    file.write(piece)
                    self._progress.came(self._file, file.tell())
        if self._partial.stat().st_size < self._file.size:
            raise ConnectionError("the connection ended early")

    def _take_in(self) -> None:
        """Into the cache, when the content is what the hub said it is."""
        digest = hashlib.sha256()
        with self._partial.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        if digest.hexdigest() != self._file.sha256:
            self._partial.unlink()
            raise EngineError("download_damaged", model=self._model)
        self._partial.replace(self._blob)


def failure_of(message: dict[str, Any]) -> EngineError:
    """The error a `failed` line tells."""
    return EngineError(str(message.get("code")), **dict(message.get("values") or {}))


if __name__ == "__main__":
    main()
