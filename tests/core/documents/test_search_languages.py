"""Search in languages that no constant was chosen for: stemming, function words and letters carry it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.documents.collection import Collection
from tests.core.documents.conftest import settings_in, write_files

TEXTS = {
    "fr/bail.txt": "Le locataire verse son loyer au propriétaire avant le cinq de chaque mois. En cas de retard, une "
                   "pénalité de deux pour cent est appliquée.",
    "fr/jardin.txt": "Les tomates sont semées en mars sous abri, puis repiquées au potager après les dernières gelées.",
    "fr/train.txt": "Les billets achetés en gare sont échangeables jusqu'à la veille du départ, sans frais.",
    "fr/velo.txt": "La chaîne du vélo se graisse tous les trois mois et les freins se règlent au printemps.",
    "de/miete.txt": "Die Mieterin überweist die Monatsmiete spätestens am dritten Werktag dem Vermieter.",
    "de/versicherung.txt": "Die Haftpflichtversicherung übernimmt Schäden bis zu einer Höhe von drei Millionen Euro.",
    "de/urlaub.txt": "Den Beschäftigten stehen dreißig Urlaubstage im Kalenderjahr zu, Schwerbehinderten fünf mehr.",
    "de/brot.txt": "Der Sauerteig ruht über Nacht, dann wird das Brot bei 230 Grad vierzig Minuten gebacken.",
    "pl/rower.txt": "Łańcuch roweru smaruje się co trzy miesiące, a hamulce reguluje się wiosną.",
    "pt/contrato.txt": "O inquilino paga a renda até ao dia oito de cada mês, por transferência bancária.",
    "en/bread.txt": "The dough rests over night; in the morning the loaves are baked for forty minutes.",
    "es/contrato.txt": "El inquilino paga el alquiler durante los siete primeros días de cada mes.",
}


@pytest.fixture(scope="module")
def polyglot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    settings = settings_in(tmp_path_factory.mktemp("polyglot"))
    write_files(settings.docs_dir, TEXTS)
    with Collection(settings) as collection:
        for _ in collection.library.run():
            pass
        collection.searcher.sync()
        yield collection


@pytest.mark.parametrize(("question", "source"), [
    ("Quand faut-il payer le loyer ?", "fr/bail.txt"),
    ("Quelle est la pénalité si le locataire paie en retard ?", "fr/bail.txt"),
    ("Quand sème-t-on les tomates ?", "fr/jardin.txt"),
    ("Peut-on échanger un billet de train ?", "fr/train.txt"),
    ("quand regler les freins du velo", "fr/velo.txt"),
    ("Wann muss die Miete überwiesen werden?", "de/miete.txt"),
    ("Wie viel zahlt die Versicherung bei einem Schaden?", "de/versicherung.txt"),
    ("Wie viele Tage Urlaub haben die Beschäftigten?", "de/urlaub.txt"),
    ("Wie lange wird Brot gebacken?", "de/brot.txt"),
    ("Jak często smarować łańcuch rowerowy?", "pl/rower.txt"),
    ("Até quando se paga a renda?", "pt/contrato.txt"),
    ("¿Cuándo se paga el alquiler?", "es/contrato.txt"),
    ("How long is bread baked?", "en/bread.txt"),
])
def test_the_passage_that_answers_comes_first(polyglot: Collection, question: str, source: str) -> None:
    hit = polyglot.search(question)[0]
    assert (hit.source, hit.relevance > 0.3) == (source, True)


@pytest.mark.parametrize("question", [
    "Qui a peint la Joconde ?", "Wer hat die Glühbirne erfunden?", "Kto napisał Pana Tadeusza?",
    "Quem descobriu o caminho marítimo para a Índia?",
])
def test_what_no_document_answers_is_not_relevant(polyglot: Collection, question: str) -> None:
    assert max(hit.relevance for hit in polyglot.search(question)) < 0.3
