"""Names of the sounds that there are: what a sound is held against, and what may be in a mixture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sfxgen.words import similarity

# Everyday and game sounds, a name each; alphabetical in groups. Chosen to cover, not to fit any library.
NAMES = (
    # what lives
    *("baby crying", "bird chirping", "cat meowing", "cow mooing", "crickets", "crowd cheering", "dog barking"),
    *("frog croaking", "horse neighing", "insect buzzing", "laughter", "man shouting", "monster growling"),
    *("pain grunt", "rooster crowing", "sheep bleating", "speech", "woman screaming", "wolf howling"),
    # weather, fire, water
    *("bubbles", "fire crackling", "lava", "ocean waves", "rain", "stream of water", "thunder", "tap leaking"),
    *("water splash", "waterfall", "wind howling"),
    # machines and vehicles
    *("airplane", "car engine", "clock ticking", "electric spark", "engine starting", "helicopter", "machine hum"),
    *("motorcycle", "rocket engine", "siren", "steam hiss", "train", "train horn"),
    # doors, steps, things
    *(
        "book pages",
        "chain rattling",
        "cloth rustling",
        "coins",
        "door creaking",
        "door slamming",
        "footsteps on gravel",
    ),
    *("footsteps on snow", "footsteps on stone", "footsteps on wood", "keys", "lock click", "paper", "switch click"),
    *("typing on a keyboard", "zipper"),
    # blows
    *(
        "bell ringing",
        "brick hit",
        "ceramic cup breaking",
        "drum hit",
        "glass breaking",
        "glass clink",
        "hammer on anvil",
    ),
    *("metal clang", "metal scrape", "punch", "stone falling", "wood crack", "wood knock", "cymbal crash"),
    # weapons
    *("arrow shot", "cannon", "explosion", "gunshot", "laser", "machine gun", "ricochet", "sword clash", "whip crack"),
    *("whoosh", "reload"),
    # signals and magic
    *(
        "alarm",
        "button beep",
        "coin pickup",
        "error buzz",
        "game over melody",
        "jump",
        "level up fanfare",
        "magic spell",
    ),
    *("phone ringing", "power up", "radio static", "robot voice", "teleport"),
    # instruments
    *("acoustic guitar", "flute", "organ", "piano", "saxophone", "synthesiser bass", "violin"),
)
ALIKE = 0.5  # cosine of the words above which two names may mean one sound


def others(prompt: str, count: int, names: Sequence[str] = NAMES) -> tuple[str, ...]:
    """So many names that mean something else than the prompt, spread evenly from the near ones to the far ones."""
    cosines = similarity([prompt], names)[0]
    order = [int(i) for i in np.argsort(-cosines, kind="stable") if cosines[i] < ALIKE]
    picks = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    return tuple(names[order[i]] for i in picks)


def neighbours(prompt: str, count: int, names: Sequence[str] = NAMES) -> tuple[str, ...]:
    """The nearest names that mean something else than the prompt: what a sound of it might be taken for."""
    cosines = similarity([prompt], names)[0]
    order = [int(i) for i in np.argsort(-cosines, kind="stable") if cosines[i] < ALIKE]
    return tuple(names[i] for i in order[:count])
