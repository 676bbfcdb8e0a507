"""Soft strikers: the law of force against its own equation of motion, closed forms, and what is heard of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.integrate import solve_ivp
from scipy.special import gamma
from sound_measures import centroid_hz

from sfxgen.draw import Draw
from sfxgen.generate.impact import render
from sfxgen.generate.recipe import Request
from sfxgen.manifest.impact import Impact
from sfxgen.manifest.materials import MATERIALS
from sfxgen.manifest.strikers import SOFT, STRIKERS, StrikerName
from sfxgen.physics.contact import Contact, contact, pulse_spectrum
from sfxgen.physics.modal.shapes import Array
from sfxgen.physics.soft_contact import SoftContact, restitution, touching

STRUCK = [
    ("felt", 0.03, 0.025, 1.5),
    ("flesh", 2.9, 0.035, 4.0),
    ("rubber", 0.5, 0.03, 2.0),
    ("leather", 1.0, 0.03, 1.0),
]


def on_steel(striker: str, mass_kg: float, radius_m: float) -> SoftContact:
    found = touching(striker, MATERIALS[striker], MATERIALS["steel"], radius_m, 0.0, mass_kg, 1e9)
    assert isinstance(found, SoftContact)
    return found


def integrated(found: SoftContact, speed_m_s: float) -> tuple[Array, Array, Array]:
    """Times, compression and force of m δ̈ = -k δ^α (1 + μ δ̇) from δ = 0 at that speed until they part."""
    k, alpha, mu, mass = found.stiffness, found.exponent, found.loss_s_m, found.mass_kg

    def motion(_t: float, state: Array) -> list[float]:
        return [state[1], -k / mass * max(state[0], 0.0) ** alpha * (1 + mu * state[1])]

    def parted(t: float, state: Array) -> float:
        return float(state[0]) if t > 1e-7 else 1.0

    parted.terminal = True  # type: ignore[attr-defined]
    run = solve_ivp(motion, (0, 1), [0.0, speed_m_s], events=parted, rtol=1e-10, atol=1e-14, max_step=2e-5)
    assert run.t[-1] < 0.5
    return run.t, run.y[0], k * np.maximum(run.y[0], 0) ** alpha * (1 + mu * run.y[1])


@pytest.mark.parametrize(("material", "mass_kg", "radius_m", "speed_m_s"), STRUCK)
def test_contact_is_what_the_equation_of_motion_says(
    material: str, mass_kg: float, radius_m: float, speed_m_s: float
) -> None:
    """Its length, depth and impulse, which is momentum before less momentum after, within 0.1 %."""
    found, v = on_steel(material, mass_kg, radius_m), np.array(speed_m_s)
    t, x, force = integrated(found, speed_m_s)
    assert float(found.touching_s(v)) == pytest.approx(t[-1], rel=1e-3)
    assert float(found.compression_m(v)) == pytest.approx(x.max(), rel=1e-3)
    impulse = float(np.trapezoid(force, t))
    assert float(found.impulse_n_s(v)) == pytest.approx(impulse, rel=1e-3)
    assert impulse == pytest.approx(mass_kg * speed_m_s * (1 + float(found.restitution(v))), rel=1e-3)


@pytest.mark.parametrize(("material", "mass_kg", "radius_m", "speed_m_s"), STRUCK)
def test_the_pulse_has_the_spectrum_of_the_force(
    material: str, mass_kg: float, radius_m: float, speed_m_s: float
) -> None:
    """Through its main lobe a sine's power follows the force within 0.1 of the value at 0, 0.005 at the low end."""
    found = on_steel(material, mass_kg, radius_m)
    t, _, force = integrated(found, speed_m_s)
    duration_s = float(found.duration_s(np.array(speed_m_s)))
    for cycles in (0.1, 0.25, 0.5, 0.75, 1.0):
        omega = 2 * np.pi * cycles / duration_s
        measured = abs(np.trapezoid(force * np.exp(-1j * omega * t), t)) / np.trapezoid(force, t)
        pulse = float(pulse_spectrum(np.array(omega), np.array(duration_s), found.exponent))
        assert pulse == pytest.approx(measured, abs=0.1 if cycles > 0.3 else 0.005)


