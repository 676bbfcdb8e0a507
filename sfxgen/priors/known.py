"""`sfxgen priors`: the pretrained priors that we know of, and how each stands on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from sfxgen.errors import SfxgenError
from sfxgen.priors.download import local_folder, need_packages
from sfxgen.priors.folder import INDEX_FILE, n_parameters, read_index, weight_files

if TYPE_CHECKING:
    import torch

UNKNOWN = "?"  # what we could not check without the hub
_ESTIMATED_S = 5.0  # length of the sound that a speed estimate is for
_PASSES = 100  # of the network for a sound: 50 steps, with guidance
_MATRIX = 1024
_LAUNCHES_S = 0.045  # of a pass on a GPU, however fast it is: what an H100 takes for 1 to 16 sounds of 5 s


@dataclass(frozen=True)
class Known:
    """A model as its pipeline in diffusers and its maker describe it; "?" where we have not seen it ourselves.

    opens: whether sfxgen can open what its maker publishes. positions_a_second: of sound that the network works on.
    """

    name: str
    about: str
    rate_hz: int
    window_s: float | None = None
    parameters: str = UNKNOWN
    opens: bool = True
    positions_a_second: float = 44_100 / 2048


KNOWN = (
    Known(
        "stabilityai/stable-audio-open-1.0",
        "stereo; the prior of the Audio-SDS paper; short sounds cost less",
        44_100,
        47.6,
    ),
    Known(
        "stabilityai/stable-audio-3-medium-base",
        "stereo; rectified flow; the one of Stable Audio 3 that guidance and score distillation want",
        44_100,
    ),
    Known(
        "stabilityai/stable-audio-3-medium",
        "stereo; distilled: samples in 8 steps, takes no guidance",
        44_100,
    ),
    Known(
        "stabilityai/stable-audio-3-small-sfx",
        "sound effects; published in its maker's own layout, which diffusers does not open",
        44_100,
        parameters="433 M",
        opens=False,
    ),
    Known("cvssp/audioldm2", "mono; log-mel latents with a vocoder", 16_000, positions_a_second=100.0),
)


@dataclass(frozen=True)
class Standing:
    """A known prior on this machine.

    commit: of the copy here, "" where there is none. n_bytes: that copy's size. licence: as its card says, "?" before
    it is here. obstacle: why it cannot be used now, "" where it can.
    seconds: what 5 s of sound should take here, a rough estimate: two operations a parameter and position, 100 passes,
    at the speed of a matrix product on this device; on a GPU, where two passes are made as one, no less than launching
    them takes. 0 before it is here.
    """

    known: Known
    commit: str
    n_bytes: int
    parameters: str
    licence: str
    obstacle: str
    seconds: float = 0.0


def installed(device: str = "auto", known: tuple[Known, ...] = KNOWN) -> list[Standing]:
    """How each prior stands here. Asks no hub and loads no model; never raises for what is missing."""
    return [_standing(one, device) for one in known]


def _standing(known: Known, device: str) -> Standing:
    absent = Standing(known, "", 0, known.parameters, UNKNOWN, "")
    if not known.opens:
        return replace(absent, obstacle="it is published in a layout that diffusers does not open")
    try:
        need_packages()
    except SfxgenError as error:
        return replace(absent, obstacle=str(error))
    folder = local_folder(known.name)
    if folder is None:
        return replace(absent, obstacle=f"not downloaded: `sfxgen priors pull {known.name}`")
    n_numbers = n_parameters(weight_files(folder, read_index(folder / INDEX_FILE, known.name), known.name), known.name)
    n_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    obstacle = _obstacle(n_numbers, device)
    seconds = 0.0 if obstacle else _estimated_s(n_numbers, known, device)
    return Standing(known, folder.name, n_bytes, f"{n_numbers / 1e6:.0f} M", licence_of(folder), obstacle, seconds)


def _estimated_s(n_numbers: int, known: Known, device: str) -> float:
    from sfxgen.priors.hub import place_of

    operations = 2.0 * n_numbers * known.positions_a_second * _ESTIMATED_S * _PASSES
    place, precision = place_of(device)
    least_s = _PASSES / 2 * _LAUNCHES_S if place.type == "cuda" else 0.0
    return max(least_s, operations / _operations_a_second(place, precision))


def _operations_a_second(place: torch.device, precision: torch.dtype) -> float:
    """Of a matrix product, the best of five."""
    import torch

    a = torch.ones(_MATRIX, _MATRIX, device=place, dtype=precision)
    best_s = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        (a @ a)[0, 0].item()  # waits for the device
        best_s = min(best_s, time.perf_counter() - began)
    return 2.0 * _MATRIX**3 / best_s


def _obstacle(n_numbers: int, device: str) -> str:
    from sfxgen.priors.hub import place_of, shortage

    try:
        place, precision = place_of(device)
    except SfxgenError as error:
        return str(error)
    return shortage(n_numbers * precision.itemsize, place)


def licence_of(folder: Path) -> str:
    """The licence that a model's card names; "?" where it has no card or names none."""
    try:
        parts = (folder / "README.md").read_text(encoding="utf-8").split("---", 2)
        card = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0].strip() else {}
        return str(card.get("license_name") or card.get("license") or UNKNOWN)
    except (OSError, ValueError, AttributeError, yaml.YAMLError):
        return UNKNOWN
