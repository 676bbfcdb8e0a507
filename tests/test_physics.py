"""The finite elements, the contact and the strike, held against closed forms and other people's code."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import skfem
from beams import nearest_error, roots, timoshenko
from scipy.integrate import quad, solve_ivp
from scipy.linalg import eigh
from scipy.sparse.linalg import spsolve
from scipy.special import spherical_jn
from skfem.helpers import ddot, dot, eye, sym_grad, trace

from sfxgen.manifest.materials import MATERIALS
from sfxgen.physics import strike
from sfxgen.physics.air import SOUND_SPEED_M_S
from sfxgen.physics.contact import contact, pulse_spectrum
from sfxgen.physics.modal import modes as modal_analysis
from sfxgen.physics.modal.elements import Factors, assembled, lowest_by
from sfxgen.physics.modal.families import ModeFamily, ascending
from sfxgen.physics.modal.modes import family, solve
from sfxgen.physics.modal.shapes import Array, Body, mesh

BODIES = [
    Body("bar", (1.0, 0.1, 0.02)),
    Body("plate", (1.0, 0.7, 0.01)),
    Body("box", (1.0, 0.8, 0.6)),
    Body("box", (1.0, 0.8, 0.6), 0.02),
    Body("sphere", (1.0,)),
    Body("cylinder", (1.0, 6.0)),
    Body("cylinder", (1.0, 0.1)),
    Body("tube", (1.0, 8.0), 0.05),
    Body("bowl", (1.0, 0.5), 0.02),
    Body("bell", (1.0, 0.8), 0.04),
]
NAMES = [f"{body.shape}-{i}" for i, body in enumerate(BODIES)]


# --- frequencies ----------------------------------------------------------------------------------------------------


def test_modes_of_one_frequency_stay_in_order_whatever_the_rounding() -> None:
    """Else which of a pair comes first, and with it the sound, would differ from processor to processor."""
    eigenvalues = np.array([7.0, 3.0, 1.0, 3.0, -1e-14, 2e-14])
    for seed in range(20):
        rounded = eigenvalues * (1 + 1e-12 * np.random.default_rng(seed).standard_normal(6))
        order = ascending(rounded)
        assert order[2:].tolist() == [2, 1, 3, 0]


def test_the_bending_modes_of_a_steel_bar_are_timoshenkos() -> None:
    """300 × 20 × 15 mm: the first six in each plane, within 0.5 %; Cowper's shear factor for a rectangle."""
    poisson = 0.29
    found = solve(Body("bar", (1.0, 20 / 300, 15 / 300)), poisson).omega
    cowper = 10 * (1 + poisson) / (12 + 11 * poisson)
    for side in (20 / 300, 15 / 300):
        assert nearest_error(found, timoshenko(1.0, side / np.sqrt(12), cowper, poisson, 6)) < 0.005


@pytest.mark.parametrize(
    ("body", "radius"),  # of gyration
    [
        (Body("cylinder", (1.0, 400.0)), 1 / 1600),
        (Body("bar", (1.0, 1e-3, 1e-3)), 1e-3 / np.sqrt(12)),
        (Body("box", (1.0, 1 / 200, 1 / 200), 0.3 / 200), np.sqrt((1 + 0.16) / 12) / 200),
    ],
    ids=["wire", "needle", "hollow rod"],
)
def test_slender_bodies_bend_as_euler_and_bernoulli_say(body: Body, radius: float) -> None:
    """Within 2 % up to a thousand times as long as thick, where the lowest modes are lost in rounding unless care is
    taken."""
    found = solve(body, 0.29, 8).omega[:4] * body.size[-1 if body.shape == "cylinder" else 0]
    np.testing.assert_allclose(found / radius, [22.3733, 22.3733, 61.6728, 61.6728], rtol=0.02)


def test_a_free_square_plate_has_the_frequencies_of_ritz() -> None:
    """h / a = 0.01, ν = 0.3: ω a² √(ρ h / D) of the first ten modes, in their order, within 1.5 %."""
    ritz = np.array([13.468, 19.596, 24.270, 34.801, 34.801, 61.093, 61.093, 63.686, 69.265, 77.172])
    found = solve(Body("plate", (1.0, 1.0, 0.01)), 0.3).omega[:10]
    np.testing.assert_allclose(found * np.sqrt(12 * (1 - 0.3**2)) / 0.01, ritz, rtol=0.015)


