"""The modes of a body that a mesh file gives: read, filled with tetrahedra or made a shell, solved."""

from __future__ import annotations

import hashlib
import json
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from sfxgen.errors import MeshUnusable
from sfxgen.events import untold
from sfxgen.manifest.base import ceiled, floored
from sfxgen.manifest.linked import buffers
from sfxgen.physics.meshing.distance import Distance, split, winding_at
from sfxgen.physics.meshing.kits import filled_kit, parts_of
from sfxgen.physics.meshing.meshes import CLOSED_HOLES, Surface, read_parts, read_surface, scaled_m
from sfxgen.physics.meshing.sheets import Sheet, of_both_sides, of_wall
from sfxgen.physics.meshing.tetrahedra import FEWEST_LAYERS, USUAL_DOFS, Solid, TooSlender, TooThin, filled, most_dofs
from sfxgen.physics.meshing.tetwild import filled_by_tetwild
from sfxgen.physics.meshing.triangles import enclosed, thickness
from sfxgen.physics.modal import families
from sfxgen.physics.modal.elements import Unsolvable, volume_of
from sfxgen.physics.modal.families import ModeFamily, centre
from sfxgen.physics.modal.meshed import N_SPOTS, family_of_shell, family_of_solid
from sfxgen.physics.modal.mixtures import Apart, Ingredient, Mixture, side_by_side
from sfxgen.physics.modal.modes import N_MODES
from sfxgen.physics.modal.shapes import Array, Body

VERSION = "8"  # part of the cache key: raise it when the same file would give other modes
LOST = 0.02  # share of the volume whose loss is worth a word
USUAL_WALL = 1 / 60  # of the second side: the wall of an open surface for which none is written
FEWEST_DOFS = 3_000  # of each part, where there are many
MOST_PARTS = 64
FINER = 3  # times as many unknowns for what comes apart
SURELY, FINEST = 1.2, 4  # times those that resolve the mean wall; up to so many times the usual ones are taken
LONGEST = 4_000  # times as long as thick a wire may be
PIECE = 1 / 40  # of the longest side: pieces of the skin whose nearest is looked for
THIN = 1 / 10  # of the second side: up to that, a wall is a shell; a thicker one is filled with tetrahedra
THINNEST = 1 / 10_000  # of the longest side; at a tenth of it rounding raises the lowest modes by a tenth
SINGLE = 1e-6  # relative: what single precision may be off by
_HEADER = struct.Struct("<I")


@dataclass(frozen=True)
class Source:
    """A mesh file as a manifest names it. name: the path as messages say it; wall_m 0: solid. others: materials of
    parts by their names, for those that are not of the body's own; apart: its parts ring by themselves."""

    path: Path
    name: str
    wall_m: float = 0.0
    unit: str = "m"
    size_m: float | None = None
    others: tuple[tuple[str, Ingredient], ...] = ()
    apart: bool = False
    mesher: str = "lattice"

    @property
    def is_mixed(self) -> bool:
        """Whether its modes hold for its very materials only, not for a band of Poisson ratios: those of several, or of
        parts that ring apart."""
        return bool(self.others) or self.apart


@dataclass(frozen=True)
class Note:
    """What a person should know of a mesh, whatever its size and its file's name. text: with {name} and, where it has a
    wall, {wall_mm}; wall: over the longest side."""

    text: str
    wall: float = 0.0

    def said(self, name: str, size_m: float) -> str:
        """Of a file of that name, its longest side size_m."""
        return self.text.format(name=name, wall_mm=f"{1000 * self.wall * size_m:.3g}")


