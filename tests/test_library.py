"""Facts of libraries: what goes in comes out, captions say what names say, and the one that ships may be shipped."""

from __future__ import annotations

import gzip
import importlib.util
import struct
import sys
import time
import zipfile
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from sfxgen import mel
from sfxgen.errors import BadInput
from sfxgen.library.add import Added, add_folder, remove
from sfxgen.library.captions import MOST, captions_from_name
from sfxgen.library.check import check, duplicates
from sfxgen.library.features import Facts, Unusable, active_part, library_of, sound_of
from sfxgen.library.places import INDEX_FILE, LEVELS_FILE, SHIPPED
from sfxgen.library.store import Library, decode, encode, read_library, write_library

RATE_HZ = 44_100
MAY_SHIP = {"CC0-1.0", "LicenseRef-public-domain", "BSD-3-Clause", "MIT", "CC-BY-3.0", "CC-BY-4.0", "MIT-Festival"}


def tone(hz: float, seconds: float = 0.2, rate_hz: int = RATE_HZ) -> NDArray[np.float32]:
    """A sine that dies away, float32 [samples]."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.5 * np.exp(-8.0 * t) * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def save(path: Path, samples: NDArray[np.float32], rate_hz: int = RATE_HZ, **tags: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(path, "w", rate_hz, 1, "PCM_16") as file:
        for name, text in tags.items():
            setattr(file, name, text)
        file.write(samples)
    return path


@pytest.fixture
def game(tmp_path: Path) -> Path:
    """A game's folder of recordings."""
    folder = tmp_path / "game"
    save(folder / "doors" / "metalDoor_open01.wav", tone(300))
    save(folder / "doors" / "metalDoor_close.wav", tone(200))
    save(folder / "ui" / "btn_click_02.wav", tone(2000, 0.05))
    save(folder / "WOODImpt_Crate Drop_ABC_Lib.wav", tone(120))
    return folder


def add(game: Path, **options: str) -> Added:
    return add_folder(game, game.parent / "library", **options)  # type: ignore[arg-type]


def captions_in(library: Library) -> dict[str, tuple[str, ...]]:
    return {exemplar.name.partition("/")[2]: exemplar.captions for exemplar in library.exemplars}


# --- the store ------------------------------------------------------------------------------------------------------


def facts_of(name: str) -> Facts:
    return Facts(name, ("a tone",), "test", "own", "", "effect", name)


def small_library() -> Library:
    return library_of([sound_of(facts_of(f"tone{hz}"), tone(hz)[None], RATE_HZ) for hz in (200, 1000, 5000)])


def test_a_library_comes_back_as_it_was_written(tmp_path: Path) -> None:
    library = small_library()
    write_library(tmp_path, library)
    again = read_library(tmp_path)
    assert again.exemplars == library.exemplars
    np.testing.assert_array_equal(again.codes, library.codes)


def test_codes_hold_levels_to_half_a_step() -> None:
    levels = np.linspace(mel.FLOOR_DB, 0.0, 1001).astype(np.float32)
    assert np.abs(decode(encode(levels)) - levels).max() <= 0.15 + 1e-5


def test_a_tone_is_loudest_in_its_own_band_and_at_its_start() -> None:
    library = small_library()
    for index, hz in enumerate((200, 1000, 5000)):
        levels = library.levels_db(index)
        frame, band = np.unravel_index(levels.argmax(), levels.shape)
        assert abs(mel.centres_hz()[band] / hz - 1.0) < 0.1
        assert frame <= 2
        assert levels.max() == 0.0


def test_a_damaged_library_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="library add FOLDER"):
        read_library(tmp_path)
    write_library(tmp_path, small_library())
    levels = tmp_path / LEVELS_FILE
    levels.write_bytes(levels.read_bytes()[:-20])
    with pytest.raises(BadInput, match="damaged"):
        read_library(tmp_path)


