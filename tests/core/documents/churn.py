"""A process that never rests: adds, replaces, removes and syncs documents until it is killed.

`python -m tests.core.documents.churn FOLDER SEED`. Each file holds one word nothing else holds, so that whoever comes
after can tell what should be found.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from core.documents.collection import Collection
from core.documents.library import Library
from core.settings import Settings

_NAMES = [f"documento {number}.txt" for number in range(8)]
_FILLER = "El canal lleva agua a la ciudad desde la sierra y se terminó en 1858 tras siete años de obras. "


def settings_of(folder: Path) -> Settings:
    return Settings(docs_dir=folder / "docs", data_dir=folder / "data")


def text_with(word: str, dice: random.Random) -> str:
    """A text of one to twenty passages around `word`."""
    return _FILLER * dice.randint(1, 90) + f"La palabra secreta es {word}. " + _FILLER * dice.randint(1, 90)


def disturb(docs: Path, library: Library, incoming: Path, dice: random.Random) -> None:
    """One change, by hand in the folder or through the library."""
    name = dice.choice(_NAMES)
    word = f"zorzal{dice.randrange(10**9)}"
    action = dice.randrange(6)
    if action <= 1:
        (docs / name).write_text(text_with(word, dice), encoding="utf-8")
    elif action == 2:
        (docs / name).unlink(missing_ok=True)
    elif action == 3:
        dropped = incoming / name
        dropped.write_text(text_with(word, dice), encoding="utf-8")
        library.add(dropped, on_conflict=dice.choice(["replace", "keep_both"]))
    elif action == 4 and (docs / name).exists():
        library.remove(name)
    else:
        library.undo()


def main(folder: Path, seed: int) -> None:
    dice = random.Random(seed)
    settings = settings_of(folder)
    settings.docs_dir.mkdir(parents=True, exist_ok=True)
    incoming = folder / "incoming"
    incoming.mkdir(exist_ok=True)
    with Collection(settings) as collection:
        print("ready", flush=True)
        while True:
            for _ in range(dice.randint(1, 3)):
                disturb(settings.docs_dir, collection.library, incoming, dice)
            for _ in collection.library.run():
                pass
            collection.searcher.sync()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