@dataclass(frozen=True)
class Found:
    """What solving a mesh file gives. body, family: relative to its longest side, which is `longest` in the file's own
    numbers. is_shell, n_cells, n_dofs: of the solve. notes: for a person."""

    family: ModeFamily
    body: Body
    longest: float
    is_shell: bool
    n_cells: int
    n_dofs: int
    notes: tuple[Note, ...]

    def to_bytes(self) -> bytes:
        """A JSON head, then the modes; equal ones give equal bytes."""
        head = json.dumps(
            {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("body", "family", "notes")}
            | {"body": asdict(self.body), "notes": [asdict(note) for note in self.notes]}
        ).encode()
        return _HEADER.pack(len(head)) + head + self.family.to_bytes()

    @staticmethod
    def from_bytes(data: bytes) -> Found:
        (length,) = _HEADER.unpack_from(data)
        end = _HEADER.size + length
        head = json.loads(data[_HEADER.size : end])
        body = Body(**(head["body"] | {"size": tuple(head["body"]["size"])}))
        notes = tuple(Note(**note) for note in head["notes"])
        return Found(ModeFamily.from_bytes(data[end:]), **(head | {"body": body, "notes": notes}))


def key(source: Source, poisson: float, panels: bool = False, n_modes: int = N_MODES, dofs: int = USUAL_DOFS) -> str:
    """Names the result of `solve` with these in a cache, by the file's content; a solid's serves every size, and
    either a band of ratios about `poisson`, unless it is mixed. Raises MeshUnusable."""
    try:
        files = [source.path, *(source.path.parent / name for name in buffers(source.path))]
        content = "/".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MeshUnusable(f"cannot read {source.name}: {reason}; expected a mesh file; check its path") from error
    wall = (source.wall_m, source.unit, source.size_m) if source.wall_m else ()
    mixed = (poisson, source.others, source.apart) if source.is_mixed else ()
    options = (source.path.suffix.lower(), wall, *(mixed or (centre(poisson),)), n_modes, dofs)
    mesher = "" if source.mesher == "lattice" else f"/{source.mesher}"
    return f"solid-{VERSION}.{families.VERSION}/{content}/{options!r}{'/panels' * panels}{mesher}"


@dataclass(frozen=True)
class Wanted:
    """What of a body: how many modes, by about how many unknowns, with the panels of its skin or not; tell: is told how
    the solve goes on."""

    n_modes: int = N_MODES
    dofs: int = USUAL_DOFS
    panels: bool = False
    tell: Callable[[str], None] = untold


def solve(
    source: Source, poisson: float, n_modes: int = N_MODES, dofs: int = USUAL_DOFS, panels: bool = False,
    tell: Callable[[str], None] = untold,
) -> Found:  # fmt: skip
    """The lowest modes of the file's body, free and of isotropic material, at ratios about 0 <= poisson < 0.5, or of a
    mixed one at that very ratio; with the panels of its skin if these are asked for. tell: is told how it goes on.
    Raises MeshUnusable."""
    wanted = Wanted(n_modes, dofs, panels, lambda text: tell(f"{source.name}: {text}"))
    surface = read_surface(source.path, source.name)
    longest = float(surface.extent.max())
    size_m, _ = scaled_m(longest, source.name, source.unit, source.size_m)
    kinds = Kinds.of(source, poisson) if source.is_mixed else None
    try:
        if kinds and source.apart:
            return _apart(surface, source, size_m, kinds, wanted)
        return _of_surface(surface, source, size_m, poisson if kinds else centre(poisson), wanted, kinds)
    except Unsolvable as error:
        raise MeshUnusable(
            f"{source.name} hangs together by so little that its modes cannot be found; expected a body or a surface "
            "in one piece; mend it, or write parts: apart if it is several"
        ) from error


