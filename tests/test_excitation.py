"""Many small contacts, and friction: their laws, their loops, and what is heard of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from pydantic import ValidationError
from sound_measures import centroid_hz

from sfxgen.audio import Audio
from sfxgen.draw import Draw
from sfxgen.generate import is_periodic
from sfxgen.generate.contacts import MEAN_ENERGY, energies, shower, sizes
from sfxgen.generate.friction import _rung
from sfxgen.generate.impact import _ringing, render, struck, struck_bodies
from sfxgen.generate.recipe import Request
from sfxgen.manifest.excitation import Contacts
from sfxgen.manifest.impact import Impact
from sfxgen.manifest.materials import MATERIALS
from sfxgen.manifest.step import GAITS
from sfxgen.physics import friction
from sfxgen.physics.contact import contact
from sfxgen.physics.friction import Roughness
from sfxgen.render import render as make_from
from sfxgen.synths.often import ring_often

STORE: dict[str, bytes] = {}
RATE_HZ = 48_000


def cached(key: str, make: Callable[[], bytes]) -> bytes:
    if key not in STORE:
        STORE[key] = make()
    return STORE[key]


REQUEST = Request(cached=cached)
LOOP = Request(cached=cached, loop=True, duration_s=1.0)
CHAIN: dict[str, Any] = {
    "object": {"shape": "tube", "size_m": [0.05, 0.008], "wall_m": 0.008, "material": "iron"},
    "striker": {"material": "iron", "mass_kg": 0.05, "radius_m": 0.004},
    "speed_m_s": [0.5, 1.2],
    "contacts": {},
}
SCRAPE: dict[str, Any] = {
    "object": {"shape": "bar", "size_m": [0.4, 0.03, 0.006], "material": "steel"},
    "striker": {"material": "steel", "mass_kg": 0.2, "radius_m": 0.003},
    "speed_m_s": 0.5,
    "friction": {},
}


def impact(base: dict[str, Any], **more: Any) -> Impact:
    return Impact.model_validate({**base, **more})


def one(spec: Impact, request: Request = REQUEST, seed: int = 1) -> Audio:
    return render(spec, [Draw(seed, (0.5, 0.5))], request)[0]


def rms(audio: Audio) -> float:
    return float(np.sqrt(np.mean(audio.samples.astype(float) ** 2)))


# --- many contacts --------------------------------------------------------------------------------------------------


def test_struck_often_is_the_sum_of_single_blows() -> None:
    """Within blocks, across them and in one frame: the block form against the sum of sines, −114 dB."""
    partials, _ = struck(impact(CHAIN), REQUEST)
    bank = (partials.frequency_hz, partials.decay_per_s)
    at = np.array([300, 0, 255, 256, 257, 300, 4_000, 99_999])
    amplitude = np.random.default_rng(1).normal(size=(len(at), len(bank[0])))
    together = ring_often(*bank, amplitude, at, 5_000, RATE_HZ)
    apart = np.zeros(5_000)
    for row, start in zip(amplitude[:-1], at[:-1], strict=True):
        t = np.arange(5_000 - start)[:, None] / RATE_HZ
        apart[start:] += (np.exp(-bank[1] * t) * np.sin(2 * np.pi * bank[0] * t)) @ row
    assert np.abs(apart).max() > 1
    np.testing.assert_allclose(together, apart, atol=2e-6 * np.abs(apart).max())


@pytest.mark.parametrize("exponent", [1.3, 1.6, 2.5])
def test_energies_follow_the_power_law(exponent: float) -> None:
    """The maximum likelihood estimate of the exponent, 1 + n / Σ ln(E / E_min), where the range is wide."""
    spec = Contacts(energies="power", exponent=exponent, range_db=80)
    e = energies(spec, np.random.default_rng(0), 40_000)
    assert 1e-8 <= e.min() < 2e-8
    assert e.max() <= 1
    strong = e[e < 1e-4] / 1e-8
    ratio = 1e4 ** (1 - exponent)  # the mean of the logarithm where the law is cut
    expected = 1 / (exponent - 1) - np.log(1e4) * ratio / (1 - ratio)
    assert np.log(strong).mean() == pytest.approx(expected, rel=0.03)


def test_energies_are_exponential() -> None:
    e = energies(Contacts(range_db=80), np.random.default_rng(0), 40_000)
    assert e.max() <= 1
    assert np.median(e) == pytest.approx(MEAN_ENERGY * np.log(2), rel=0.03)


def test_a_shower_has_its_count_and_keeps_to_its_time() -> None:
    spec = Contacts(count=(30, 60), spread_s=0.5, bodies=5)
    drawn = [shower(spec, np.random.default_rng(seed)) for seed in range(40)]
    counts = [len(each.at_s) for each in drawn]
    assert 30 <= min(counts) < max(counts) <= 60
    for each in drawn:
        assert each.at_s[0] == 0
        assert each.energy[0] == each.energy.max() == 1
        assert each.at_s.max() <= 0.5
        assert np.all(np.diff(each.at_s) >= 0)
    when = np.concatenate([each.at_s[1:] for each in drawn])
    assert (when < 0.25).mean() > 0.7
    even = [shower(spec.model_copy(update={"course": "even"}), np.random.default_rng(seed)) for seed in range(40)]
    assert np.concatenate([each.at_s[1:] for each in even]).mean() == pytest.approx(0.25, abs=0.02)


def test_bodies_are_one_solve_at_several_sizes() -> None:
    spec = Contacts(bodies=4, size=(0.5, 2))
    scales = sizes(spec, np.random.default_rng(3))
    assert len(set(scales)) == 4
    assert np.all((scales >= 0.5) & (scales <= 2))
    solves = []

    def noting(key: str, make: Callable[[], bytes]) -> bytes:
        solves.append(key)
        return cached(key, make)

    bodies = struck_bodies(impact(CHAIN), Request(cached=noting), scales)
    assert len(solves) == 1
    first, second = (partials.frequency_hz[0] * scale for (partials, _), scale in zip(bodies[:2], scales, strict=False))
    assert first == pytest.approx(second, rel=1e-9)


def test_contacts_spread_and_take_after_take_differ() -> None:
    spec = impact(CHAIN, contacts={"count": 60, "spread_s": 1.0, "course": "even", "fade_db": 0})
    draws = [Draw(seed) for seed in range(3)]
    takes = render(spec, draws, REQUEST)
    for draw, take in zip(draws, takes, strict=True):
        assert render(spec, [draw], REQUEST)[0].samples.tobytes() == take.samples.tobytes()
        assert 0.8 < take.duration_s < 2.5
        parts = np.array_split(take.samples[0, : RATE_HZ * 9 // 10].astype(float), 9)
        assert all((part**2).sum() > 1e-3 * max((p**2).sum() for p in parts) for part in parts)
    assert len({take.samples.tobytes() for take in takes}) == 3
    soft, hard = (render(spec, [Draw(1, (place, place))], REQUEST)[0] for place in (0, 1))
    assert rms(hard) > 1.3 * rms(soft)


def test_the_last_contacts_ring_as_the_first_however_late() -> None:
    even = {"count": 300, "spread_s": 16, "course": "even", "fade_db": 0, "bodies": 1}
    spec = impact(CHAIN, contacts=even, click_db=-60)
    natural, longer = one(spec), one(spec, Request(cached=cached, duration_s=18))
    for take in (natural, longer):
        seconds = take.samples[0, : 16 * RATE_HZ].reshape(16, -1).std(axis=1)
        assert seconds[12:].mean() > 0.5 * seconds[:12].mean()
    assert longer.duration_s == 18


def test_a_thousand_contacts_are_faster_than_they_sound() -> None:
    spec = impact(CHAIN, contacts={"count": 1000, "spread_s": 3, "bodies": 12})
    one(spec)
    began = time.process_time()
    audio = one(spec)
    assert time.process_time() - began < audio.duration_s


# --- friction -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.8])
def test_a_profile_has_its_height_and_its_slope(exponent: float) -> None:
    """rms between the two wavelengths, and the power of the spectrum; a rigid point feels all of it."""
    rough = Roughness(5.0, exponent)
    speed = 0.48  # 10 µm a frame
    path = friction.path(np.full(200_000, speed), RATE_HZ)
    height = friction.profile(rough, 1e-9, path, RATE_HZ, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(height)[1:]) ** 2 * 2 / len(height) ** 2
    k = 2 * np.pi * np.arange(1, len(power) + 1) / path.place_m[-1]
    inside = (k > 2 * np.pi / friction.LONGEST_M) & (k < 2 * np.pi / 4e-5)
    slope = np.polyfit(np.log(k[inside]), np.log(power[inside]), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.05)
    fine = np.geomspace(2 * np.pi / friction.LONGEST_M, 2 * np.pi / friction.SHORTEST_M, 4000)
    assert np.sqrt(np.trapezoid(friction.spectral_density(rough, fine), fine)) == pytest.approx(5e-6, rel=1e-3)


def test_a_patch_does_not_feel_what_is_finer() -> None:
    path = friction.path(np.full(96_000, 1.0), RATE_HZ)
    point, patch = (
        np.abs(np.fft.rfft(friction.profile(Roughness(5, 1), a, path, RATE_HZ, np.random.default_rng(0)))) ** 2
        for a in (1e-9, 1e-3)
    )
    assert patch[10_000:].sum() < 1e-3 * point[10_000:].sum()  # above 5 kHz, 0.2 mm
    assert patch[2:20].sum() > 0.99 * point[2:20].sum()


def test_the_force_is_stiffness_above_the_resonance_and_mass_below() -> None:
    """A sinusoidal profile: F = k y far above √(k/m), m ω² y far below."""
    t = np.arange(RATE_HZ) / RATE_HZ
    stiffness, mass = 1e6, 0.1  # 503 Hz
    for hertz, gain in ((20_000, stiffness), (10, mass * (2 * np.pi * 10) ** 2)):
        y = 1e-9 * np.sin(2 * np.pi * hertz * t)
        found = friction.force(y, stiffness, mass, 1e3, RATE_HZ)
        assert np.abs(found).max() == pytest.approx(gain * 1e-9, rel=0.01 if hertz < 100 else 0.2)
    held = friction.force(1e-3 * np.sin(2 * np.pi * 2000 * t), stiffness, mass, 10.0, RATE_HZ)
    assert 10 < held.std() < 100  # free it would be some 700 N


def test_the_patch_is_hertzs() -> None:
    """a³ = 3 F R / (4 E*), and dF/dδ = 2 E* a (Johnson, eq. 4.22)."""
    steel = MATERIALS["steel"]
    touching = contact(steel, steel, 0.01, 0.0, 0.1, 5.0)
    stiffness, spot_m = friction.pressed(touching, 0.01, 20.0)
    assert spot_m == pytest.approx((3 * 20 * 0.01 / (4 * touching.modulus_pa)) ** (1 / 3), rel=1e-9)
    assert stiffness == pytest.approx(2 * touching.modulus_pa * spot_m, rel=1e-9)


def test_the_body_rings_as_a_convolution_says() -> None:
    partials, _ = struck(impact(SCRAPE), REQUEST)
    gain = partials.gain[3]
    pushed = np.concatenate([np.random.default_rng(0).normal(size=3_000), np.zeros(5_000)])
    answer = _ringing(partials, gain[None], [0], 8_000, RATE_HZ)
    expected = np.convolve(pushed, answer)[:8_000] / RATE_HZ
    found = _rung(partials, gain, pushed, RATE_HZ, n_clear=12 * RATE_HZ)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_a_loop_is_the_steady_state_of_the_body() -> None:
    """One period on the circle is what is left when the same force has gone round for long enough."""
    partials, _ = struck(impact(SCRAPE, damping=30), REQUEST)
    pushed = np.random.default_rng(0).normal(size=9_600)
    circle = _rung(partials, partials.gain[3], pushed, RATE_HZ)
    long = _rung(partials, partials.gain[3], np.tile(pushed, 20), RATE_HZ, n_clear=RATE_HZ)
    np.testing.assert_allclose(circle, long[-9_600:], atol=2e-4 * np.abs(circle).max())


@pytest.mark.parametrize("how", ["scrape", "slide", "roll"])
def test_a_loop_has_no_seam(how: str) -> None:
    """Exactly one period: turned by half, the step over the seam is like any other, and its spectrum is the same."""
    spec = impact(SCRAPE, friction={"how": how, "start": 0.4}, room={})
    audio = one(spec, LOOP)
    assert audio.n_frames == RATE_HZ
    y = audio.samples[0].astype(float)
    steps = np.abs(np.diff(np.roll(y, 1000), 2))
    seam = steps[997:1002]
    assert seam.max() <= np.quantile(steps, 0.9999)
    assert rms(audio) > 0
    assert is_periodic("impact", spec)
    assert not is_periodic("impact", impact(CHAIN))


@pytest.mark.parametrize("how", ["scrape", "slide", "roll"])
def test_faster_is_brighter_and_louder_and_harder_is_louder(how: str) -> None:
    slow, fast = (one(impact(SCRAPE, speed_m_s=v, friction={"how": how})) for v in (0.2, 1.6))
    assert centroid_hz(fast) > centroid_hz(slow)
    assert rms(fast) > rms(slow)
    light, heavy = (one(impact(SCRAPE, friction={"how": how, "force_n": f})) for f in (0.5, 50))
    assert rms(heavy) > 1.5 * rms(light)


def test_rougher_is_louder_and_glass_smoother_than_concrete() -> None:
    fine, coarse = (one(impact(SCRAPE, friction={"roughness_um": r, "force_n": 1000})) for r in (0.1, 1.0))
    assert rms(coarse) > 5 * rms(fine)
    assert friction.roughness("steel", "glass").rms_um < friction.roughness("steel", "concrete").rms_um / 50
    assert set(friction.ROUGHNESS) <= set(MATERIALS)


def test_a_ball_turns_as_fast_as_it_rolls() -> None:
    """The level of a rolling ball goes up and down at v / (2π R) and its harmonics, whole turns in a loop."""
    rolled = friction.path(np.full(RATE_HZ, 0.7), RATE_HZ)
    wave = friction.turning(rolled, 0.02, True, np.random.default_rng(0))
    lines = np.abs(np.fft.rfft(wave))
    turns = round(0.7 / (2 * np.pi * 0.02))
    assert turns == 6
    assert set(np.flatnonzero(lines > 1e-6 * lines.max())) == {turns, 2 * turns, 3 * turns}
    assert np.abs(wave).max() <= 1


def test_friction_lasts_as_asked_and_comes_back_the_same() -> None:
    spec = impact(SCRAPE, friction={"duration_s": 0.7, "end": 0.2})
    first, again, other = one(spec), one(spec), one(spec, seed=2)
    assert first.samples.tobytes() == again.samples.tobytes() != other.samples.tobytes()
    assert first.duration_s > 0.7
    cut = one(spec, Request(cached=cached, duration_s=0.5))
    assert cut.n_frames == RATE_HZ // 2
    assert np.abs(cut.samples[0, -5:]).max() < 1e-2 * cut.peak
    early, late = (Audio.of(first.samples[:, a:b], RATE_HZ) for a, b in ((2_000, 10_000), (22_000, 30_000)))
    assert centroid_hz(early) > centroid_hz(late)


# --- steps ----------------------------------------------------------------------------------------------------------


def test_a_step_is_its_shoe_gait_and_weight() -> None:
    spec = Impact.model_validate({"step": {"shoe": "boot", "gait": "run", "weight_kg": 80}})
    assert (spec.striker.material, spec.striker.mass_kg) == ("leather", 4.4)
    assert spec.speed_m_s == GAITS["run"].speed_m_s
    assert spec.bounces.count == 1
    assert Impact.model_validate(spec.model_dump(mode="json"), strict=False) == spec
    own = Impact.model_validate({"step": {"gait": "run"}, "speed_m_s": 3, "striker": "stick"})
    assert own.speed_m_s == (3, 3)
    assert own.striker.material == "wood"
    assert own.bounces.first_s == GAITS["run"].toe_s


def test_steps_differ_as_walkers_do() -> None:
    """Heels are brighter than sneakers, and those than bare feet; running is louder than sneaking."""
    floor = {"shape": "plate", "size_m": [0.6, 0.6, 0.03], "material": "marble"}

    def made(**step: Any) -> Audio:
        return one(Impact.model_validate({"object": floor, "damping": 6, "step": step}))

    centroids = [centroid_hz(made(shoe=shoe)) for shoe in ("heels", "sneaker", "barefoot")]
    assert centroids == sorted(centroids, reverse=True)
    assert centroids[0] > 1.5 * centroids[2]
    assert rms(made(gait="land")) > rms(made(gait="run")) > rms(made(gait="walk")) > 2 * rms(made(gait="sneak"))
    assert rms(made(weight_kg=300)) > rms(made(weight_kg=40))
    with pytest.raises(ValidationError, match="'sneak', 'walk', 'run' or 'land'"):
        made(gait="crawl")


# --- manifest -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"contacts": {"count": 0}}, "from 1 to 1000"),
        ({"contacts": {"energies": "normal"}}, "'exponential' or 'power'"),
        ({"contacts": {"bodies": 99}}, "less than or equal to 24"),
        ({"friction": {"how": "rub"}}, "'scrape', 'slide' or 'roll'"),
        ({"friction": {"force_n": 0}}, "force_n"),
        ({"friction": {}, "contacts": {}}, "contacts or friction, not both"),
        ({"contacts": {"count": 900}, "bounces": {"count": 4}}, "5 blows of so many contacts .* at most 800"),
    ],
)
def test_faults_name_what_was_expected(section: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Impact.model_validate(section)


# --- from a prompt to the file --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("heavy stone dragged over a stone floor", "impact"),
        ("water boiling in a pot", "liquid"),
        ("bunch of keys jangling", "impact"),
    ],
)
def test_a_prompt_finds_what_cannot_be_guided_and_makes_it(prompt: str, kind: str, tmp_path: Path) -> None:
    """No prior is opened: the nearest preset is rendered as it is, and a loop is one period, uncut."""
    said = list(make_from(tmp_path, prompt, tmp_path / "x.wav", duration_s=1.0))
    assert said[0].startswith(f"{kind}: nearest {kind} preset")
    assert not any("guided" in line for line in said)
    samples, rate_hz = soundfile.read(tmp_path / "x.wav")
    assert rate_hz == RATE_HZ
    assert np.abs(samples).max() > 0.01
    if "keys" not in prompt:
        assert len(samples) == RATE_HZ
        steps = np.abs(np.diff(np.roll(samples, 1000)))
        assert steps[999] <= np.quantile(steps, 0.999)
