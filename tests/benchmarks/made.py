"""Articles and questions made on the spot, in XQuAD's form, for a machine that has no sample of its own.

Made-up towns in English and Spanish; a paragraph tells of one thing of a town, its questions ask in other words. They
are easier than real ones: compare two ways with each other on them, not with figures from real articles.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

_TOWNS = 24
_SYLLABLES = ("ar", "be", "co", "dun", "el", "fa", "gor", "hes", "il", "ka", "lo", "mar", "ne", "or", "pel", "ra",
              "sol", "tor", "ul", "ven")
_PEOPLE = ("Amelia Ford", "Bruno Salas", "Clara Whitman", "Diego Montes", "Edith Crane", "Fermín Lago", "Grace Holt",
           "Hugo Prado", "Irene Vidal", "Jonas Reed", "Karl Stern", "Lucía Robles")
# Sentences of a paragraph, and what is asked: {town}, {person}, {year}, {number} are filled in; the answer stands last.
_TOPICS = {
    "en": (
        ("The stone bridge of {town} crosses the river in seven arches. Masons from the valley carried the blocks down "
         "in winter, when sledges ran on the frozen road. The work was led by {person} and the bridge opened in "
         "{year}. It is {number} metres long, and carts paid a toll of two coins until the railway came.",
         (("Who directed the building of the river crossing in {town}?", "{person}"),
          ("What is the length of the crossing over the water in {town}?", "{number} metres"))),
        ("The library of {town} began as a shelf in the town hall. A gift by {person} paid for the reading room, whose "
         "windows look north to spare the bindings. In {year} a flood reached the lower shelves, and neighbours dried "
         "{number} books page by page on washing lines.",
         (("Whose donation made the room for readers in {town} possible?", "{person}"),
          ("How many volumes were saved after the water came in at {town}?", "{number}"))),
        ("Every autumn {town} holds a market of cheese and wool. It was allowed by a letter of {year}, which hangs in "
         "the hall. {number} stalls stand around the square, and the oldest family among the sellers is that of "
         "{person}, who weighs with the same scales as three generations before.",
         (("In which year did {town} get the right to trade?", "{year}"),
          ("How many sellers can be found on the square of {town}?", "{number}"))),
        ("The mill of {town} ground rye for the whole coast. {person} replaced its wheel by a turbine in {year}, the "
         "first of the region, and from then on the street lamps burned all night. Today it feeds {number} houses with "
         "electricity and shows its old stones to schools.",
         (("When did the grinding works of {town} receive a turbine?", "{year}"),
          ("How many homes get their power from the old works in {town}?", "{number}"))),
    ),
    "es": (
        ("El puente de piedra de {town} cruza el río con siete arcos. Los canteros del valle bajaban los bloques en "
         "invierno, cuando los trineos corrían por el camino helado. Dirigió la obra {person} y el puente se abrió en "
         "{year}. Mide {number} metros, y los carros pagaron un peaje de dos monedas hasta que llegó el tren.",
         (("¿Quién estuvo al frente de la construcción del paso sobre el río en {town}?", "{person}"),
          ("¿Qué longitud tiene el paso sobre el agua en {town}?", "{number} metros"))),
        ("La biblioteca de {town} empezó como un estante en el ayuntamiento. Un regalo de {person} pagó la sala de "
         "lectura, cuyas ventanas miran al norte para cuidar las tapas. En {year} una inundación alcanzó los estantes "
         "bajos, y los vecinos secaron {number} libros hoja a hoja en los tendederos.",
         (("¿Gracias a la donación de quién hay un salón para lectores en {town}?", "{person}"),
          ("¿Cuántos volúmenes se salvaron cuando entró el agua en {town}?", "{number}"))),
        ("Cada otoño {town} celebra un mercado de queso y lana. Lo permitió una carta de {year}, que cuelga en el "
         "salón. Alrededor de la plaza hay {number} puestos, y la familia más antigua entre los vendedores es la de "
         "{person}, que pesa con la misma balanza que tres generaciones antes.",
         (("¿En qué año consiguió {town} el derecho a comerciar?", "{year}"),
          ("¿Cuántos vendedores se instalan en la plaza de {town}?", "{number}"))),
        ("El molino de {town} molía centeno para toda la costa. {person} cambió su rueda por una turbina en {year}, la "
         "primera de la comarca, y desde entonces las farolas ardieron toda la noche. Hoy da electricidad a {number} "
         "casas y enseña sus viejas piedras a los colegios.",
         (("¿Cuándo se puso una turbina donde se molía en {town}?", "{year}"),
          ("¿A cuántos hogares llega la corriente del viejo ingenio de {town}?", "{number}"))),
    ),
}


def make_articles(folder: Path) -> Path:
    """Write `xquad.en.dev.json` and `xquad.es.dev.json` into `folder`, the same ones at every call; returns it."""
    for language, topics in _TOPICS.items():
        dice = random.Random(language)
        articles = []
        for number in range(_TOWNS):
            town = "".join(dice.sample(_SYLLABLES, 3)).capitalize() + str(number % 3 or "")
            articles.append({"title": f"{town}_{number}", "paragraphs": [
                _paragraph(dice, town, text, asked) for text, asked in topics]})
        (folder / f"xquad.{language}.dev.json").write_text(json.dumps({"data": articles}), encoding="utf-8")
    return folder


def _paragraph(dice: random.Random, town: str, text: str, asked: tuple[tuple[str, str], ...]) -> dict[str, object]:
    values = {"town": town, "person": dice.choice(_PEOPLE), "year": dice.randrange(1502, 1989),
              "number": dice.randrange(23, 999)}
    context = text.format(**values)
    return {"context": context, "qas": [
        {"question": question.format(**values), "answers": [
            {"text": answer.format(**values), "answer_start": context.index(answer.format(**values))}]}
        for question, answer in asked]}
