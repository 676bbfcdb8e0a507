"""What the word vectors learn from: a vocabulary, and short phrases about sounds, objects and actions.

WordNet 3.0 (Debian's wordnet-base) gives words, pairs and glosses; `sound_words.yaml` the words of sounds, put together
into phrases at random; captions of our presets and of the corpus come as they are.
"""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from sfxgen.manifest.presets import presets

HERE = Path(__file__).resolve().parent
# Lexicographer files of WordNet: events, animals, artifacts, bodies, food, objects, phenomena, plants, substances;
# verbs of body, change, competition, consumption, contact, creation, motion, perception, weather; adjectives.
GLOSS_FILES = frozenset({0, 4, 5, 6, 8, 11, 13, 17, 18, 19, 20, 27, 29, 30, 33, 34, 35, 36, 38, 39, 43})
MAX_GLOSS_WORDS = 14
PATTERNS = (
    "{adjective} {object}",
    "{material} {object}",
    "{material} {object} {action}",
    "{object} {action}",
    "{object} {acting}",
    "{acting} {object}",
    "{acting} a {adjective} {object}",
    "{object} {acting} on {material}",
    "{material} {object} {acting} in the {place}",
    "{object} {acting} against a {object}",
    "{object} dropped on {material}",
    "{creature} {acting} a {material} {object}",
    "{creature} {acting} in the {place}",
    "{creature} {voicing}",
    "{adjective} {creature} {vocal}",
    "{creature} walking on {material}",
    "footsteps on {material}",
    "{adjective} {weather} in the {place}",
    "{weather} over the {place}",
    "{place} ambience",
    "{adjective} {place}",
    "{interface} {interface}",
    "{adjective} {interface} {action}",
    "{ucs} {ucs}",
    "{ucs} {object} {action}",
    "{adjective} {ucs}",
    "{object} {object}",
    "{adjective} {action}",
    "{pair}",
    "{pair} {acting}",
    "{adjective} {pair}",
    "{action} and {action}",
)


@dataclass(frozen=True)
class WordNet:
    """lemmas: single words and pairs with how often they were tagged (SemCor); glosses: short definitions and
    examples, each with its words."""

    lemmas: dict[str, int]
    glosses: list[str]


def read_wordnet(folder: Path) -> WordNet:
    """WordNet's data files; `folder` holds data.noun and the others."""
    lemmas: dict[str, int] = {}
    glosses: list[str] = []
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").read_text(encoding="latin-1").splitlines():
            if line.startswith("  "):  # the licence
                continue
            head, _, gloss = line.partition("|")
            fields = head.split()
            found = [fields[4 + 2 * i].replace("_", " ").partition("(")[0] for i in range(int(fields[3], 16))]
            names = [name for name in found if re.fullmatch(r"[a-z]+([ -][a-z]+)?", name)]
            lemmas.update((name.replace("-", " "), 0) for name in names)
            if int(fields[1]) in GLOSS_FILES and names:
                glosses += _short(names, gloss)
    for line in (folder / "cntlist.rev").read_text(encoding="latin-1").splitlines():
        key, _, count = line.split()
        name = key.partition("%")[0].replace("_", " ").replace("-", " ")
        if name in lemmas:
            lemmas[name] += int(count)
    return WordNet(lemmas, glosses)


def _short(names: list[str], gloss: str) -> Iterator[str]:
    """The definition with a lemma before it, the examples, and the synonyms as one phrase, while short."""
    definition, *examples = re.sub(r"\([^)]*\)", "", gloss).split('"')
    definition = definition.split(";")[0].strip()
    if len(definition.split()) < MAX_GLOSS_WORDS:
        yield definition
        yield f"{names[0]}: {definition}"
    yield from (text.strip() for text in examples if 2 <= len(text.split()) < MAX_GLOSS_WORDS)
    if len(names) > 1:
        yield " ".join(names[:3])


def sound_words() -> dict[str, list[str]]:
    """Part of a phrase → its words, as in sound_words.yaml."""
    data: dict[str, str] = yaml.safe_load((HERE / "sound_words.yaml").read_text(encoding="utf-8"))
    return {part: text.split(", ") if part == "pair" else text.split() for part, text in data.items()}


def captions(corpus: Path) -> list[str]:
    """Captions of the corpus and of the presets, with the presets' names and words; each once, in order."""
    with corpus.open(encoding="utf-8", newline="") as file:
        found = [row["caption"] for row in csv.DictReader(file)]
    for preset in presets().values():
        found += [preset.caption, preset.name.replace("_", " "), " ".join(preset.words), *preset.words]
    return list(dict.fromkeys(found))


def phrases(n_phrases: int, seed: int) -> list[str]:
    """Phrases put together from the sound words."""
    generator = random.Random(seed)
    table = sound_words()
    slots = {**table, "acting": [ing(verb) for verb in table["action"]], "voicing": [ing(v) for v in table["vocal"]]}
    made = []
    for i in range(n_phrases):
        pattern = PATTERNS[i % len(PATTERNS)]
        made.append(re.sub(r"{(\w+)}", lambda slot: generator.choice(slots[slot[1]]), pattern))
    return list(dict.fromkeys(made))


def ing(verb: str) -> str:
    """The present participle: slam → slamming, forge → forging, creak → creaking."""
    if verb.endswith("ie"):
        return f"{verb[:-2]}ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")):
        return f"{verb[:-1]}ing"
    doubles = re.fullmatch(r"[^aeiou]*[aeiou][^aeiouwxy]", verb.removeprefix("un")) is not None
    return f"{verb}{verb[-1] if doubles else ''}ing"
