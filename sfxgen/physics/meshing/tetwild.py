"""Tetrahedra by fTetWild (Hu et al., "Fast Tetrahedral Meshing in the Wild", 2020), by way of pytetwild, MPL-2.0.

It takes any soup of triangles and follows every detail, at many times the seconds of our lattice; its results differ
from run to run, so that the modes that the cache keeps are those of the first. An option: nothing needs it.
"""

from __future__ import annotations

import contextlib
import tempfile

import numpy as np

from sfxgen.errors import MeshUnusable
from sfxgen.physics.meshing.stuffing import Tetrahedra
from sfxgen.physics.meshing.tetrahedra import Level, Solid, curved
from sfxgen.physics.meshing.triangles import enclosed, unique_points
from sfxgen.physics.modal.shapes import Array

DOFS_A_CUBE = 30.0  # of second order, in a cube whose side is the length of an edge


def filled_by_tetwild(triangles: Array, dofs: int, name: str) -> Solid:
    """Second-order tetrahedra in the body that triangles [n, 3, 3] bound, of about so many degrees of freedom. Raises
    MeshUnusable, with `name`, where pytetwild is not installed, fails or fills nothing."""
    try:
        import pytetwild
    except ImportError as error:
        raise MeshUnusable(
            f"{name} asks for mesher: tetwild, which is not installed; `pip install 'sfxgen[tetwild]'` installs it, "
            "mesher: lattice needs nothing"
        ) from error
    points, corners = unique_points(triangles.reshape(-1, 3))
    edge = float(np.cbrt(DOFS_A_CUBE * abs(enclosed(triangles)) / dofs))
    faces = corners.reshape(-1, 3).astype(np.int32)
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # it leaves files where it is called
            places, cells = pytetwild.tetrahedralize(points, faces, edge_length_abs=edge, num_threads=1)
    except Exception as error:  # it raises whatever the surface makes of it
        raise MeshUnusable(
            f"{name} was not filled by tetwild ({type(error).__name__}: {error}); expected a surface that encloses a "
            "volume; or write mesher: lattice"
        ) from error
    if not len(cells):
        raise MeshUnusable(f"{name} was not filled by tetwild; expected a surface that encloses a volume")
    cells = np.asarray(cells, dtype=np.int64)[:, [0, 2, 1, 3]]  # ours have a positive volume
    mesh = Tetrahedra(np.asarray(places, dtype=np.float64), cells, np.zeros(len(places), dtype=bool))
    return Solid(curved(mesh, Level(triangles, 0.0, edge)), edge, 0.0)
