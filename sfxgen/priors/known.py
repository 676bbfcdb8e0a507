"""`sfxgen priors`: the pretrained priors that we know of, and how each stands on this machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from sfxgen.errors import SfxgenError
from sfxgen.priors.download import local_folder, need_packages
from sfxgen.priors.folder import INDEX_FILE, n_parameters, read_index, weight_files

UNKNOWN = "?"  # what we could not check without the hub


@dataclass(frozen=True)
class Known:
    """A model as its pipeline in diffusers and its maker describe it; "?" where we have not seen it ourselves.

    opens: whether sfxgen can open what its maker publishes.
    """

    name: str
    about: str
    rate_hz: int
    window_s: float | None = None
    parameters: str = UNKNOWN
    opens: bool = True


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
    Known("cvssp/audioldm2", "mono; log-mel latents with a vocoder", 16_000),
)


@dataclass(frozen=True)
class Standing:
    """A known prior on this machine.

    commit: of the copy here, "" where there is none. n_bytes: that copy's size. licence: as its card says, "?" before
    it is here. obstacle: why it cannot be used now, "" where it can.
    """

    known: Known
    commit: str
    n_bytes: int
    parameters: str
    licence: str
    obstacle: str


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
    return Standing(
        known, folder.name, n_bytes, f"{n_numbers / 1e6:.0f} M", licence_of(folder), _obstacle(n_numbers, device)
    )


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