@dataclass(frozen=True)
class Kinds:
    """The parts of a file and what to call each, the number of each one's material, and these, the body's own being the
    first."""

    parts: tuple[Surface, ...]
    names: tuple[str, ...]
    material: tuple[int, ...]
    ingredients: tuple[Ingredient, ...]

    @staticmethod
    def of(source: Source, poisson: float) -> Kinds:
        """Raises MeshUnusable for a name that no part has, or for too many parts."""
        parts = read_parts(source.path, source.name)
        known = sorted({name for names, _ in parts for name in names})
        for name, _ in source.others:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                cure = f"; did you mean '{near[0]}'?" if near else ""
                raise MeshUnusable(f"{source.name} has no part '{name}'; expected one of {', '.join(known)}{cure}")
        if source.apart and len(parts) > MOST_PARTS:
            raise MeshUnusable(
                f"{source.name} has {len(parts)} parts to ring apart; expected at most {MOST_PARTS}; "
                "write parts: joined"
            )
        own = [next((i + 1 for i, (other, _) in enumerate(source.others) if other in names), 0) for names, _ in parts]
        ingredients = (Ingredient(1.0, 1.0, poisson), *(other for _, other in source.others))
        count = Counter(name for names, _ in parts for name in names)
        own_names = (next((name for name in names if count[name] == 1), names[0]) for names, _ in parts)
        return Kinds(tuple(surface for _, surface in parts), tuple(own_names), tuple(own), ingredients)

    def mixture(self, places: Array, longest: float) -> Mixture:
        """Of elements at places [n, 3], relative to the longest side: of the part that each is in, or nearest to; of
        several, of the one whose material was named first, and of the body's own last."""
        last = len(self.ingredients)
        order = sorted(range(len(self.parts)), key=lambda i: self.material[i] or last)
        parts = [self.parts[i] for i in order]
        inside = np.array([winding_at(longest * places, part.triangles) > 0.5 for part in parts])
        owner = inside.argmax(axis=0)
        lost = ~inside.any(axis=0)
        if lost.any():
            pieces = [split(part.triangles, PIECE * longest) for part in parts]
            away = [Distance(each).nearest(longest * places[lost])[1] for each in pieces]
            owner[lost] = np.round(np.array(away) / longest, 9).argmin(axis=0)  # the first of equal ones
        return Mixture(np.array(self.material)[order][owner], self.ingredients)