@pytest.mark.parametrize("alpha", [1.0, 1.5, 2.0, 2.5, 3.0])
def test_without_loss_the_time_has_a_closed_form(alpha: float) -> None:
    """2 √π Γ(1 + q) / Γ(½ + q) δ_max / v; α = 1 is half a period of m on a spring, α = 3/2 Hertz's 2.943 δ_max / v."""
    found, v = SoftContact(2e6, alpha, 0.0, 0.3), np.array([0.5, 3.0])
    q = 1 / (alpha + 1)
    deepest = ((alpha + 1) * 0.3 * v**2 / 2 / 2e6) ** q
    expected = 2 * np.sqrt(np.pi) * gamma(1 + q) / gamma(0.5 + q) * deepest / v
    np.testing.assert_allclose(found.compression_m(v), deepest, rtol=1e-4)
    np.testing.assert_allclose(found.touching_s(v), expected, rtol=2e-3)
    np.testing.assert_allclose(found.duration_s(v), expected, rtol=0.12)  # a sine to a power is not quite the motion
    if alpha == 1.0:
        np.testing.assert_allclose(expected, np.pi * np.sqrt(0.3 / 2e6))
    slope = np.log(found.touching_s(v)[1] / found.touching_s(v)[0]) / np.log(6)
    assert slope == pytest.approx((1 - alpha) * q, abs=2e-3)  # t_c ~ v^{(1 - α) / (α + 1)}


def test_at_hertzs_exponent_without_loss_it_is_hertzs() -> None:
    steel, wood = MATERIALS["steel"], MATERIALS["wood"]
    hertz = contact(wood, steel, 0.01, 0.0, 0.1, 5.0)
    soft = SoftContact(hertz.stiffness, 1.5, 0.0, hertz.mass_kg)
    v = np.array([0.1, 1.0, 10.0])
    np.testing.assert_allclose(soft.touching_s(v), hertz.duration_s(v), rtol=1e-3)
    np.testing.assert_allclose(soft.duration_s(v), hertz.duration_s(v), rtol=0.02)
    np.testing.assert_allclose(soft.impulse_n_s(v), hertz.impulse_n_s(v, 1.0), rtol=1e-3)


def test_restitution_solves_its_equation_and_falls_from_one() -> None:
    d = np.geomspace(1e-6, 20, 60)
    e = restitution(d)
    np.testing.assert_allclose(e * d + np.log1p(-e * d), np.log1p(d) - d, atol=1e-9)
    assert np.all(np.diff(e) < 0)
    assert restitution(np.array(0.0)) == 1.0
    assert restitution(np.array(1e-3)) == pytest.approx(1 - 2e-3 / 3, abs=1e-6)


def test_hard_strikers_keep_hertz() -> None:
    steel = MATERIALS["steel"]
    assert isinstance(touching("wood", MATERIALS["wood"], steel, 0.01, 0.0, 0.1, 5.0), Contact)
    assert set(SOFT) <= set(MATERIALS)


def test_softer_is_longer_and_a_punch_is_as_strong_as_measured() -> None:
    """Contact grows from leather to flesh; 2.9 kg at 9 m/s stay within 10 kN and 30 ms."""
    lasts = [float(on_steel(m, 0.4, 0.03).duration_s(np.array(2.0))) for m in ("leather", "rubber", "flesh")]
    assert lasts == sorted(lasts)
    t, _, force = integrated(on_steel("flesh", 2.9, 0.035), 9.0)
    assert 3_000 < force.max() < 10_000
    assert 0.01 < t[-1] < 0.03


# --- heard, and in the manifest -------------------------------------------------------------------------------------


def test_a_soft_striker_is_duller_and_faster_is_brighter() -> None:
    store: dict[str, bytes] = {}

    def cached(key: str, make: Callable[[], bytes]) -> bytes:
        return store.setdefault(key, store.get(key) or make())

    def centroid(striker: str, place: float) -> float:
        spec = Impact.model_validate({"striker": striker, "speed_m_s": [0.5, 5], "hit": 0.5, "click_db": -60})
        return centroid_hz(render(spec, [Draw(1, (place, place))], Request(cached=cached))[0])

    centroids = [centroid(name, 0.5) for name in ("hand", "rubber_mallet", "stick", "hammer")]
    assert centroids == sorted(centroids)
    assert centroids[0] < centroids[2] / 4
    assert centroid("felt_mallet", 0.0) < centroid("felt_mallet", 1.0)


@pytest.mark.parametrize("name", STRIKERS)
def test_a_striker_by_name_is_the_mapping(name: str) -> None:
    assert Impact.model_validate({"striker": name}) == Impact.model_validate({"striker": STRIKERS[name]})


def test_names_are_those_of_the_schema() -> None:
    assert sorted(get_args(StrikerName)) == sorted(STRIKERS)
    offered = Impact.model_json_schema()["properties"]["striker"]["anyOf"]
    assert {"enum": sorted(STRIKERS), "type": "string"} in offered


def test_an_unknown_striker_says_what_there_is() -> None:
    with pytest.raises(ValidationError, match=r"expected one of boot, felt_mallet, .* or a mapping with material"):
        Impact.model_validate({"striker": "fists"})