def test_a_ball_has_lambs_frequencies_with_their_multiplicities() -> None:
    """ω R / c_s of a steel ball within 1 %: five torsional modes of degree 2, then 5, 3, 7 and 7."""
    poisson = 0.29
    torsional = [
        roots(lambda x, n=n: (n - 1) * spherical_jn(n, x) - x * spherical_jn(n + 1, x), 0.5, 8, 1)[0]  # type: ignore[misc]
        for n in (2, 3)
    ]
    expected = [torsional[0]] * 5 + [2.645] * 5 + [3.510] * 3 + [torsional[1]] * 7 + [3.933] * 7
    found = solve(Body("sphere", (1.0,)), poisson).omega[: len(expected)] / 2 * np.sqrt(2 * (1 + poisson))
    np.testing.assert_allclose(found, expected, rtol=0.01)


def test_a_rod_twists_and_stretches_as_it_should() -> None:
    """Torsion n π c_s / L exactly; stretching n π c_0 / L less a little for the rod's width (Rayleigh)."""
    length, poisson = 10.0, 0.3
    found = solve(Body("cylinder", (1.0, length)), poisson).omega
    n = np.arange(1, 4)
    shear_speed = np.sqrt(1 / (2 * (1 + poisson)))
    assert nearest_error(found, list(n * np.pi / length * shear_speed)) < 0.001
    rayleigh = n * np.pi / length * (1 - (poisson * n * np.pi * 0.5 / length) ** 2 / 4)
    assert nearest_error(found, list(rayleigh)) < 0.002
    assert nearest_error(found, timoshenko(length, 0.25, 0.9, poisson, 4)) < 0.005


def test_a_thin_disc_has_the_frequencies_of_leissa_and_narita() -> None:
    """Free circular plate, ν = 0.3, ω R² √(ρ h / D): 5.358 twice, 9.003, 12.439 twice (1980)."""
    found = solve(Body("cylinder", (1.0, 0.01)), 0.3).omega[:5]
    scaled = found * 0.5**2 * np.sqrt(12 * (1 - 0.3**2)) / 0.01
    np.testing.assert_allclose(scaled, [5.358, 5.358, 9.003, 12.439, 12.439], rtol=0.01)


def test_a_thin_ring_and_a_thin_tube_go_oval_as_rayleigh_says() -> None:
    """ω² = E h² n² (n² - 1)² / (12 ρ R⁴ (n² + 1)) for a ring; a long wall is stiffer by 1 / (1 - ν²)."""
    wall, poisson = 0.01, 0.3
    radius = 0.5 - wall / 2
    n = np.array([2, 3])
    ring = wall / np.sqrt(12) / radius**2 * n * (n**2 - 1) / np.sqrt(n**2 + 1)
    assert nearest_error(solve(Body("tube", (1.0, 0.03), wall), poisson).omega, list(ring)) < 0.01
    long = solve(Body("tube", (1.0, 2.0), wall), poisson).omega
    assert nearest_error(long, list(ring / np.sqrt(1 - poisson**2))) < 0.01


def test_a_thin_hemisphere_has_rayleighs_tones() -> None:
    """Inextensional modes of a hemispherical shell (Theory of Sound, § 235): 1 : 2.810 : 5.43, absolute within 4 %.

    Rayleigh's quotient of u = v = sin θ tan^n(θ/2), w = -(n + cos θ) tan^n(θ/2); a real shell, whose rim can
    also stretch, lies below it, the less the thinner.
    """
    wall, poisson = 0.004, 0.3
    found = solve(Body("bowl", (1.0, 0.5), wall), poisson).omega
    expected = []
    for n in (2, 3, 4):
        bending = quad(lambda t, n=n: np.tan(t / 2) ** (2 * n) / np.sin(t) ** 3, 0, np.pi / 2)[0]
        motion = quad(
            lambda t, n=n: np.tan(t / 2) ** (2 * n) * (2 * np.sin(t) ** 2 + (n + np.cos(t)) ** 2) * np.sin(t),
            0,
            np.pi / 2,
        )[0]
        rigidity = wall**2 / (3 * (1 + poisson))  # 2/3 of the shear modulus by h²
        expected.append(np.sqrt(rigidity * n**2 * (n**2 - 1) ** 2 * bending / motion) / (0.5 - wall / 2) ** 2)
    assert np.allclose(np.array(expected[1:]) / expected[0], [2.8102, 5.4316], rtol=1e-3)
    assert nearest_error(found, expected) < 0.04


