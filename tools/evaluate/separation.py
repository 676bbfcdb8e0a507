"""Separation of two-source mixtures of held-out recordings by their prompts, beside two methods without prompts.

    python tools/evaluate/separation.py               # 48 mixtures: about five minutes of CPU, and four encoders once
    python tools/evaluate/separation.py --chosen-on   # those that settings were chosen on instead
    python tools/evaluate/separation.py --steps 10    # also with so many steps of score distillation
    python tools/evaluate/separation.py --each        # also each mixture

Gain: SI-SDR of a stem over that of the mixture, both to the recording that it should be (dB), mean of the two stems.
The peers know no prompts: they get the better of both orders. Needs build/corpus/ (tools/library/build.py).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import product

import numpy as np
import peers
import torch
from heldout import prior_without
from mixtures import Mixture, gains_db, interval, mixtures
from numpy.typing import NDArray

from sfxgen import mel
from sfxgen.distill.cuts import by_courses
from sfxgen.distill.separate import Settings, separate
from sfxgen.distill.sharing import shared_out, spectrum, waveform

CHOSEN_ON, TESTED_ON = (24, 11), (48, 2024)  # how many mixtures, seed
Gains = list[list[float]]  # of each mixture, of both stems


def ours(mixture: Mixture, settings: Settings, swapped: bool = False) -> list[float]:
    """Gains with the right prompts, or with each stem asked for by the other's."""
    prompts = mixture.prompts[::-1] if swapped else mixture.prompts
    block = mixture.samples[None]
    shares = separate(torch.from_numpy(block), prompts, prior_without(mixture.number), 0, settings)
    stems = shared_out(block, mel.RATE_HZ, shares)
    assert np.array_equal(sum(stem.astype(np.float64) for stem in stems), block.astype(np.float64))
    return gains_db([stem[0] for stem in stems], mixture)


def best_of_parts(mixture: Mixture) -> list[float]:
    """Gains where the parts of every cut are given out by someone who has heard the recordings: what parts allow."""
    found = spectrum(torch.from_numpy(mixture.samples)[None], mel.RATE_HZ)
    cuts = by_courses(found, 2, 0)
    stems = [_by_ear(waveform(cut.shares[:, None] * found, mel.RATE_HZ, mixture.samples.size), mixture) for cut in cuts]
    return gains_db(list(np.mean(stems, 0)), mixture)


def _by_ear(parts: torch.Tensor, mixture: Mixture) -> NDArray[np.floating]:
    """The sums of parts [parts, 1, samples] that are nearest to the recordings, [2, samples]."""
    ways = [np.array(way) for way in product((0, 1), repeat=len(parts)) if len(set(way)) == 2]
    every = [np.stack([parts[:, 0].numpy()[way == k].sum(0) for k in (0, 1)]) for way in ways]
    return max(every, key=lambda stems: sum(gains_db(list(stems), mixture)))


def better_order(stems: Sequence[NDArray[np.floating]], mixture: Mixture) -> list[float]:
    return max(gains_db(stems, mixture), gains_db(stems[::-1], mixture), key=sum)


def line(name: str, gains: Gains) -> str:
    values = np.array(gains)
    mean, half = interval(values.mean(1))
    worse = int((values.mean(1) < 0).sum())
    return (
        f"{name:42s} {mean:+6.2f} ± {half:4.2f} dB   median {np.median(values.mean(1)):+6.2f}   "
        f"worst {values.mean(1).min():+6.1f}   worse than the mixture {worse:2d} of {len(values)}"
    )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chosen-on", action="store_true", help="the mixtures that settings were chosen on")
    parser.add_argument("--steps", type=int, default=0, help="also with so many steps of score distillation")
    parser.add_argument("--each", action="store_true", help="print each mixture")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    known = mixtures(*CHOSEN_ON)
    heard = frozenset(name for mixture in known for name in mixture.names)
    cases = known if options.chosen_on else mixtures(*TESTED_ON, avoid=heard)
    usual, swapped = "right prompts", "swapped prompts"
    found: dict[str, Gains] = {usual: [], swapped: []}
    for mixture in cases:
        found[usual].append(ours(mixture, Settings()))
        found[swapped].append(ours(mixture, Settings(), swapped=True))
        found.setdefault("the same parts, given out by ear", []).append(best_of_parts(mixture))
        if options.steps:
            for name, settings in _walks(options.steps).items():
                found.setdefault(name, []).append(ours(mixture, settings))
        if options.each:
            print(
                *mixture.names, mixture.prompts, [f"{np.mean(gains[-1]):+.1f}" for gains in found.values()], flush=True
            )
    try:
        for name in ("nmf", "soft clusters"):
            stems = peers.ask(name, {str(i): mixture.samples for i, mixture in enumerate(cases)})
            found[f"{name}, the better order"] = [better_order(list(stems[str(i)]), m) for i, m in enumerate(cases)]
    except peers.NoPeers as error:
        print(f"without peers: {error}")
    print(f"{len(cases)} mixtures at 0 dB")
    found["ours, the better order"] = [max(pair, key=sum) for pair in zip(found[usual], found[swapped], strict=True)]
    print(*(line(name, gains) for name, gains in found.items()), sep="\n")
    better = np.array(found[usual]).mean(1) > np.array(found[swapped]).mean(1)
    print(f"right prompts better than swapped ones: {int(better.sum())} of {len(cases)}")
    return 0


def _walks(n_steps: int) -> dict[str, Settings]:
    against = Settings(n_steps=n_steps, rate=0.1, against=True, t_first=(0.6, 0.9), t_last=(0.4, 0.6))
    return {
        f"{n_steps} steps of Decoder-SDS": Settings(n_steps=n_steps),
        f"{n_steps} steps against the other prompt": against,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
