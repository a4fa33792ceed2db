"""Our index in LangChain: a retriever and embeddings that real chains and vector stores take."""

from __future__ import annotations

import numpy as np
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

from core.documents.collection import Collection
from core.documents.langchain import TallerEmbeddings, TallerRetriever, as_text


def test_a_chain_gets_the_passages_with_their_places(indexed: Collection) -> None:
    (document,) = TallerRetriever(collection=indexed, top_k=1).invoke("When do I pay the rent?")
    assert document.metadata["source"] == "contract.md"
    assert document.metadata["page"] == 1
    assert 0 < document.metadata["score"] <= 1
    (hit,) = indexed.search("When do I pay the rent?", 1)
    page = indexed.store.page_text(hit.sha256, 1)
    assert page is not None
    assert page[document.metadata["start"] : document.metadata["end"]] == document.page_content


def test_the_retriever_feeds_a_prompt(indexed: Collection) -> None:
    template = ChatPromptTemplate.from_template("{passages}\n\nQuestion: {question}")
    retriever = TallerRetriever(collection=indexed)
    chain = {"passages": retriever | as_text, "question": RunnablePassthrough()} | template
    text = chain.invoke("¿Cuántos días de vacaciones hay?").to_string()
    assert text.startswith("Human: [1] vacaciones.txt, 1\nLas vacaciones anuales")
    assert "[3] " in text
    assert text.endswith("Question: ¿Cuántos días de vacaciones hay?")


def test_a_vector_store_takes_the_embeddings(indexed: Collection) -> None:
    embeddings = TallerEmbeddings(indexed.embedder)
    store = InMemoryVectorStore(embeddings)
    store.add_texts([*["filler"] * 20, "The rent is due in May."])
    (found,) = store.similarity_search("rent", k=1)
    assert found.page_content == "The rent is due in May."
    assert np.allclose(embeddings.embed_query("rent"), embeddings.embed_documents(["rent"])[0], atol=1e-5)
    assert embeddings.embed_documents([]) == []