def test_the_error_shrinks_with_the_mesh() -> None:
    """Of a bowl's twelve lowest modes, against a mesh three times as fine: doubling the cells leaves under a third."""
    first, second, third = (
        solve(Body("bowl", (1.0, 0.5), 0.02, fineness), 0.3, 24).omega[:12] for fineness in (1.0, 2.0, 3.0)
    )
    assert np.abs(first / third - 1).max() < 0.03
    assert np.abs(second / third - 1).max() < np.abs(first / third - 1).max() / 3


@pytest.mark.parametrize(
    ("body", "fineness"),
    [
        (Body("bar", (1.0, 0.1, 0.05)), (1.0, 2.0, 3.0)),
        (Body("plate", (1.0, 1.0, 0.1)), (1.0, 2.0, 3.0)),
        (Body("sphere", (1.0,)), (0.5, 1.0, 2.0)),
    ],
    ids=["bar", "plate", "sphere"],
)
def test_eigenvalues_converge_with_the_fourth_power_of_the_cells(body: Body, fineness: tuple[float, ...]) -> None:
    """Elements of order p err as h^{2p} (Strang & Fix 1973, chapter 6), so ours of second order as h⁴: the median of
    six modes, from halving the sides of all cells."""
    coarse, fine, exact = (solve(dataclasses.replace(body, fineness=f), 0.3, 12).omega[:6] ** 2 for f in fineness)
    order = np.log2(np.abs(coarse / exact - 1) / np.abs(fine / exact - 1))
    assert 3.5 < np.median(order) < 4.6


def test_stiffness_and_mass_are_those_of_scikit_fem() -> None:
    """Free vibration of a small block, assembled by scikit-fem's own forms: the same eigenvalues."""
    poisson, body = 0.3, Body("box", (1.0, 0.5, 0.25), fineness=0.5)
    part = mesh(body)
    K, M, _ = assembled(part, poisson)
    counts = [len(np.unique(part.nodes[axis, part.cells[:8]].round(9))) for axis in range(3)]
    block = skfem.MeshHex.init_tensor(*(np.linspace(0, s / 2, n) for s, n in zip(body.size, counts, strict=True)))
    element = skfem.ElementVector(skfem.ElementHexS2())
    lame, shear = poisson / ((1 + poisson) * (1 - 2 * poisson)), 1 / (2 * (1 + poisson))

    @skfem.BilinearForm
    def elasticity(u, v, _):  # type: ignore[no-untyped-def]
        strain = sym_grad(u)
        return ddot(lame * eye(trace(strain), 3) + 2 * shear * strain, sym_grad(v))

    @skfem.BilinearForm
    def inertia(u, v, _):  # type: ignore[no-untyped-def]
        return dot(u, v)

    K_theirs = elasticity.assemble(skfem.Basis(block, element, intorder=3))
    M_theirs = inertia.assemble(skfem.Basis(block, element, intorder=5))
    ours = eigh(K.toarray(), M.toarray(), eigvals_only=True)
    theirs = eigh(K_theirs.toarray(), M_theirs.toarray(), eigvals_only=True)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9)


# --- shapes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", BODIES, ids=NAMES)
def test_the_six_rigid_motions_cost_no_energy_and_nothing_else_is_free(body: Body) -> None:
    """Rigid motions of every mesh lie under 1 Hz for steel of 10 cm, and the first mode kept is an elastic one."""
    part = mesh(body)
    K, M, _ = assembled(part, 0.3)
    turns = [np.cross(np.eye(3)[axis], part.nodes.T) for axis in range(3)]
    shifts = [np.broadcast_to(np.eye(3)[axis], part.nodes.T.shape) for axis in range(3)]
    to_hz = 5048 / 0.1 / (2 * np.pi)
    for motion in (m.ravel() for m in turns + shifts):
        assert np.sqrt(abs(motion @ (K @ motion)) / (motion @ (M @ motion))) * to_hz < 1
    lowest = solve(body, 0.3).omega[0]
    assert lowest > 0.5 * body.thickness / max(body.extent) ** 2


