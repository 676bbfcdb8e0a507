"""The `text` kind from the manifest to the lock, on a library made here; `render`, `report`, `library`, `priors`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import sfxgen
from numpy.typing import NDArray
from small_library import SOUNDS, write_recordings
from sound_measures import centroid_hz

from sfxgen.audio import Audio
from sfxgen.build import build
from sfxgen.errors import EXIT_BAD_INPUT, EXIT_OK, BadInput, ManifestError
from sfxgen.library.add import add_folder
from sfxgen.lock import read_lock
from sfxgen.manifest.choice import Choice, choose
from sfxgen.plan import Planned, plan_project
from sfxgen.priors import open_prior
from sfxgen.report import built_sounds, credited

MANIFEST = """\
version: 1
sounds:
  bell: {text: {}, prompt: a bell rings, variations: 3}
  steam: {text: {steps: 8}, prompt: steam hiss, duration_s: 0.4}
  rumble: {text: {}, prompt: thunder rumble, duration_s: 1.5, loop: true}
"""


@pytest.fixture(scope="module")
def made_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    add_folder(write_recordings(folder), folder / "library", licence="CC-BY-4.0", credit="Ada")
    return folder / "library"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, made_library: Path) -> Path:
    root = project(tmp_path_factory.mktemp("game"), made_library)
    report = build(root, n_workers=1)
    assert report.failed == {}
    assert report.exit_code == EXIT_OK
    return root


def project(root: Path, made_library: Path, manifest: str = MANIFEST) -> Path:
    (root / "sounds").mkdir(parents=True)
    (root / "sounds" / "a.yaml").write_text(manifest)
    (root / "sfxgen.yaml").write_text("engine: plain\nout: out\nprior: ./library\n")
    shutil.copytree(made_library, root / "library")
    return root


def samples(path: Path) -> NDArray[np.float64]:
    read: NDArray[np.float64] = soundfile.read(path, dtype="float64", always_2d=True)[0][:, 0]
    return read


# What comes out


def test_the_prompt_chooses_what_is_heard(built: Path) -> None:
    bell, steam, rumble = (
        centroid_hz(Audio.of(samples(built / "out" / name), 48_000))
        for name in ("bell_01.wav", "steam.wav", "rumble.wav")
    )
    assert rumble < 1_000 < steam
    assert bell < 2_000 < steam


def test_a_bell_has_its_partials(built: Path) -> None:
    """Energy stands in lines: the strongest tenth of the bins holds nearly all."""
    power = np.abs(np.fft.rfft(samples(built / "out" / "bell_01.wav"))) ** 2
    assert np.sort(power)[::-1][: len(power) // 10].sum() > 0.9 * power.sum()


def test_variations_differ_and_last_as_asked(built: Path) -> None:
    takes = [samples(built / "out" / f"bell_0{i}.wav") for i in (1, 2, 3)]
    n = min(map(len, takes))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert abs(np.corrcoef(takes[one][:n], takes[other][:n])[0, 1]) < 0.9
    assert len(samples(built / "out" / "steam.wav")) <= round(0.4 * 48_000) + 1


def test_the_same_manifest_gives_the_same_bytes(
    built: Path, tmp_path: Path, made_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFXGEN_CACHE", str(tmp_path / "cache"))
    again = project(tmp_path / "again", made_library)
    build(again, n_workers=1)
    names = sorted(path.name for path in (built / "out").glob("*.wav"))
    assert len(names) == 5
    for name in names:
        assert (again / "out" / name).read_bytes() == (built / "out" / name).read_bytes(), name


def test_one_take_does_not_depend_on_how_many_there_are(built: Path, tmp_path: Path, made_library: Path) -> None:
    fewer = project(tmp_path / "fewer", made_library, MANIFEST.replace("variations: 3", "variations: 2"))
    (fewer / "sfxgen.yaml").write_text("engine: plain\nout: out\nprior: ./library\nmaster: {loudness_lufs: -60}\n")
    more = project(tmp_path / "more", made_library)
    (more / "sfxgen.yaml").write_text((fewer / "sfxgen.yaml").read_text())
    build(fewer, names=["bell"], n_workers=1)
    build(more, names=["bell"], n_workers=1)
    one, other = samples(fewer / "out" / "bell_01.wav"), samples(more / "out" / "bell_01.wav")
    assert np.corrcoef(one, other)[0, 1] > 0.999


# Provenance


def test_the_lock_names_whose_recordings_they_are(built: Path) -> None:
    locked = read_lock(built).sounds["bell"]
    assert len(locked.credits) >= 2
    assert all("bell_ring" in credit.name for credit in locked.credits[:2])
    assert {(credit.licence, credit.credit) for credit in locked.credits} == {("CC-BY-4.0", "Ada")}
    assert 0.9 < sum(credit.share for credit in locked.credits) <= 1.01
    assert max(credit.share for credit in locked.credits) <= 0.51


def test_credits_are_reported_by_recording(built: Path) -> None:
    of_all = list(credited(built_sounds(built)))
    assert of_all
    assert {name for recording in of_all for name in recording.sounds} == {"bell", "steam", "rumble"}
    said = sfxgen(built, "report", "--credits")
    assert (said.returncode, said.stderr) == (EXIT_OK, "")
    assert "Ada" in said.stdout
    assert "CC-BY-4.0" in said.stdout
    rows = [json.loads(line) for line in sfxgen(built, "report", "bell", "--credits", "--json").stdout.splitlines()]
    assert {name for row in rows for name in row["sounds"]} == {"bell"}


def test_a_report_of_measures_needs_only_the_lock(built: Path, tmp_path: Path) -> None:
    shutil.copy(built / "sfxgen.lock", tmp_path)
    said = sfxgen(tmp_path, "report")
    assert said.returncode == EXIT_OK
    assert "rumble" in said.stdout
    assert sfxgen(tmp_path, "report", "bel").returncode == EXIT_BAD_INPUT


# What makes it stale


def test_another_prompt_or_library_makes_it_stale(built: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(built, root)
    assert plan_project(root).plan.stale == ()
    (root / "sounds" / "a.yaml").write_text(MANIFEST.replace("steam hiss", "steam"))
    assert [(p.job.name, p.reasons) for p in plan_project(root).plan.stale] == [("steam", ("prompt changed",))]
    (root / "sounds" / "a.yaml").write_text(MANIFEST)
    soundfile.write(root / "new.wav", np.sin(np.arange(20_000) / 10), 44_100)
    (root / "more").mkdir()
    shutil.move(root / "new.wav", root / "more" / "new.wav")
    add_folder(root / "more", root / "library")
    stale = plan_project(root).plan.stale
    assert {p.job.name: p.reasons for p in stale} == dict.fromkeys(("bell", "steam", "rumble"), ("prior changed",))


def test_a_checkout_without_the_library_trusts_the_lock(built: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(built, root)
    shutil.rmtree(root / "library")
    assert plan_project(root).plan.stale == ()
    assert sfxgen(root, "build", "--check").returncode == EXIT_OK


# Bare prompts


def bare(prompt: str, tmp_path: Path, settings: str = "") -> Planned:
    """The only sound of a project, whose prompt alone says what it is."""
    (tmp_path / "sounds").mkdir(exist_ok=True)
    (tmp_path / "sounds" / "a.yaml").write_text(f"version: 1\nsounds:\n  a: {prompt}\n")
    (tmp_path / "sfxgen.yaml").write_text(f"engine: plain\n{settings}")
    (planned,) = plan_project(tmp_path).plan.sounds
    return planned


def test_a_bare_prompt_that_no_preset_fits_is_sampled(tmp_path: Path) -> None:
    planned = bare("dog barking", tmp_path)
    assert planned.job.kind == "text"
    assert planned.choice is not None
    assert planned.choice.why.startswith("sampled: the nearest preset, '")
    assert bare("retro laser", tmp_path).job.kind == "fm"


def test_a_prompt_of_unknown_words_gets_a_stand_in(tmp_path: Path) -> None:
    planned = bare("xyzzy qwrtp", tmp_path)
    assert (planned.job.kind, planned.choice is not None and planned.choice.is_stand_in) == ("fm", True)


def test_with_a_pretrained_prior_every_bare_prompt_is_sampled(tmp_path: Path) -> None:
    planned = bare("retro laser", tmp_path, "prior: some/model\n")
    assert planned.job.kind == "text"
    assert planned.choice is not None
    assert planned.choice.why == "sampled from some/model"
    assert planned.job.prior == ("some/model",)


def test_a_choice_is_kept_whichever_way_it_went(built: Path, tmp_path: Path) -> None:
    sampled = Choice("a bell rings", "", "", "sampled: it was so once")
    assert choose("a bell rings", "", sampled) is sampled
    assert choose("a bell rings", "", Choice("a bell rings", "", "", "sampled from some/model")).preset
    assert (
        choose("a bell rings", "", Choice("a bell rings", "", "laser_retro", "it was so once")).preset == "laser_retro"
    )


# What can be wrong


def test_text_needs_a_prompt(tmp_path: Path, made_library: Path) -> None:
    root = project(tmp_path / "game", made_library, "version: 1\nsounds:\n  a: {text: {}}\n")
    with pytest.raises(ManifestError, match=r"sounds/a\.yaml:3:7: sound 'a': text has no prompt to go by"):
        plan_project(root)


@pytest.mark.parametrize(
    ("prior", "said"),
    [
        ("./nowhere", "prior './nowhere': there is no folder .*nowhere; `sfxgen library add` makes a library"),
        ("./sounds", "prior './sounds': .*sounds holds neither library.json .* nor model_index.json"),
        ("[library, some/model]", "prior: 'some/model' cannot stand together with others; only sound libraries can"),
    ],
)
def test_a_prior_that_is_none_is_named(prior: str, said: str, tmp_path: Path, made_library: Path) -> None:
    root = project(tmp_path / "game", made_library)
    (root / "sfxgen.yaml").write_text(f"engine: plain\nprior: {prior}\n")
    report = build(root, names=["bell"], n_workers=1)
    assert list(report.failed) == ["bell"]
    assert "sounds/a.yaml:3: sound 'bell': prior" in report.failed["bell"]
    with pytest.raises(BadInput, match=said):
        open_prior(plan_project(root).project.config.prior, root)


def test_a_sound_longer_than_the_window_is_refused(tmp_path: Path, made_library: Path) -> None:
    root = project(tmp_path / "game", made_library, MANIFEST.replace("duration_s: 0.4", "duration_s: 60"))
    report = build(root, names=["steam"], n_workers=1)
    assert "60 s is longer than the prior ./library can make at once (30 s)" in report.failed["steam"]


# Commands


def test_a_studio_makes_and_uses_its_own_library(tmp_path: Path) -> None:
    write_recordings(tmp_path / "recordings")
    said = sfxgen(tmp_path, "library", "add", "recordings", "--credit", "Ada")
    assert (said.returncode, said.stderr) == (EXIT_OK, "")
    assert f"{len(SOUNDS)} added" in said.stdout
    assert "prior: ./library" in said.stdout
    assert len(sfxgen(tmp_path, "library", "list").stdout.splitlines()) >= len(SOUNDS)
    found = sfxgen(tmp_path, "library", "search", "a", "bell")
    assert "bell_ring" in found.stdout.splitlines()[2]
    assert sfxgen(tmp_path, "library", "check").returncode == EXIT_OK
    assert len(sfxgen(tmp_path, "library", "remove", "*steam*").stdout.splitlines()) == 4
    (tmp_path / "sfxgen.yaml").write_text("prior: ./library\n")
    made = sfxgen(tmp_path, "render", "bell", "--kind", "text", "--seconds", "0.3", "-n", "2", "-o", "x.wav")
    assert (made.returncode, made.stderr) == (EXIT_OK, "")
    assert (tmp_path / "x_01.wav").is_file()
    assert "from " in made.stdout


def test_the_shipped_library_stays_as_it_is(tmp_path: Path) -> None:
    write_recordings(tmp_path / "recordings")
    said = sfxgen(tmp_path, "library", "add", "recordings", "--library", "library")
    assert said.returncode == EXIT_BAD_INPUT
    assert "ships with sfxgen and stays as it is" in said.stderr


def test_priors_lists_ours_first_and_what_cannot_run(tmp_path: Path) -> None:
    said = sfxgen(tmp_path, "priors", "--json")
    rows = [json.loads(line) for line in said.stdout.splitlines()]
    assert said.stderr == ""
    assert rows[0]["prior"] == "library"
    assert rows[0]["usable here"].startswith("yes")
    assert any(row["prior"].startswith("stabilityai/") and row["usable here"].startswith("no") for row in rows)


@pytest.mark.parametrize("arguments", [("bang", "--kind", "textt"), ("bang", "--seconds", "0")])
def test_render_says_what_is_wrong(arguments: tuple[str, ...], tmp_path: Path) -> None:
    said = sfxgen(tmp_path, "render", *arguments, "--out", "x.wav")
    assert said.returncode == EXIT_BAD_INPUT
    assert "Traceback" not in said.stderr
    assert not (tmp_path / "x.wav").exists()
