"""Materials of one's own: `materials:` of a manifest, and a mapping in the place of a name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from sfxgen.generate.impact import struck
from sfxgen.generate.recipe import Request
from sfxgen.manifest.impact import FromFile, Impact
from sfxgen.manifest.materials import MATERIALS, OwnMaterial, constants, kin
from sfxgen.manifest.project import load_project
from sfxgen.physics.friction import roughness
from sfxgen.physics.moving.restitution import friction, restitution
from sfxgen.plan import plan_project

BAR = {"shape": "bar", "size_m": [0.3, 0.03, 0.006]}
TEAK = {"like": "oak", "density_kg_m3": 660, "youngs_gpa": 15}


def keys(root: Path, teak: object) -> dict[str, str]:
    """The keys of three sounds, of which two are of teak."""
    (root / "sounds").mkdir(parents=True, exist_ok=True)
    sounds = {
        "knock": {"impact": {"object": BAR | {"material": "teak"}}},
        "fall": {"scene": {"bodies": [{"object": BAR}], "floor": {"material": "teak"}}},
        "other": {"impact": {"object": BAR | {"material": "oak"}}},
    }
    manifest = {"version": 1, "materials": {"teak": teak}, "sounds": sounds}
    (root / "sounds" / "wood.yaml").write_text(yaml.safe_dump(manifest))
    return {sound.job.name: sound.job.key for sound in plan_project(root).plan.sounds}


def test_numbers_that_are_not_written_are_those_of_its_like() -> None:
    own = OwnMaterial.model_validate(TEAK)
    found = constants(own)
    assert (found.density_kg_m3, found.youngs_gpa) == (660, 15)
    assert found.loss_factor == MATERIALS["oak"].loss_factor
    assert constants("oak") is MATERIALS["oak"]
    assert (kin(own), kin("steel")) == ("oak", "steel")


def test_it_bounces_grips_and_is_rough_as_its_like_and_its_stiffness_counts() -> None:
    own = OwnMaterial(like="oak")
    assert restitution(own, "steel") == restitution("oak", "steel")
    assert friction(own, own) == friction("oak", "oak")
    assert roughness(own, "glass") == roughness("oak", "glass")
    soft = OwnMaterial(like="oak", youngs_gpa=0.01)
    assert abs(restitution(soft, "steel") - restitution("oak", "oak")) < abs(
        restitution(own, "steel") - restitution("oak", "oak")
    )


def test_pitch_goes_with_the_root_of_its_stiffness_over_its_density() -> None:
    usual, own = (
        struck(Impact.model_validate({"object": BAR | {"material": m}, "striker": {"material": m}}), Request())[0]
        for m in ("oak", TEAK)
    )
    ratio = np.sqrt(15 / 660 / (12 / 720))
    np.testing.assert_allclose(own.frequency_hz[:4] / usual.frequency_hz[:4], ratio, rtol=1e-9)
    assert own.mass_kg == pytest.approx(usual.mass_kg * 660 / 720)


def test_another_number_makes_again_what_is_of_it_and_nothing_else(tmp_path: Path) -> None:
    before, same = (keys(tmp_path, TEAK) for _ in range(2))
    after = keys(tmp_path, TEAK | {"loss_factor": 0.02})
    assert before == same
    assert {name for name in before if before[name] != after[name]} == {"knock", "fall"}


def test_a_files_own_are_known_to_the_parts_of_a_mesh_and_to_one_another(tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    body = {
        "shape": "mesh",
        "file": "axe.glb",
        "materials": {"like": "teak", "grip": {"like": "wet", "loss_factor": 0.1}},
    }
    manifest = {
        "version": 1,
        "materials": {"teak": TEAK, "wet": {"like": "teak", "density_kg_m3": 900}},
        "sounds": {"axe": {"impact": {"object": body}}},
    }
    (tmp_path / "sounds" / "wood.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))
    (axe,) = load_project(tmp_path).entries
    assert axe.sound.impact is not None
    assert isinstance(axe.sound.impact.object, FromFile)
    assert axe.sound.impact.object.materials == {
        "like": OwnMaterial.model_validate(TEAK),
        "grip": OwnMaterial(like="oak", density_kg_m3=900, youngs_gpa=15, loss_factor=0.1),
    }


def test_a_spec_with_one_goes_through_json_as_a_lock_keeps_it() -> None:
    spec = Impact.model_validate({"object": BAR | {"material": TEAK}})
    assert Impact.model_validate_json(spec.model_dump_json()) == spec