@pytest.mark.parametrize("body", BODIES[:-1], ids=NAMES[:-1])
def test_modes_tell_the_volume_and_the_skin_of_the_body(body: Body) -> None:
    """By the textbook's formulas; the bell, last of the list, has none."""
    wall, d = body.wall, 1.0
    length = body.size[-1]
    volume: float
    area: float
    if body.shape in ("bar", "plate", "box"):
        volume = float(np.prod(body.size)) - (float(np.prod([s - 2 * wall for s in body.size])) if wall else 0)
        outer = 2 * sum(a * b for a, b in itertools.combinations(body.size, 2))
        inner = 2 * sum(a * b for a, b in itertools.combinations([s - 2 * wall for s in body.size], 2)) if wall else 0
        area = outer + inner
    elif body.shape == "sphere":
        volume, area = np.pi / 6, np.pi
    elif body.shape in ("cylinder", "tube"):
        bore = d - 2 * wall if wall else 0.0
        volume = np.pi / 4 * (d**2 - bore**2) * length
        area = np.pi * (d + bore) * length + np.pi / 2 * (d**2 - bore**2)
    else:
        volume = 2 / 3 * np.pi * (0.5**3 - (0.5 - wall) ** 3)
        area = 2 * np.pi * (0.5**2 + (0.5 - wall) ** 2) + np.pi * (0.5**2 - (0.5 - wall) ** 2)
    modes = solve(body, 0.3, 8)
    assert float(modes.volume) == pytest.approx(volume, rel=2e-3)
    assert float(modes.skin_area) == pytest.approx(area, rel=2e-3)


def test_bending_modes_move_a_bars_ends_by_twice_the_mean() -> None:
    """A slender free bar's bending mode has |w| = 2 at its ends where the mean square is 1 (Euler), for unit mass."""
    modes = solve(Body("bar", (1.0, 0.03, 0.01)), 0.3)
    first = int(np.abs(modes.omega - timoshenko(1.0, 0.01 / np.sqrt(12), 0.85, 0.3, 1)[0]).argmin())
    ends = np.abs(modes.shapes[modes.reach > 1 - 1e-9, first]) * np.sqrt(float(modes.volume))
    np.testing.assert_allclose(ends, 2.0, rtol=0.02)


def test_a_strike_on_a_node_line_silences_the_mode() -> None:
    """In the middle of a bar all modes odd along it have a node: silent there to rounding, loud elsewhere."""
    body = Body("bar", (1.0, 0.1, 0.02))
    partials = strike.partials(solve(body, 0.29), body, 0.4, MATERIALS["steel"], 1.0, 48_000)
    middle = np.abs(partials.gain[partials.reach < 1e-9]).max(axis=0)
    anywhere = np.abs(partials.gain).max(axis=0)
    silent = middle < 1e-6 * anywhere
    frequency = timoshenko(1.0, 0.02 / np.sqrt(12), 0.85, 0.29, 4)
    scale = MATERIALS["steel"].bar_speed_m_s / 0.4 / (2 * np.pi)
    found = [bool(silent[np.abs(partials.frequency_hz - f * scale).argmin()]) for f in frequency]
    assert found == [False, True, False, True]


