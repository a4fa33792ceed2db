"""Our index as LangChain's interfaces: any chain can search the user's documents and use our embedder.

    from langchain_core.output_parsers import StrOutputParser
    from core.documents.collection import Collection
    from core.documents.langchain import TallerRetriever, as_text
    from core.settings import Settings

    with Collection(Settings()) as collection:
        collection.searcher.sync()
        chain = TallerRetriever(collection=collection, top_k=3) | as_text | prompt | model | StrOutputParser()
        chain.invoke("¿Qué dice el contrato sobre las vacaciones?")

Imported by nobody in the page, which needs no chain: `langchain_core` with its retrievers takes about a second.
"""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from core.documents.collection import Collection
from core.documents.embeddings import BATCH_SIZE, Embedder
from core.documents.search import Hit


class TallerEmbeddings(Embeddings):
    """Our embedding child as LangChain's Embeddings: unit vectors. Raises DocumentError `embedder_failed`."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector a text. Sent in batches, so that a question of the page never waits for more than one."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), BATCH_SIZE):
            vectors += self._embedder.embed(texts[start : start + BATCH_SIZE]).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        vector: list[float] = self._embedder.embed([text], urgent=True)[0].tolist()
        return vector


class TallerRetriever(BaseRetriever):
    """Search by meaning and words, as the page does it. Raises DocumentError `embedder_failed`."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    collection: Collection
    top_k: int | None = None  # the settings' when not given

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return [as_document(hit) for hit in self.collection.search(query, self.top_k)]


def as_document(hit: Hit) -> Document:
    """The passage; its metadata tell `source`, `page` (from 1), `start` and `end` in that page, and `score`."""
    return Document(
        id=str(hit.chunk_id), page_content=hit.text,
        metadata={"source": hit.source, "page": hit.page, "start": hit.start, "end": hit.end, "score": hit.score},
    )


def as_text(documents: Sequence[Document]) -> str:
    """The passages as one text for a prompt, each under its number, file and page."""
    return "\n\n".join(
        f"[{number}] {document.metadata['source']}, {document.metadata['page']}\n{document.page_content}"
        for number, document in enumerate(documents, start=1)
    )
