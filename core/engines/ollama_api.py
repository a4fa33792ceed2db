"""One Ollama server over HTTP: what is asked as JSON, what is streamed, and its errors in our codes.

Speaks through `ollama.AsyncClient`, whose errors become EngineErrors here and nowhere else. An AsyncClient belongs
to one event loop, so whoever asks opens one and closes it. Knows nothing of models or chats.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from core.engines.hosts import connect_seconds, dial_url, is_loopback
from core.errors import EngineError
from core.settings import Settings

if TYPE_CHECKING:
    import ssl

    from ollama import AsyncClient, ResponseError

Meaning = Callable[["ResponseError"], EngineError]
DETAIL_CHARS = 300  # of a server's own words in our sentence
Line = TypeVar("Line")


class OllamaApi:
    """A server at `host`, in any form of OLLAMA_HOST. Raises EngineError `engine_bad_host` when it is no address."""

    def __init__(self, settings: Settings, host: str | None = None) -> None:
        self.url = dial_url(host or settings.ollama_host)
        self._connect_seconds = connect_seconds(self.url, settings)
        self._answer_seconds = settings.answer_timeout_seconds

    def client(self, *, streaming: bool = False) -> AsyncClient:
        """A client of this event loop, to be closed. A stream's silences are limited by `stream` alone."""
        import httpx
        import ollama

        return ollama.AsyncClient(
            self.url,
            timeout=httpx.Timeout(None if streaming else self._answer_seconds, connect=self._connect_seconds),
            trust_env=not is_loopback(self.url),  # a proxy of the office cannot reach this machine's loopback
            verify=self._certificates,
        )

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        """Read once: each client would read them anew, 10 ms before every first token."""
        import httpx

        return httpx.create_ssl_context(trust_env=not is_loopback(self.url))

    async def json(
        self, client: AsyncClient, method: str, path: str, body: object = None, meaning: Meaning | None = None
    ) -> Mapping[str, Any]:
        """A whole answer, as the JSON object it is. Raises EngineError."""
        import httpx

        timeout = httpx.Timeout(self._answer_seconds, connect=self._connect_seconds)
        with self.translated(meaning):
            answer = (await client._request_raw(method, path, json=body, timeout=timeout)).json()
        if not isinstance(answer, dict):
            raise EngineError("engine_bad_answer")
        return answer

    async def stream(
        self, client: AsyncClient, line_type: type[Line], path: str, body: object, *, meaning: Meaning,
        first_seconds: float, next_seconds: float,
    ) -> AsyncGenerator[Line, None]:
        """The lines of an answer as they come, until it ends. Closing or cancelling this generator closes the
        connection at once. Raises EngineError; `engine_timeout` after a silence longer than it may be.

        The library's own methods take no `truncate` and no `shift`, so the body goes through the method that they
        themselves call (ollama 0.6.3).
        """
        lines: Any = await client._request(line_type, "POST", path, json=body, stream=True)
        seconds = first_seconds
        async with contextlib.aclosing(lines):
            while True:
                with self.translated(meaning):
                    try:
                        async with asyncio.timeout(seconds):
                            line: Line | None = await anext(lines, None)
                    except TimeoutError as error:
                        raise EngineError("engine_timeout", seconds=round(seconds)) from error
                if line is None:
                    return
                seconds = next_seconds
                yield line

    @contextlib.contextmanager
    def translated(self, meaning: Meaning | None = None) -> Iterator[None]:
        """The one place that knows what ollama and httpx raise. `meaning` reads what the server itself says."""
        import httpx
        import ollama

        try:
            yield
        except ollama.ResponseError as error:
            raise (meaning or self.refused)(error) from error
        except (httpx.ConnectError, httpx.ConnectTimeout, ConnectionError) as error:
            raise EngineError("engine_unreachable", host=self.url) from error
        except httpx.TimeoutException as error:
            raise EngineError("engine_timeout", seconds=round(self._answer_seconds)) from error
        except httpx.TransportError as error:
            raise EngineError("engine_broken_stream") from error
        except (httpx.RequestError, ValueError, TypeError, AttributeError) as error:
            # The library parses lines without checks: what is no JSON, or JSON of another shape, ends here.
            raise EngineError("engine_bad_answer") from error

    def refused(self, error: ResponseError) -> EngineError:
        """An error of the server that nothing more is known of than its words."""
        if error.status_code == 401:
            return EngineError("engine_unauthorized", host=self.url)
        if error.status_code == 503:
            return EngineError("engine_busy")
        status = f"HTTP {error.status_code}: " if error.status_code > 0 else ""
        return EngineError("engine_refused", detail=(status + error_words(error))[:DETAIL_CHARS])


def error_words(error: ResponseError) -> str:
    """What the server said, on one line without its full stop."""
    return " ".join(str(error.error).split()).rstrip(".")