def test_swapping_striker_and_listener_changes_nothing() -> None:
    """The response at B to a force at A equals that at A to a force at B, and both equal the sum over the modes."""
    body = Body("box", (1.0, 0.5, 0.25), fineness=0.6)
    part = mesh(body)
    K, M, _ = assembled(part, 0.3)
    free = modal_analysis._free_dofs(part.nodes, body.mirrors, (1, 1, 1))
    n = len(free) // 2
    stiff, heavy = K[free][:, free].tocsc(), M[free][:, free].tocsc()
    eigenvalues, vectors = lowest_by(Factors((stiff + heavy).tocsc()), heavy, 1.0, n)
    a, b = int(free[len(free) // 5]), int(free[-3])
    omega = 0.4 * float(np.sqrt(eigenvalues[0]))
    dynamic = (K - omega**2 * M)[free][:, free].tocsc()
    force = np.zeros((len(free), 2))
    force[np.searchsorted(free, [a, b]), [0, 1]] = 1
    at_b, at_a = spsolve(dynamic, force[:, 0])[free == b], spsolve(dynamic, force[:, 1])[free == a]
    assert at_a[0] == pytest.approx(at_b[0], rel=1e-8)
    rows = np.searchsorted(free, [a, b])
    modal = float((vectors[rows[0]] * vectors[rows[1]] / (eigenvalues - omega**2)).sum())
    assert modal == pytest.approx(at_a[0], rel=0.05)


def test_equal_bodies_give_equal_bytes_that_read_back() -> None:
    body = Body("bowl", (1.0, 0.6), 0.03)
    first, second = family(body, 0.2), family(body, 0.2)
    assert first.to_bytes() == second.to_bytes()
    back = ModeFamily.from_bytes(first.to_bytes())
    np.testing.assert_array_equal(back.at(0.2).shapes, first.at(0.2).shapes)
    assert float(back.volume) == float(first.volume)


# --- size, material, radiation --------------------------------------------------------------------------------------


def test_pitch_goes_with_the_speed_of_sound_over_the_size() -> None:
    body = Body("sphere", (1.0,))
    modes = solve(body, 0.29)
    steel, half_stiff = MATERIALS["steel"], MATERIALS["steel"].model_copy(update={"youngs_gpa": 50.0})
    one = strike.partials(modes, body, 0.4, steel, 1.0, 48_000)
    small = strike.partials(modes, body, 0.8, steel, 1.0, 48_000)
    soft = strike.partials(modes, body, 0.4, half_stiff, 1.0, 48_000)
    n = min(len(one.frequency_hz), 10)
    assert n == 10
    np.testing.assert_allclose(small.frequency_hz[:n], one.frequency_hz[:n] / 2, rtol=1e-12)
    np.testing.assert_allclose(soft.frequency_hz[:n], one.frequency_hz[:n] / 2, rtol=1e-12)
    assert one.mass_kg == pytest.approx(np.pi / 6 * 0.4**3 * 7850, rel=2e-3)


def test_a_large_sheet_sounds_as_many_modes_as_a_plate_has() -> None:
    """Beyond the solved modes the count keeps to the plate's density A √(12 ρ (1 - ν²) / E) / (4 π h) in ω."""
    body, size, steel = Body("plate", (1.0, 0.5, 0.005)), 0.5, MATERIALS["steel"]
    partials = strike.partials(solve(body, steel.poisson), body, size, steel, 1.0, 48_000)
    per_omega = 0.5 * 0.25 * np.sqrt(12 * (1 - steel.poisson**2)) / (4 * np.pi * 0.0025 * steel.bar_speed_m_s)
    expected = per_omega * 2 * np.pi * 20_000
    assert len(partials.frequency_hz) == pytest.approx(expected, rel=0.25)
    assert np.all(np.diff(partials.frequency_hz) >= 0)


def test_radiation_rises_from_a_dipole_to_a_piston() -> None:
    """A ball that moves to and fro: 0 at long waves, 12 dB an octave, 1 at short ones."""
    body = Body("sphere", (1.0,))
    low, octave, high = strike.radiation_efficiency(
        2 * np.pi * np.array([20.0, 40.0, 20_000.0]), body, 0.3, MATERIALS["steel"]
    )
    assert octave / low == pytest.approx(16, rel=0.01)
    assert high == pytest.approx(1, abs=0.01)


def test_the_click_of_a_small_ball_is_the_dipole_of_its_jerk() -> None:
    """Far below k a = 1: p = ρ₀ a³ / (2 c r) · dv̇/dt, directions averaged by 1/√3 (Chadwick et al., 2012)."""
    rate, n, mass, density, impulse, contact_s = 48_000, 4096, 0.0001, 8000.0, 0.01, 0.005
    found = strike.click(mass, density, impulse, contact_s, rate, n)
    t = (np.arange(n) - n // 2) / rate
    phase = np.clip(t / contact_s + 0.5, 0, 1) * np.pi
    force = np.sin(phase) ** 1.5
    force *= impulse / (force.sum() / rate)
    radius = (3 * mass / (4 * np.pi * density)) ** (1 / 3)
    air = strike.AIR_IMPEDANCE / SOUND_SPEED_M_S**2
    expected = air * radius**3 / 2 * np.gradient(force / mass, 1 / rate) / np.sqrt(3)
    assert np.linalg.norm(found - expected) < 0.03 * np.linalg.norm(expected)


# --- contact --------------------------------------------------------------------------------------------------------


def test_hertz_contact_lasts_as_long_as_the_equation_of_motion_says() -> None:
    """m δ̈ = -k δ^{3/2} from δ = 0 at v until δ = 0 again, for an 8 mm steel ball on a steel plate at 1 m/s."""
    steel = MATERIALS["steel"]
    mass = np.pi / 6 * 0.008**3 * steel.density_kg_m3
    touching = contact(steel, steel, 0.004, 0.0, mass, 1e9)

    def motion(_t: float, state: Array) -> list[float]:
        return [state[1], -touching.stiffness / touching.mass_kg * max(state[0], 0.0) ** 1.5]

    def parted(t: float, state: Array) -> float:
        return float(state[0]) if t > 1e-6 else 1.0

    parted.terminal = True  # type: ignore[attr-defined]
    run = solve_ivp(motion, (0, 1e-3), [0.0, 1.0], events=parted, rtol=1e-10, atol=1e-14, max_step=1e-6)
    assert run.t_events is not None
    expected = float(run.t_events[0][0])
    assert float(touching.duration_s(np.array(1.0))) == pytest.approx(expected, rel=1e-3)

    force = touching.stiffness * np.maximum(run.y[0], 0) ** 1.5
    impulse = np.trapezoid(force, run.t)
    assert impulse == pytest.approx(float(touching.impulse_n_s(np.array(1.0), 1.0)), rel=1e-3)
    for cycles in (0.0, 0.5, 1.0, 1.4):  # of the force within one contact: its main lobe ends at about 1.75
        omega = 2 * np.pi * cycles / expected
        measured = abs(np.trapezoid(force * np.exp(-1j * omega * run.t), run.t)) / impulse
        assert float(pulse_spectrum(np.array(omega), np.array(expected))) == pytest.approx(measured, abs=0.02)


def test_the_closed_spectrum_is_the_integral_of_the_pulse() -> None:
    contact_s = 60e-6
    t = np.linspace(-contact_s / 2, contact_s / 2, 400_001)
    pulse = np.cos(np.pi * t / contact_s) ** 1.5
    for hertz in (0.0, 5e3, 15e3, 22e3, 80e3):
        expected = np.trapezoid(pulse * np.cos(2 * np.pi * hertz * t), t) / np.trapezoid(pulse, t)
        assert float(pulse_spectrum(np.array(2 * np.pi * hertz), np.array(contact_s))) == pytest.approx(
            expected, abs=1e-7
        )


def test_contacts_of_any_length_have_a_finite_spectrum() -> None:
    omega = np.concatenate(
        [2 * np.pi * np.geomspace(1, 20_000, 200), np.pi / 1e-3 * np.arange(1.5, 20, 2)]
    )  # zeros too
    spectrum = pulse_spectrum(omega, np.array([[1e-6], [1e-3], [0.5]]))
    assert np.isfinite(spectrum).all()
    assert np.abs(spectrum).max() <= 1 + 1e-9


def test_harder_lighter_sharper_and_faster_mean_shorter() -> None:
    steel, rubber = MATERIALS["steel"], MATERIALS["rubber"]

    def lasts(striker: str, radius_m: float, mass_kg: float, speed: float) -> float:
        return float(contact(MATERIALS[striker], steel, radius_m, 0, mass_kg, 5.0).duration_s(np.array(speed)))

    usual = lasts("steel", 0.01, 0.1, 1.0)
    assert rubber.youngs_gpa < steel.youngs_gpa
    assert lasts("rubber", 0.01, 0.1, 1.0) > 10 * usual
    assert lasts("steel", 0.02, 0.1, 1.0) < usual
    assert lasts("steel", 0.01, 0.2, 1.0) > usual
    assert lasts("steel", 0.01, 0.1, 32.0) == pytest.approx(usual / 2)  # v^{-1/5}