# --- the active part ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [11_025, 44_100, 48_000])
def test_silence_round_a_sound_is_cut(rate_hz: int) -> None:
    sound = np.sin(np.arange(rate_hz // 10) * 0.3)
    padded = np.concatenate([np.zeros(rate_hz // 2), sound, np.zeros(rate_hz)])
    start, end = active_part(padded, rate_hz)
    window = 0.003 * rate_hz + 1
    assert abs(start - rate_hz // 2) <= window
    assert abs(end - (rate_hz // 2 + rate_hz // 10)) <= window


def test_sixty_decibels_below_the_loudest_is_silence() -> None:
    noise = np.random.default_rng(1).normal(size=RATE_HZ) * 0.3
    for level_db, kept in ((-50.0, True), (-70.0, False)):
        levels = np.where(np.arange(RATE_HZ) < RATE_HZ // 2, 1.0, 10 ** (level_db / 20))
        _, end = active_part(noise * levels, RATE_HZ)
        assert (end > 0.9 * RATE_HZ) == kept


def test_a_constant_beside_zero_is_no_sound() -> None:
    """8-bit recordings often lie beside zero."""
    samples = np.concatenate([np.zeros(8000), tone(500, 0.1), np.zeros(8000)]) + 0.02
    sound = sound_of(facts_of("x"), samples.astype(np.float32)[None], RATE_HZ)
    assert len(sound.samples) < 0.12 * RATE_HZ


def test_long_sounds_are_cut_and_the_band_follows_the_rate() -> None:
    samples = np.random.default_rng(2).normal(size=(2, 10 * 11_025)).astype(np.float32) * 0.1
    sound = sound_of(facts_of("x"), samples, 11_025)
    assert len(sound.samples) == pytest.approx(6.0 * mel.RATE_HZ, abs=8)
    assert sound.top_hz == pytest.approx(5512.5)
    assert sound_of(facts_of("x"), samples, 44_100).top_hz == mel.HIGH_HZ


@pytest.mark.parametrize(("samples", "why"), [(np.zeros(4000), "silent"), (tone(500, 0.01), "too short")])
def test_what_is_no_sound_says_why(samples: NDArray[np.float32], why: str) -> None:
    with pytest.raises(Unusable, match=why):
        sound_of(facts_of("x"), samples.astype(np.float32)[None], RATE_HZ)


def test_the_batch_never_shows() -> None:
    sounds = [sound_of(facts_of(str(i)), tone(100 + 50 * i, 0.05 * (1 + i % 7))[None], RATE_HZ) for i in range(20)]
    together = library_of(sounds)
    for index, sound in enumerate(sounds):
        np.testing.assert_array_equal(together.subset([index]).codes, library_of([sound]).codes)


# --- captions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "caption"),
    [
        ("doors/metalDoor-open03.wav", "metal door open"),
        ("SFX/footsteps/grass_01.ogg", "footsteps grass"),
        ("ui/btn_click_02.wav", "user interface button click"),
        ("DOORMetl_Gate Slam_ABC_Lib.wav", "metal door"),
        ("DOORMetl_Gate Slam_ABC_Lib.wav", "gate slam"),
        ("GUNAuto_Burst_Me_X.wav", "automatic gun burst"),
        ("AMBForst_Night_A_B.flac", "forest ambience"),
        ("METLMisc_Rattle_A_B.wav", "metal"),
        ("wpn/rico_4.wav", "weapon ricochet"),
    ],
)
def test_a_name_says_what_it_is(path: str, caption: str) -> None:
    assert caption in captions_from_name(path)


def test_captions_are_few_distinct_and_led_by_what_is_given() -> None:
    captions = captions_from_name("stone/rock_explosion.wav", ["a boulder is blown up somewhere far away"])
    assert captions[0] == "a boulder is blown up somewhere far away"
    assert len(captions) == len(set(captions)) <= MOST
    assert "rock blast" in captions, "other words for the same"


@pytest.mark.parametrize("path", ["003.wav", "sounds/sfx_01.wav", "take 2/12.ogg"])
def test_a_name_without_words_gives_no_caption(path: str) -> None:
    assert captions_from_name(path) == ()


# --- add ------------------------------------------------------------------------------------------------------------


def test_a_folder_becomes_a_library(game: Path) -> None:
    done = add(game, licence="CC0-1.0", credit="us")
    assert len(done.added) == 4
    assert not done.left_out
    said = captions_in(read_library(game.parent / "library"))
    assert said["doors/metalDoor_open01.wav"][0] == "metal door open"
    assert "wood impact" in said["WOODImpt_Crate Drop_ABC_Lib.wav"]
    assert {(e.licence, e.credit, e.source) for e in done.library.exemplars} == {("CC0-1.0", "us", "game")}


def test_a_csv_says_more(game: Path) -> None:
    (game / "captions.csv").write_text(
        "file,caption,licence,credit\n"
        'doors/metalDoor_close.wav,"a vault closes, far away",CC-BY-4.0,Ada\n'
        "doors/metalDoor_close.wav,heavy bank door,,\n",
        encoding="utf-8",
    )
    library = add(game).library
    door = next(e for e in library.exemplars if e.name == "game/doors/metalDoor_close.wav")
    assert door.captions[:2] == ("a vault closes, far away", "heavy bank door")
    assert (door.licence, door.credit) == ("CC-BY-4.0", "Ada")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,text\na.wav,b\n", r"t\.csv:1: no column caption"),
        ("file,caption,author\n", r"t\.csv:1: unknown column author"),
        ("file,caption\nui/btn_click_02.wav,\n", r"t\.csv:2: ui/btn_click_02.wav has no caption"),
        ("file,caption\n\nbtn_click_02.wav,click\n", r"t\.csv:3: .*did you mean ui/btn_click_02.wav"),
        ("file,caption\nui/btn_click_02.wav,click,soft\n", r"t\.csv:2: more values than columns"),
    ],
)
def test_a_faulty_csv_names_its_line(game: Path, text: str, message: str) -> None:
    table = game.parent / "t.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=message):
        add_folder(game, game.parent / "library", table=table)


def test_tags_are_captions_unless_they_name_software(game: Path) -> None:
    save(game / "a.wav", tone(440), title="an owl calls at night", comment="Made with Audacity 3")
    captions = captions_in(add(game).library)["a.wav"]
    assert captions[0] == "an owl calls at night"
    assert not any("audacity" in caption.lower() for caption in captions)


def test_adding_again_changes_nothing(game: Path) -> None:
    add(game)
    before = {name: (game.parent / "library" / name).read_bytes() for name in (INDEX_FILE, LEVELS_FILE)}
    again = add(game)
    assert (len(again.added), len(again.replaced), len(again.unchanged)) == (0, 0, 4)
    assert before == {name: (game.parent / "library" / name).read_bytes() for name in (INDEX_FILE, LEVELS_FILE)}


def test_the_same_folder_gives_the_same_bytes(game: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        add_folder(game, tmp_path / name)
    for file in (INDEX_FILE, LEVELS_FILE):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_changed_file_replaces_what_was_made_from_it(game: Path) -> None:
    before = add(game).library
    save(game / "doors" / "metalDoor_close.wav", tone(900))
    done = add(game)
    assert done.replaced == ("game/doors/metalDoor_close.wav",)
    assert [e.name for e in done.library.exemplars] == [e.name for e in before.exemplars]
    index = [e.name for e in before.exemplars].index("game/doors/metalDoor_close.wav")
    assert not np.array_equal(before.subset([index]).codes, done.library.subset([index]).codes)


def test_a_new_caption_needs_no_measuring(game: Path) -> None:
    before = add(game).library
    (game / "captions.csv").write_text("file,caption\nui/btn_click_02.wav,a tiny tick\n", encoding="utf-8")
    done = add(game)
    assert done.replaced == ("game/ui/btn_click_02.wav",)
    assert captions_in(done.library)["ui/btn_click_02.wav"][0] == "a tiny tick"
    np.testing.assert_array_equal(before.codes, done.library.codes)


def test_what_cannot_be_used_is_told_and_the_rest_goes_in(game: Path) -> None:
    save(game / "silent.wav", np.zeros(8000, np.float32))
    save(game / "short.wav", tone(500, 0.01))
    (game / "broken.wav").write_bytes(b"RIFF nothing")
    (game / "copy.wav").write_bytes((game / "doors" / "metalDoor_close.wav").read_bytes())
    (game / ".hidden.wav").write_bytes(b"nothing")
    (game / "notes.txt").write_text("no sound", encoding="utf-8")
    done = add(game)
    reasons = dict(done.left_out)
    assert len(done.added) == 4
    assert reasons.keys() == {"silent.wav", "short.wav", "broken.wav", "doors/metalDoor_close.wav"}
    assert reasons["silent.wav"] == "silent"
    assert "too short" in reasons["short.wav"]
    assert reasons["doors/metalDoor_close.wav"] == "the same as game/copy.wav"


def test_a_folder_without_sounds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no recordings"):
        add_folder(tmp_path, tmp_path / "library")
    with pytest.raises(BadInput, match="no folder"):
        add_folder(tmp_path / "gone", tmp_path / "library")


def test_sounds_are_removed_by_name_and_by_pattern(game: Path) -> None:
    add(game)
    folder = game.parent / "library"
    assert len(remove(folder, ["game/doors/*"])) == 2
    assert remove(folder, ["game/ui/btn_click_02.wav"]) == ("game/ui/btn_click_02.wav",)
    assert [e.name for e in read_library(folder).exemplars] == ["game/WOODImpt_Crate Drop_ABC_Lib.wav"]
    with pytest.raises(BadInput, match="called nothing"):
        remove(folder, ["nothing"])


def test_check_tells_what_is_missing(game: Path) -> None:
    save(game / "001.wav", tone(700))
    save(game / "002.wav", 0.5 * tone(700))
    findings = "\n".join(check(add(game, licence="CC-BY-4.0").library))
    assert "game/001.wav: no caption" in findings
    assert "asks for a credit" in findings
    assert "game/002.wav: the same sound as game/001.wav" in findings


@pytest.mark.slow
def test_five_hundred_short_files_take_seconds(tmp_path: Path) -> None:
    for i in range(500):
        save(tmp_path / "game" / f"hit_{i}.wav", tone(100 + 7 * i, 0.3))
    began = time.perf_counter()
    assert len(add_folder(tmp_path / "game", tmp_path / "library").added) == 500
    assert time.perf_counter() - began < 20.0  # 4 s on two idle cores


# --- the library that ships -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> Library:
    return read_library(SHIPPED)


def test_the_shipped_library_is_small_and_loads_at_once() -> None:
    sizes = [(SHIPPED / name).stat().st_size for name in (INDEX_FILE, LEVELS_FILE)]
    assert max(sizes) < 19e6
    assert sum(sizes) < 30e6
    began = time.perf_counter()
    read_library(SHIPPED)
    assert time.perf_counter() - began < 3.0  # 0.2 s on an idle core


def test_every_shipped_sound_may_be_shipped(shipped: Library) -> None:
    assert len(shipped.exemplars) > 1500
    assert {exemplar.licence for exemplar in shipped.exemplars} <= MAY_SHIP
    without = [e.name for e in shipped.exemplars if not (e.captions and e.credit and e.source and e.digest)]
    assert without == []
    assert len({exemplar.name for exemplar in shipped.exemplars}) == len(shipped.exemplars)


def test_every_shipped_sound_is_whole(shipped: Library) -> None:
    assert {e.use for e in shipped.exemplars} == {"effect", "percussion", "speech", "noise", "render"}
    assert max(e.n_frames for e in shipped.exemplars) <= mel.n_frames_for(6 * mel.RATE_HZ) + 1
    peaks = np.maximum.reduceat(shipped.codes.max(axis=1), shipped.starts[:-1])
    assert peaks.min() == 255
    assert duplicates(shipped) == []


# Presets that are newer than the library that ships, and that a prompt can guide: to be empty when it is next built.
SINCE_IT_WAS_BUILT = {
    "gong_felt",
    "singing_bowl",
    "marimba_note",
    "table_pound",
    "door_kick",
    "cajon_slap",
    "footstep_barefoot",
    "footstep_heels",
    "footstep_run",
    "jump_landing",
}


def test_every_preset_that_is_guided_is_in_the_shipped_library(shipped: Library) -> None:
    from sfxgen.manifest.presets import presets

    captions = {caption for exemplar in shipped.exemplars for caption in exemplar.captions}
    guided = {name: preset.caption for name, preset in presets().items() if preset.guidable}
    assert {name for name, caption in guided.items() if caption not in captions} == SINCE_IT_WAS_BUILT


# --- the archives that it is made from ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def archives() -> ModuleType:
    """tools/library/archives.py, which is no package."""
    path = Path(__file__).parent.parent / "tools" / "library" / "archives.py"
    spec = importlib.util.spec_from_file_location("library_archives", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def c4_group(files: dict[str, bytes], group: tuple[str, ...] = ()) -> bytes:
    """A C4Group as OpenClonk writes it, before gzip."""
    header = bytearray(b"RedWolf Design GrpFolder".ljust(28, b"\0") + struct.pack("<III", 1, 2, len(files)))
    header = header.ljust(204, b"\0")
    for at in range(0, len(header) - 2, 3):
        header[at], header[at + 2] = header[at + 2], header[at]
    table, body = b"", b""
    for name, data in files.items():
        table += name.encode().ljust(260, b"\0") + struct.pack("<5I", 0, name in group, len(data), 0, len(body))
        table += bytes(36)
        body += data
    return bytes(byte ^ 237 for byte in header) + table + body


def test_a_group_within_a_group_opens(archives: ModuleType) -> None:
    inner = c4_group({"Chirp.ogg": b"chirp"})
    plain = c4_group({"authors.txt": b"who", "Bat.ocg": inner}, group=("Bat.ocg",))
    packed = b"\x1e\x8c" + gzip.compress(plain)[2:]
    assert archives.members("Sound.ocg", packed) == {"authors.txt": b"who", "Bat.ocg/Chirp.ogg": b"chirp"}
    with pytest.raises(ValueError, match="no C4Group"):
        archives.members("Sound.ocg", bytes(300))


def test_a_doom_sound_becomes_a_wav(archives: ModuleType) -> None:
    pcm = bytes(range(100, 164))
    lump = struct.pack("<HHI", 3, 11_025, len(pcm) + 32) + bytes([100] * 16) + pcm + bytes([163] * 16)
    table = struct.pack("<ii8s", 12 + len(lump), 0, b"MAP01") + struct.pack("<ii8s", 12, len(lump), b"DSPISTOL")
    wad = struct.pack("<4sii", b"IWAD", 2, 12 + len(lump)) + lump + table
    found = archives.members("doom.wad", wad)
    assert list(found) == ["dspistol.wav"]
    samples, rate_hz = soundfile.read(BytesIO(found["dspistol.wav"]))
    assert rate_hz == 11_025
    np.testing.assert_allclose(samples, (np.frombuffer(pcm, np.uint8) - 128.0) / 128.0)


def test_a_sound_catalogue_opens(archives: ModuleType) -> None:
    wavs = [b"RIFF" + struct.pack("<I", 4 + n) + b"WAVE" + bytes(n) for n in (4, 8)]
    entries = [bytes([len(t) + 1]) + t + b"\0" + w + b"end" for t, w in zip((b"Horn.", b"Cow."), wavs, strict=True)]
    table = struct.pack("<II", 0x80000010, len(wavs[0])) + struct.pack("<II", 16 + len(entries[0]), len(wavs[1]))
    found = archives.members("opensfx.cat", table + b"".join(entries))
    assert found == {"00 Horn.": wavs[0], "01 Cow.": wavs[1]}


def test_a_zip_opens_and_others_are_refused(archives: ModuleType) -> None:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("sound/rain.ogg", b"rain")
    assert archives.members("0snd.pk3", buffer.getvalue()) == {"sound/rain.ogg": b"rain"}
    with pytest.raises(ValueError, match=r"x\.rar"):
        archives.members("x.rar", b"")