def _apart(surface: Surface, source: Source, size_m: float, kinds: Kinds, wanted: Wanted) -> Found:
    """Parts that do not touch, each solved by itself."""
    longest = float(surface.extent.max())
    lengths = [float(part.extent.max()) / longest for part in kinds.parts]
    each = replace(wanted, dofs=max(FEWEST_DOFS, wanted.dofs // len(lengths)), panels=False)
    found = [
        _of_surface(
            part,
            replace(source, name=f"part '{name}' of {source.name}"),
            size_m * length,
            centre(kinds.ingredients[own].poisson),
            each,
        )
        for part, name, length, own in zip(kinds.parts, kinds.names, lengths, kinds.material, strict=True)
    ]
    parts = [Apart(one.family, length, own) for one, length, own in zip(found, lengths, kinds.material, strict=True)]
    family = side_by_side(parts, kinds.ingredients, wanted.n_modes, N_SPOTS)
    skin = [length**2 * float(one.family.skin_area) for one, length in zip(found, lengths, strict=True)]
    thickness = np.average([one.body.thickness * r for one, r in zip(found, lengths, strict=True)], weights=skin)
    body = Body("mesh", tuple(float(f"{s:.12g}") for s in surface.extent / longest), float(f"{thickness:.12g}"))
    notes = tuple(
        dict.fromkeys(
            replace(note, wall=length * note.wall)
            for one, length in zip(found, lengths, strict=True)
            for note in one.notes
        )
    )
    cells, unknowns = sum(one.n_cells for one in found), sum(one.n_dofs for one in found)
    return Found(family, body, longest, all(one.is_shell for one in found), cells, unknowns, notes)


def _of_surface(
    surface: Surface, source: Source, size_m: float, poisson: float, wanted: Wanted, kinds: Kinds | None = None
) -> Found:
    """The modes of what hangs together, size_m long."""
    longest = float(surface.extent.max())
    _need_body(surface, source)
    kit = _kit(surface, source, wanted.dofs)
    sheet, notes = _sheet(surface, source, size_m) if kit is None or kit.lost > LOST else (None, [])
    sides = tuple(float(f"{s:.12g}") for s in surface.extent / longest)
    if sheet:
        shell = sheet.facets
        _need_thickness(float(shell.walls.mean()), source.name, size_m)
        mixture = kinds.mixture(shell.points[shell.faces].mean(axis=1), longest) if kinds else None
        family = family_of_shell(shell, poisson, wanted.n_modes, wanted.panels, mixture, wanted.tell)
        thickness, n_cells, n_dofs = float(shell.walls.mean()), len(shell.faces), 6 * len(shell.points)
        if source.mesher == "tetwild":
            notes.append(
                Note("{name} is thin or open and rings as a shell: mesher: tetwild, which fills, changes nothing")
            )
    else:
        wanted.tell("filled with tetrahedra")
        solid, notes = _solid(surface, source, size_m, wanted, kit)
        middles = solid.part.nodes[:, solid.part.cells[:4]].mean(axis=1).T
        mixture = kinds.mixture(middles, longest) if kinds else None
        family = family_of_solid(solid.part, poisson, wanted.n_modes, wanted.panels, mixture, wanted.tell)
        n_cells, n_dofs = solid.part.cells.shape[1], 3 * solid.part.n_unknowns
        # Four volumes over the skin are the diameter of a rod: what bends, in a body that no single side describes.
        rod = 4 * volume_of(solid.part) / float(family.skin_area)
        thickness = source.wall_m / size_m or min(rod, *sides) or rod
    body, notes = Body("mesh", sides, thickness), [*map(Note, surface.notes), *notes]
    return Found(family, body, longest, sheet is not None, n_cells, n_dofs, tuple(notes))


def _sheet(surface: Surface, source: Source, size_m: float) -> tuple[Sheet | None, list[Note]]:
    """The surface, scaled to a longest side of 1, as a shell, None for what is better solid; what is to be said of it.
    size_m: that side's length."""
    longest = float(surface.extent.max())
    points, faces, is_open = surface.points / longest, surface.faces, surface.holes > CLOSED_HOLES
    across = float(np.sort(surface.extent)[1]) / longest
    wall = source.wall_m / size_m
    sheet, notes = None, list[Note]()
    if wall:
        sheet = of_wall(points, faces, wall) if wall <= _thickest(surface) else None
    elif is_open or _is_thin(surface):
        sheet = of_both_sides(points, faces, not is_open)
        if sheet is None and is_open:
            wall = USUAL_WALL * across
            text = (
                f"{{name}} is open: {min(surface.holes, 1):.0%} of its surface is missing, so it rings as a wall of "
                "{wall_mm} mm; write wall_m, the thickness of its wall"
            )
            notes.append(Note(text, wall))
            sheet = of_wall(points, faces, wall)
    if sheet and sheet.lost > LOST:
        text = f"{{name}} has loose parts: the largest rings, and {sheet.lost:.0%} of the surface was left out"
        notes.append(Note(text))
    return sheet, notes


def _need_body(surface: Surface, source: Source) -> None:
    """Raises MeshUnusable for a wire so long that its modes would be what rounding makes of them."""
    if surface.holes > 0 or source.wall_m:
        return
    length = float(np.linalg.norm(surface.extent))
    thick = float(np.sqrt(abs(enclosed(surface.triangles)) / length))
    if 0 < LONGEST * thick < length:
        raise MeshUnusable(
            f"{source.name} is {length / thick:,.0f} times as long as thick; expected at most {LONGEST:,} times; make "
            "it thicker or shorter"
        )


def _need_thickness(wall: float, name: str, size_m: float) -> None:
    """Raises MeshUnusable for what bends so easily that rounding stiffens it. wall: over the longest side."""
    if wall < THINNEST:
        raise MeshUnusable(
            f"{name} is {size_m:.3g} m long with a wall of {1000 * wall * size_m:.2g} mm, too thin to be solved; "
            f"write wall_m, {ceiled(THINNEST * size_m, 2)} at least"
        )


def _thickest(surface: Surface) -> float:
    """Wall of a shell, over the longest side, at the most. Sizes in a file may be of single precision."""
    return THIN * float(np.sort(surface.extent)[1]) / float(surface.extent.max()) * (1 + SINGLE)


def _is_thin(surface: Surface) -> bool:
    """Whether the usual lattice cannot resolve what bends in a closed body."""
    return _resolving(surface) > USUAL_DOFS


def _resolving(surface: Surface) -> float:
    """About the unknowns of a lattice that resolves what bends in a closed body: twice its volume over its skin."""
    return 60 * abs(enclosed(surface.triangles)) * (FEWEST_LAYERS / abs(thickness(surface.triangles))) ** 3


def _kit(surface: Surface, source: Source, dofs: int) -> Solid | None:
    """The surface, scaled to a longest side of 1, as parts put together, where they are and one is so thin that a
    lattice for all would lose it."""
    parts = None
    if not source.wall_m and source.mesher == "lattice":
        parts = parts_of(surface.points / float(surface.extent.max()), surface.given)
    if parts is None:
        return None
    resolved = FEWEST_LAYERS * float(np.cbrt(60 * sum(enclosed(part) for part in parts) / dofs))
    return filled_kit(parts, dofs) if min(thickness(part) for part in parts) < resolved else None


def _solid(
    surface: Surface, source: Source, size_m: float, wanted: Wanted, kit: Solid | None
) -> tuple[Solid, list[Note]]:
    """The surface, scaled to a longest side of 1, filled; and what is to be said of it. size_m: that side's length;
    kit: as its parts fill it, where they do."""
    name, notes = source.name, list[Note]()
    if not source.wall_m and surface.holes > 0:
        notes.append(Note("{name} has small holes and was taken as closed; where it is hollow, write wall_m"))
    try:
        solid = kit if kit and kit.lost <= LOST else _filled(surface, source, size_m, wanted, kit)
    except TooThin as error:  # such walls are shells
        raise MeshUnusable(
            f"{name} has a wall of {source.wall_m:g} m about a surface too intricate for it; expected at most "
            f"{floored(_thickest(surface) * size_m, 2)}"
        ) from error
    except TooSlender as error:
        raise MeshUnusable(
            f"{name} is too thin for its length: a lattice as fine as it is thick would not fit into 4 GB; expected at "
            "most some 1,000 times as long as thick; make it thicker or shorter"
        ) from error
    except ValueError as error:
        raise MeshUnusable(
            f"{name} encloses no volume; expected a solid, or wall_m, the thickness of its wall"
        ) from error
    if solid.lost > LOST:
        text = f"{{name}} has loose parts: the largest rings, and {solid.lost:.0%} of the volume was left out"
        notes.append(Note(text))
    return solid, notes


def _filled(surface: Surface, source: Source, size_m: float, wanted: Wanted, kit: Solid | None) -> Solid:
    """By one lattice, or as a kit if that loses no more."""
    triangles = surface.triangles / float(surface.extent.max())
    dofs, most = wanted.dofs, most_dofs(wanted.n_modes)
    if source.mesher == "tetwild" and not source.wall_m:
        return filled_by_tetwild(triangles, dofs, source.name)
    enough = round(SURELY * _resolving(surface))
    if not source.wall_m and dofs < enough <= min(FINEST * dofs, most):
        dofs = enough
    solid = filled(triangles, source.wall_m / size_m, dofs, most)
    if solid.lost <= LOST or source.wall_m:
        return solid
    # What is thinner than a cube of the lattice came apart.
    finer = kit or filled(triangles, 0.0, min(FINER * dofs, most), most)
    return finer if finer.lost < solid.lost + LOST else solid
