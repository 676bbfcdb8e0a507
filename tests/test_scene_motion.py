"""How the bodies of a scene move: closed forms, momentum, energy, rest, mass and inertia."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scene_samples import PRESETS, REQUEST, boxes, scene

from sfxgen.draw import Draw
from sfxgen.generate.poses import placed
from sfxgen.manifest.materials import MATERIALS
from sfxgen.manifest.scene import Scene
from sfxgen.physics.modal.shapes import Body
from sfxgen.physics.moving import rigid
from sfxgen.physics.moving.colliders import Ground
from sfxgen.physics.moving.events import events
from sfxgen.physics.moving.restitution import SURFACES, friction, restitution
from sfxgen.physics.moving.things import GRAVITY_M_S2, Thing, solid

STILL = np.zeros(3)
UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])


def ball(material: str, height_m: float, diameter_m: float = 0.05) -> Thing:
    body = Body("sphere", (1.0,))
    whole = solid(body, diameter_m, MATERIALS[material].density_kg_m3)
    place = np.array([0.0, 0.0, height_m + diameter_m / 2])
    return Thing(body, diameter_m, material, whole, place, UPRIGHT, STILL, STILL)


@pytest.mark.parametrize(("material", "floor"), [("glass", "glass"), ("steel", "stone"), ("wood", "stone")])
def test_a_dropped_ball_bounces_as_the_closed_form_says(material: str, floor: str) -> None:
    """First at √(2h/g), within a millisecond; then after 2 e √(2h/g), and each interval e times the one before."""
    thing, e = ball(material, 0.48), restitution(material, floor)
    log = rigid.fall([thing], Ground(floor), 2.0)
    blows, _ = events(log, [thing], floor, [0.001])
    first_s = math.sqrt(2 * 0.48 / GRAVITY_M_S2)
    assert blows.at_s[0] == pytest.approx(first_s, abs=1e-3)
    intervals = np.diff(blows.at_s)[:3]
    expected = 2 * first_s * e ** np.arange(1, 4)
    np.testing.assert_allclose(intervals, expected, rtol=0.02 if e > 0.9 else 0.08)


def test_the_impulse_of_a_blow_is_its_change_of_momentum() -> None:
    """(1 + e) m v of a single bounce, and over a whole run what the floor gave is what gravity took."""
    thing = ball("glass", 0.3)
    log = rigid.fall([thing], Ground("glass"), 1.5)
    blows, _ = events(log, [thing], "glass", [0.001])
    speed = math.sqrt(2 * GRAVITY_M_S2 * 0.3)
    e = restitution("glass", "glass")
    assert blows.impulse_n_s[0] == pytest.approx((1 + e) * thing.solid.mass_kg * speed, rel=0.02)


@pytest.mark.parametrize("action", ["drop", "throw", "roll", "pile", "topple"])
def test_momentum_is_kept_and_energy_is_never_gained(action: str) -> None:
    """∫ F dt of the floor = change of momentum + weight × time, within 1e-3; energy at most 1 % more."""
    spec = scene(bodies=boxes(4), action=action, height_m=0.3, speed_m_s=1.5)
    draw = Draw(3)
    things = placed(spec, draw, draw.rng(), REQUEST).things
    log = rigid.fall(things, Ground("stone"), 1.5)
    assert log.energy <= 1.01
    begin = sum(thing.solid.mass_kg * thing.velocity[2] for thing in things)
    there_s = sum(t.solid.mass_kg * (log.n_steps * log.step_s - t.start_s) for t in things)
    given = log.impulse_n_s[2]
    assert given > 0
    lost = log.momentum[:, 2].sum() - begin + GRAVITY_M_S2 * there_s
    assert given == pytest.approx(lost, rel=1e-3)


def test_slender_bodies_that_spin_stay_stable() -> None:
    """Explicit steps let the spin of a fork grow without bound."""
    spec = Scene.model_validate(PRESETS["cutlery_drop"]["scene"])
    for seed in range(3):
        things = placed(spec, Draw(seed), Draw(seed).rng(), REQUEST).things
        assert rigid.fall(things, Ground("ceramic"), 1.0).energy <= 1.01


def test_a_slope_levels_out() -> None:
    """A smooth block slides down 1 m of 30° and then on the level: v² = 2 g L (sin α − μ cos α), less what the bend
    takes; it never sinks below the level ground, and stops."""
    body = Body("box", (1.0, 1.0, 0.2))
    whole = solid(body, 0.1, MATERIALS["ice"].density_kg_m3)
    thing = Thing(body, 0.1, "ice", whole, np.array([0.0, 0.0, 0.0101]), UPRIGHT, STILL, STILL)
    log = rigid.fall([thing], Ground("ice", 30.0, 1.0, 1.0), 3.0)
    x, z = log.pose[0, 0], log.pose[0, 2]
    level = (x - 1.0) * math.tan(math.radians(30))
    assert x > 1.0
    assert (z - level) * math.cos(math.radians(30)) == pytest.approx(0.01, abs=2e-3), "it lies on the level ground"
    endless = rigid.fall([thing], Ground("ice", 30.0), 3.0)
    assert endless.pose[0, 0] > 3 * x
    assert log.energy <= 1.01


def test_all_at_rest_ends_the_run() -> None:
    log = rigid.fall([ball("lead", 0.1)], Ground("lead"), 10.0)
    assert log.n_steps * log.step_s < 2


@pytest.mark.parametrize(
    ("body", "size_m", "mass_kg", "inertia"),
    [
        (Body("sphere", (1.0,)), 0.1, math.pi / 6 * 1e-3, [1e-2 / 10] * 3),
        (Body("box", (1.0, 0.5, 0.25)), 0.2, 0.2 * 0.1 * 0.05, [0.0125 / 12, 0.0425 / 12, 0.05 / 12]),
        (
            Body("tube", (1.0, 2.0), 0.1),
            0.1,
            math.pi * (0.05**2 - 0.04**2) * 0.2,
            [(3 * (0.05**2 + 0.04**2) + 0.04) / 12] * 2 + [(0.05**2 + 0.04**2) / 2],
        ),
    ],
    ids=["sphere", "box", "tube"],
)
def test_mass_and_inertia(body: Body, size_m: float, mass_kg: float, inertia: list[float]) -> None:
    whole = solid(body, size_m, 1000.0)
    assert whole.mass_kg == pytest.approx(1000 * mass_kg, rel=2e-3)
    np.testing.assert_allclose(whole.inertia / whole.mass_kg, inertia, rtol=2e-3)
    np.testing.assert_allclose(whole.centre, 0, atol=1e-12)
    assert solid(body, size_m, 1000.0, 5.0).mass_kg == 5.0


def test_every_material_has_a_surface() -> None:
    assert SURFACES.keys() == MATERIALS.keys()
    for first in MATERIALS:
        for second in MATERIALS:
            assert 0.15 <= restitution(first, second) == restitution(second, first) <= 0.95
            assert 0 < friction(first, second) == friction(second, first) < 1
    soft = restitution("lead", "steel")
    assert soft < 0.5 * (restitution("lead", "lead") + restitution("steel", "steel")), "the softer one counts most"
