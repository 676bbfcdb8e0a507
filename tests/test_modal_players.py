"""Banks of modes and the players of game engines: `runtime: modal`, held to the renderer of the WAVs."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from keeping import keeping
from modal_players import PLAYERS, compiled_for_unity
from modal_reference import Array, Bank, Hit, amplitudes, knock, ring
from patience import run_or_skip

import sfxgen
from sfxgen.draw import Draw
from sfxgen.export.modal import player_text
from sfxgen.generate.impact import Blow, _amplitudes, _click, _ringing, render, struck
from sfxgen.generate.modal_bank import MOST_MODES, N_REGIONS, modal_bank, to_bytes
from sfxgen.generate.recipe import Request
from sfxgen.manifest.impact import Impact
from sfxgen.master.loudness import read
from sfxgen.physics.contact import rough_spectrum
from sfxgen.physics.strike import Partials

RATE_HZ = 48_000
BODIES: dict[str, dict[str, Any]] = {
    "sword": {
        "object": {"shape": "bar", "size_m": [0.9, 0.04, 0.005], "material": "steel"},
        "striker": {"material": "steel", "mass_kg": 0.3},
        "speed_m_s": [2, 6],
    },
    "sheet": {
        "object": {"shape": "plate", "size_m": [0.9, 0.6, 0.0012], "material": "steel"},
        "striker": {"material": "rubber", "mass_kg": 0.4, "radius_m": 0.02},
        "speed_m_s": [0.5, 5],
        "damping": 3,
    },
    "coin": {"object": {"shape": "cylinder", "size_m": [0.024, 0.002], "material": "brass"}},
}
PRESETS: dict[str, Any] = yaml.safe_load(
    (Path(sfxgen.__file__).parent / "manifest" / "presets" / "impact.yaml").read_text(encoding="utf-8")
)
REQUEST = keeping()


def spec_of(body: str, **keys: Any) -> Impact:
    return Impact.model_validate(BODIES[body] | keys)


def bank_of(body: str, gain_db: float = 0.0, **keys: Any) -> Bank:
    return modal_bank(body, spec_of(body, **keys), REQUEST, gain_db)


def level_db(wave: Array, beside: Array) -> float:
    """Peak of one wave beside that of another (dB)."""
    assert wave.size
    assert beside.any()
    return float(20 * np.log10(np.abs(wave).max() / np.abs(beside).max() + 1e-15))


def lufs(wave: Array) -> float:
    return float(read(wave[None], RATE_HZ, loop=False, momentary=True).lufs(0.0))


def partials_of(body: str) -> Partials:
    return struck(spec_of(body), REQUEST)[0]


def station_of(bank: Bank, partials: Partials, region: int, gain_db: float = 0.0) -> int:
    """The point of the skin whose gains a region has; of several the one nearest to its reach."""
    columns = [int(np.abs(partials.frequency_hz - f).argmin()) for f in bank["frequency_hz"]]
    wanted = np.array(bank["gain"]).reshape(bank["regions"], bank["modes"])[region]
    found = partials.gain[:, columns] * 10 ** (gain_db / 20) / 200.0
    away = np.abs(found - wanted).max(axis=1)
    same = np.flatnonzero(away <= away.min() + 1e-6 * np.abs(found).max())
    return int(same[np.abs(partials.reach[same] - region / (N_REGIONS - 1)).argmin()])


# --- the bank ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", BODIES)
def test_a_bank_holds_the_bodys_own_modes(body: str) -> None:
    bank, partials = bank_of(body), partials_of(body)
    assert (bank["format"], bank["version"], bank["regions"]) == ("sfxgen-modal", 1, N_REGIONS)
    assert 0 < bank["modes"] == len(bank["frequency_hz"]) <= min(MOST_MODES, len(partials.frequency_hz))
    for frequency, decay in zip(bank["frequency_hz"], bank["decay_per_s"], strict=True):
        nearest = int(np.abs(partials.frequency_hz - frequency).argmin())
        assert partials.frequency_hz[nearest] == pytest.approx(frequency, rel=1e-8)
        assert partials.decay_per_s[nearest] == pytest.approx(decay, rel=1e-6)
    for region in range(N_REGIONS):
        point = station_of(bank, partials, region)
        distance = np.abs(partials.reach - region / (N_REGIONS - 1))
        assert distance[point] <= distance.min() + 0.03, region


@pytest.mark.parametrize("region", [0, 3, 7])
@pytest.mark.parametrize("speed_m_s", [0.5, 2.0, 9.0])
def test_a_blow_at_a_regions_place_is_the_renderers(region: int, speed_m_s: float) -> None:
    """Amplitudes of all modes, impulse, contact and levelling included, and the samples that follow from them."""
    bank, spec = bank_of("sword", gain_db=-7.5), spec_of("sword")
    partials, touching = struck(spec, REQUEST)
    impulse = float(touching.impulse_n_s(np.array(speed_m_s), spec.bounces.restitution))
    contact_s = float(touching.duration_s(np.array(speed_m_s)))
    blow = Blow(0.0, station_of(bank, partials, region, -7.5), impulse, contact_s)
    whole = _amplitudes(spec, partials, [blow]) * 10 ** (-7.5 / 20)
    theirs = amplitudes(bank, speed_m_s, region / (N_REGIONS - 1))
    columns = [int(np.abs(partials.frequency_hz - f).argmin()) for f in bank["frequency_hz"]]
    assert np.abs(theirs - whole[0, columns]).max() < 2e-2 * np.abs(whole).max()  # what is left out is made up for
    n = RATE_HZ // 2
    quiet = ring(bank | {"click_gain": [0.0, 0.0]}, [Hit(0, speed_m_s, region / (N_REGIONS - 1))], n, RATE_HZ)
    start = int(np.flatnonzero(quiet)[0]) - 1
    offline = _ringing(partials, whole, [0], n, RATE_HZ)
    length = min(len(offline), n - start)
    assert length > 1000
    assert level_db(quiet[start : start + length] - offline[:length], offline) < -25


def test_the_knock_is_that_of_the_renderer() -> None:
    """Its energy within 1 dB where the contact is longer than a sample, and the same shape."""
    bank, spec = bank_of("sheet"), spec_of("sheet")
    partials, touching = struck(spec, REQUEST)
    impulse = float(touching.impulse_n_s(np.array(2.0), spec.bounces.restitution))
    blow = Blow(0.0, 0, impulse, float(touching.duration_s(np.array(2.0))))
    offline = _click(spec, blow, partials, RATE_HZ)
    hit = Hit(20, 2.0, 0.0)
    n_force = max(1, round(blow.contact_s * RATE_HZ))
    ours = knock(bank, hit, n_force, len(offline), RATE_HZ)
    energies = [float((wave**2).sum()) for wave in (offline, ours)]
    assert 10 * np.log10(energies[1] / energies[0]) == pytest.approx(0, abs=1)
    likeness = np.correlate(ours, offline, "full").max() / np.sqrt(energies[0] * energies[1])
    assert likeness > 0.95


@pytest.mark.parametrize("body", BODIES)
def test_a_bank_is_as_loud_as_the_files(body: str) -> None:
    """Soft, middle and hard: the mean over places beside the mean of the renderer's takes, within 1.5 dB; of a sheet,
    of whose modes most are left out, within 2 dB."""
    bound_db = 2.0 if body == "sheet" else 1.5
    spec = spec_of(body)
    bank = bank_of(body)
    low, high = spec.speed_m_s
    for intensity in (0.0, 0.5, 1.0):
        takes = render(spec, [Draw(seed, (intensity, intensity)) for seed in range(8)], REQUEST)
        places = spec.hit[0] + (spec.hit[1] - spec.hit[0]) * np.linspace(0.05, 0.95, 9)
        speed = low * (high / low) ** intensity
        ours = [lufs(ring(bank, [Hit(0, speed, float(place))], RATE_HZ, RATE_HZ)) for place in places]
        theirs = [lufs(take.samples[0].astype(np.float64)) for take in takes]
        assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=bound_db), intensity


@pytest.mark.parametrize("striker", ["fist", "fingertip", "felt_mallet", "boot", "hammer"])
@pytest.mark.parametrize("speeds", [(2.0, 2.0), (5.0, 10.0)])
def test_a_soft_striker_s_blows_have_its_spectrum(striker: str, speeds: tuple[float, float]) -> None:
    """Up to 1 / t_c, at all speeds of the manifest, within 1.5 dB, though players know sin^{3/2} alone."""
    plate = {"shape": "plate", "size_m": [0.4, 0.3, 0.005]}
    spec = Impact.model_validate({"object": plate, "striker": striker, "speed_m_s": list(speeds)})
    bank, touching = modal_bank("plate", spec, REQUEST, 0.0), struck(spec, REQUEST)[1]
    for speed in {*speeds, float(np.sqrt(speeds[0] * speeds[1]))}:
        contact_s = float(touching.duration_s(np.array(speed)))
        omega = 2 * np.pi * np.linspace(0, 1, 20) / contact_s
        impulse = touching.impulse_n_s(np.array(speed), spec.bounces.restitution)
        theirs = impulse * rough_spectrum(omega, np.array(contact_s), touching.exponent)
        ours_s = np.array(bank["contact_s"] * speed ** bank["contact_exponent"])
        ours = bank["impulse_kg"] * speed * rough_spectrum(omega, ours_s)
        np.testing.assert_allclose(20 * np.log10(ours / theirs), 0, atol=1.5)


@pytest.mark.slow
def test_banks_of_all_presets_are_as_loud_as_their_files() -> None:
    """At the middle speed: half of them within 0.4 dB, each within 2 dB, of takes that differ by as much."""
    away = []
    for name, preset in PRESETS.items():
        spec = Impact.model_validate(preset["impact"])
        if spec.contacts or spec.friction:  # their files are no single blows
            continue
        once = spec.model_copy(update={"bounces": spec.bounces.model_copy(update={"count": 0}), "room": None})
        bank = modal_bank(name, once, REQUEST, 0.0)
        speed = float(np.sqrt(spec.speed_m_s[0] * spec.speed_m_s[1]))
        places = spec.hit[0] + (spec.hit[1] - spec.hit[0]) * np.array([0.1, 0.3, 0.5, 0.7, 0.9])
        ours = [lufs(ring(bank, [Hit(0, speed, float(place))], RATE_HZ // 2, RATE_HZ)) for place in places]
        takes = render(once, [Draw(seed, (0.5, 0.5)) for seed in range(5)], REQUEST)
        theirs = [lufs(take.samples[0].astype(np.float64)) for take in takes]
        away.append(abs(np.mean(ours) - np.mean(theirs)))
    assert len(away) == 46
    assert np.median(away) < 0.4
    assert max(away) < 2


def test_mastering_is_in_the_gains() -> None:
    plain, louder = bank_of("coin"), bank_of("coin", gain_db=6.0)
    for key in ("gain", "mean_gain", "click_gain"):
        assert louder[key] == pytest.approx([10 ** (6 / 20) * value for value in plain[key]], rel=1e-4)
    assert louder["level_db"] == 6.0


def test_the_loudest_modes_come_first_and_faint_ones_are_left_out() -> None:
    bank, partials = bank_of("sheet"), partials_of("sheet")
    assert bank["modes"] == MOST_MODES < len(partials.frequency_hz)
    decay = np.array(bank["decay_per_s"])
    energy = np.mean([amplitudes(bank, 2.0, place) ** 2 / decay for place in np.linspace(0.2, 0.9, 8)], axis=0)
    assert energy[:32].sum() > 0.5 * energy.sum()
    assert energy[:64].sum() > 2 * energy[64:].sum()
    coin = bank_of("coin")
    assert coin["modes"] == len(partials_of("coin").frequency_hz)  # few, all loud


def test_a_node_silences_a_mode() -> None:
    """In the middle of a bar no mode moves that is odd about it, and a third of the way they all sound."""
    bank = bank_of("sword")
    rising = np.argsort(bank["frequency_hz"])
    middle, third = (np.abs(amplitudes(bank, 3.0, place)) for place in (0.0, 3 / 7))
    silent = [m for m in rising[:8] if middle[m] == 0.0]
    assert 2 <= len(silent) <= 6
    assert all(third[m] > 1e-4 * third.max() for m in silent)
    gains = np.array(bank["gain"]).reshape(N_REGIONS, -1)
    assert all(gains[0, m] == 0.0 for m in silent)


def test_faster_blows_are_brighter_and_louder() -> None:
    bank = bank_of("sheet")
    frequency = np.array(bank["frequency_hz"])
    power = [amplitudes(bank, speed, 0.5) ** 2 for speed in (0.5, 2.0, 8.0)]
    centroids = [float(p @ frequency / p.sum()) for p in power]
    assert centroids[0] < centroids[1] < centroids[2]
    assert power[0].sum() < power[1].sum() < power[2].sum()


def test_a_bank_is_small_and_the_same_each_time() -> None:
    data = to_bytes(bank_of("sheet"))
    assert data == to_bytes(modal_bank("sheet", spec_of("sheet"), Request(), 0.0))
    assert json.loads(data) == bank_of("sheet")
    assert len(data) < 20_000
    assert len(to_bytes(bank_of("coin"))) < 2_000
    flat = [item for value in json.loads(data).values() if isinstance(value, list) for item in value]
    assert not any(isinstance(item, list | dict) for item in flat)  # Unity's JsonUtility reads nothing else


# --- the players ------------------------------------------------------------------------------------------------------

HITS = (Hit(0, 3.0, 0.31), Hit(250, 0.4, 0.93, 0.7), Hit(257, 6.0, 0.0), Hit(9000, 2.0, 1.0, 0.01))


@pytest.mark.parametrize("player", PLAYERS)
@pytest.mark.parametrize(("body", "rate_hz"), [("sword", 48_000), ("sheet", 44_100), ("coin", 22_050)])
def test_a_player_gives_the_banks_samples(player: str, body: str, rate_hz: int, tmp_path: Path) -> None:
    """Blows fall within blocks, add to what rings, and end: within −90 dB of the direct sums, at any rate."""
    loudest = np.abs(ring(bank_of(body), HITS, 12_000, rate_hz)).max()
    bank = bank_of(body, gain_db=round(20 * np.log10(0.5 / loudest), 1))  # as mastering would
    wanted = ring(bank, HITS, 12_000, rate_hz)
    found = PLAYERS[player](tmp_path, bank, HITS, 12_000, rate_hz, 128)
    assert found.shape == wanted.shape
    assert level_db(found - wanted, wanted) < -90


@pytest.mark.parametrize("player", ["node", "godot", "mono"])
def test_a_player_with_fewer_modes_keeps_the_level(player: str, tmp_path: Path) -> None:
    bank = bank_of("sheet", gain_db=-12.0)
    hits = [Hit(10, 2.0, 0.6)]
    whole = ring(bank, hits, RATE_HZ // 2, RATE_HZ)
    found = PLAYERS[player](tmp_path, bank, hits, RATE_HZ // 2, RATE_HZ, 24)
    assert lufs(found) == pytest.approx(lufs(whole), abs=3)
    assert level_db(found - whole, whole) > -40


@pytest.mark.parametrize("player", ["node", "godot", "mono"])
def test_what_has_died_away_is_exactly_silent(player: str, tmp_path: Path) -> None:
    """No denormal numbers: a mode at rest costs nothing and sounds nothing."""
    found = PLAYERS[player](tmp_path, bank_of("coin", damping=50), [Hit(10, 2.0, 0.6)], RATE_HZ, RATE_HZ, 64)
    assert found[:2000].any()
    assert not found[-RATE_HZ // 4 :].any()


@pytest.mark.parametrize("player", ["node", "mono"])
def test_a_bank_of_another_version_is_refused(player: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="build it again"):
        PLAYERS[player](tmp_path, bank_of("coin") | {"version": 2}, [Hit(0, 1.0, 0.5)], 100, RATE_HZ, 64)


def test_the_unity_component_compiles(tmp_path: Path) -> None:
    assert "warning" not in compiled_for_unity(tmp_path)


@pytest.mark.slow
def test_the_scripts_are_godot_4s(tmp_path: Path) -> None:
    """gdtoolkit's parser of Godot 4's language reads both, and its style holds; in an environment of its own."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    scripts = environment / ("Scripts" if sys.platform == "win32" else "bin")
    run_or_skip([str(scripts / "python"), "-m", "pip", "install", "--quiet", "gdtoolkit==4.5.0"])
    names = ("sfxgen_modal.gd", "sfxgen_modal_player.gd")
    for name in names:
        (tmp_path / name).write_text(player_text(name), encoding="utf-8")
    for tool in (["gdparse"], ["gdlint"]):
        done = subprocess.run(
            [str(scripts / tool[0]), *names], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
