"""Speech in the noise of held-out recordings, cleaned: beside noisereduce and RNNoise; and clean speech left alone.

    python tools/evaluate/enhancement.py              # 40 mixtures: some minutes of CPU
    python tools/evaluate/enhancement.py --chosen-on  # those that settings were chosen on instead
    python tools/evaluate/enhancement.py --odds       # also other trust in the noise floor, and the noise floor alone

Four people speak English, French, Italian and Russian (the prompts of Asterisk in Debian's packages, CC-BY-SA-3.0 and
CC-BY-3.0, 16 kHz); the library that judges has heard Flite's voices only, and nothing of the noise's packages. PESQ is
wide band (ITU-T P.862.2), STOI is Taal et al. 2011. Needs build/corpus/ (tools/library/build.py).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import peers
import soxr
import torch
from heldout import prior_without
from mixtures import by_kind, group_of, index, interval, recording, rules, si_sdr_db
from numpy.typing import NDArray
from ranking import CORPUS

from sfxgen import mel
from sfxgen.audio import Audio
from sfxgen.distill import enhance as ours
from sfxgen.distill.sharing import shared_out
from sfxgen.generate.enhance import cleaned
from sfxgen.generate.recorded import as_prior_takes_it

sys.path.append(str(CORPUS.parents[1] / "tools" / "library"))
from debian import unpacked

RATE_HZ = 16_000
SPEAKERS = {"en": "en_US_f_Allison", "fr": "fr_CA_f_June", "it": "it_IT_m_Carlo", "ru": "ru_RU_f_IvrvoiceRU"}
SHORTEST_S, LONGEST_S = 2.5, 6.0
NOISES = ("rain and running water", "wind blowing", "engine running", "fire burning", "electric sparks")
SNRS_DB = (0.0, 5.0, 10.0)
CHOSEN_ON, TESTED_ON = (12, 5, 0), (40, 6, 1)  # how many, seed, and which of each speaker's sentences
Samples = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Case:
    """speech, noise: [samples] at RATE_HZ. number: of the group of packages that the noise is from."""

    speech: Samples
    noise: Samples
    snr_db: float
    names: tuple[str, str]
    number: int

    @property
    def noisy(self) -> Samples:
        both: Samples = self.speech + self.noise
        return both


def sentences(which: int) -> list[tuple[str, Samples]]:
    """Every second usable sentence of each speaker, the first (0) or second (1) of them, ten a speaker."""
    found: list[tuple[str, bytes]] = []
    for language, speaker in SPEAKERS.items():
        folder = unpacked(f"asterisk-core-sounds-{language}-g722", CORPUS)
        files = sorted((folder / "usr/share/asterisk/sounds" / speaker).glob("*.g722"))
        fit = [f for f in files if SHORTEST_S < f.stat().st_size / 8000 < LONGEST_S][which::2]
        found += [(f"{speaker}/{f.stem}", f.read_bytes()) for f in (fit[i * len(fit) // 10] for i in range(10))]
    heard = peers.ask("g722", {name: np.frombuffer(data, np.uint8) for name, data in found})
    return [(name, heard[name]) for name, _ in found]


def cases(count: int, seed: int, which: int) -> list[Case]:
    rng = np.random.default_rng(seed)
    spoken = sentences(which)
    prompts = [kind["prompt"] for kind in rules()["kinds"]]
    pools = [[n for n in by_kind()[prompts.index(p)] if index()[n]["seconds"] >= 1.5] for p in NOISES]
    pools = [pool[which::2] for pool in pools]
    made = []
    for number, place in enumerate(rng.permutation(len(spoken))[:count]):
        name, speech = spoken[int(place)]
        noise_name = str(rng.choice(pools[number % len(pools)]))
        noise = soxr.resample(recording(noise_name, 8.0), mel.RATE_HZ, RATE_HZ)
        noise = np.tile(noise, 1 + len(speech) // len(noise))[: len(speech)]
        snr_db = SNRS_DB[number % len(SNRS_DB)]
        noise *= np.sqrt(np.square(speech).sum() / np.square(noise).sum() / 10 ** (snr_db / 10))
        scale = 0.9 / max(0.9, float(np.abs(speech + noise).max()))
        group = group_of(index()[noise_name]["package"])
        assert group is not None
        both = (speech * scale).astype(np.float32), (noise * scale).astype(np.float32)
        made.append(Case(*both, snr_db, (name, noise_name), group))
    return made


def by_us(case: Case, samples: Samples, odds: float | None = None) -> Samples:
    """As `sfxgen enhance` does it, with the prior that never heard the noise; with other odds where given."""
    audio, prior = Audio.of(samples, RATE_HZ), prior_without(case.number)
    if odds is None:
        speech: Samples = cleaned(audio, prior, 0).samples[0]
        return speech
    shares = ours.enhance(as_prior_takes_it(audio, prior), prior, 0, odds=odds)
    stem: Samples = shared_out(audio.samples, RATE_HZ, shares)[0][0]
    return stem


def measured(estimates: Sequence[NDArray[np.floating]], tested: Sequence[Case]) -> NDArray[np.float64]:
    """PESQ, STOI and SI-SDR (dB) of each, [cases, 3]."""
    pairs = {
        str(i): np.stack([np.asarray(e, np.float32), c.speech])
        for i, (e, c) in enumerate(zip(estimates, tested, strict=True))
    }
    judged = peers.ask("judge", pairs)
    return np.array(
        [[*judged[str(i)], si_sdr_db(e, c.speech)] for i, (e, c) in enumerate(zip(estimates, tested, strict=True))]
    )


def line(name: str, values: NDArray[np.float64], before: NDArray[np.float64]) -> str:
    cells = []
    for column, (what, digits) in enumerate((("PESQ", 2), ("STOI", 3), ("SI-SDR", 1))):
        change, half = interval(values[:, column] - before[:, column])
        cells.append(f"{what} {values[:, column].mean():.{digits}f} ({change:+.{digits}f} ± {half:.{digits}f})")
    worst = (values - before).min(0)
    return f"{name:28s} {'   '.join(cells)}   worst {worst[0]:+.2f} {worst[1]:+.3f} {worst[2]:+.1f} dB"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chosen-on", action="store_true", help="the mixtures that settings were chosen on")
    parser.add_argument("--odds", action="store_true", help="other trust in the noise floor")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    tested = cases(*(CHOSEN_ON if options.chosen_on else TESTED_ON))
    noisy = [case.noisy for case in tested]
    methods: dict[str, Callable[[], Sequence[NDArray[np.floating]]]] = {
        "sfxgen enhance": lambda: [by_us(case, case.noisy) for case in tested],
        **{name: partial(_peer, name, noisy) for name in ("noisereduce", "rnnoise")},
    }
    if options.odds:
        for odds in (0.0, 1.0, 4.0, 1000.0):
            name = f"… odds {odds:g}" if odds < 1000 else "… the noise floor alone"
            methods[name] = partial(_with_odds, tested, odds)
    before = measured(noisy, tested)
    print(f"{len(tested)} mixtures at {', '.join(f'{snr:g}' for snr in SNRS_DB)} dB")
    print(line("noisy", before, before), flush=True)
    for name, method in methods.items():
        print(line(name, measured(method(), tested), before), flush=True)
    clean = [case.speech for case in tested[:12]]
    for name, estimates in (
        ("sfxgen enhance", [by_us(case, case.speech) for case in tested[:12]]),
        ("noisereduce", _peer("noisereduce", clean)),
        ("rnnoise", _peer("rnnoise", clean)),
    ):
        values = measured(estimates, tested[:12])
        mean, least = values.mean(0), values.min(0)
        print(f"clean speech, {name:15s} PESQ {mean[0]:.2f}   STOI {mean[1]:.3f}   SI-SDR {mean[2]:.1f} dB, least "
              f"{least[0]:.2f} {least[1]:.3f} {least[2]:.1f} dB", flush=True)  # fmt: skip
    return 0


def _with_odds(tested: Sequence[Case], odds: float) -> list[Samples]:
    return [by_us(case, case.noisy, odds) for case in tested]


def _peer(name: str, sounds: Sequence[Samples]) -> list[NDArray[np.floating]]:
    found = peers.ask(name, {str(i): sound for i, sound in enumerate(sounds)})
    return [found[str(i)] for i in range(len(sounds))]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
