"""A prompt guides a synth: from the manifest to the lock, on a library made here; batches, sketches, traces."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from command_line import sfxgen
from numpy.typing import NDArray
from small_library import write_recordings
from sound_measures import centroid_hz

from sfxgen.audio import Audio
from sfxgen.build import build
from sfxgen.cache import Cache
from sfxgen.distill.optimise import Run
from sfxgen.errors import EXIT_OK, EXIT_STALE, Cancelled
from sfxgen.execute import default_workers
from sfxgen.generate.guide import Begin, Search, Wish, guide_together
from sfxgen.generate.recipe import Request
from sfxgen.generate.tunable_texture import TextureRenderer
from sfxgen.guiding import Watcher, guidance, is_known
from sfxgen.library.add import add_folder
from sfxgen.lock import read_lock
from sfxgen.manifest.guide import Guide
from sfxgen.manifest.presets import presets
from sfxgen.manifest.sound import KINDS
from sfxgen.manifest.texture import Texture
from sfxgen.plan import plan_project
from sfxgen.priors import open_prior
from sfxgen.priors.contract import Prior

QUICK = "{steps: 3, generations: 1, starts: 1, draws: 2}"
ONE = """\
version: 1
sounds:
  a: {texture: {preset: steam}, prompt: thunder rumble, guide: {steps: 8, generations: 2, starts: 1}, duration_s: 0.3}
"""
MANIFEST = f"""\
version: 1
defaults: {{guide: {QUICK}, duration_s: 0.4}}
sounds:
  bell: {{fm: {{preset: bell}}, prompt: bell ring, variations: 3}}
  steam: {{texture: {{}}, prompt: steam hiss}}
  clang: {{impact: {{preset: sword_clang}}, prompt: bell ring, layers: {{soft, hard}}}}
  plain: {{fm: {{preset: bell}}, prompt: bell ring, guide: false}}
"""


@pytest.fixture(scope="module")
def made_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    add_folder(write_recordings(folder), folder / "library")
    return folder / "library"


@pytest.fixture(scope="module")
def prior(made_library: Path) -> Prior:
    return open_prior(("./library",), made_library.parent)


def project(root: Path, made_library: Path, manifest: str = MANIFEST) -> Path:
    (root / "sounds").mkdir(parents=True)
    (root / "sounds" / "a.yaml").write_text(manifest)
    (root / "sfxgen.yaml").write_text("engine: plain\nout: out\nprior: ./library\ncache: .cache\n")
    shutil.copytree(made_library, root / "library")
    return root


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, made_library: Path) -> Path:
    root = project(tmp_path_factory.mktemp("game"), made_library)
    report = build(root, n_workers=1)
    assert (report.failed, report.exit_code) == ({}, EXIT_OK)
    return root


@pytest.fixture
def game(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "game"))


def samples(path: Path) -> NDArray[np.float64]:
    read: NDArray[np.float64] = soundfile.read(path, dtype="float64", always_2d=True)[0][:, 0]
    return read


def edit(root: Path, old: str, new: str) -> None:
    path = root / "sounds" / "a.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def wish(prior: Prior, preset: str, prompt: str, guide: Guide, seed: int = 1) -> Wish:
    kind = presets()[preset].kind
    body = KINDS[kind].model_validate(presets()[preset].body)
    return Wish(f"{preset} {prompt} {seed}", prompt, (Begin(kind, preset, body),), guide, seed, False)


# What a build does with it


def test_the_lock_says_what_guidance_found(built: Path) -> None:
    sounds = read_lock(built).sounds
    assert sounds["plain"].guided is None
    for name, kind in (("bell", "fm"), ("steam", "texture"), ("clang", "impact")):
        guided = sounds[name].guided
        assert guided is not None
        assert guided.kind == kind
        assert guided.after >= guided.before
        assert guided.why.startswith("guided by ./library from ")
        KINDS[kind].model_validate(guided.body, strict=False)


def test_a_guided_sound_is_another_than_its_start(built: Path) -> None:
    guided, plain = samples(built / "out" / "bell_01.wav"), samples(built / "out" / "plain.wav")
    n = min(len(guided), len(plain))
    assert np.abs(guided[:n] - plain[:n]).max() > 0.01


def test_with_the_lock_nothing_is_guided_again(game: Path) -> None:
    """More variations and another loudness on a machine whose cache is empty: the prior is not even opened."""
    shutil.rmtree(game / ".cache")
    edit(game, "variations: 3}", "variations: 4, output: {loudness_lufs: -23}}")
    before = read_lock(game).sounds["bell"]
    planned = {p.job.name: p for p in plan_project(game).plan.stale}
    assert list(planned) == ["bell"]
    assert planned["bell"].job.guided == before.guided
    (game / "library" / "levels.npz").unlink(missing_ok=True)
    report = build(game, n_workers=1)
    assert (list(report.made), report.failed) == (["bell"], {})
    after = read_lock(game).sounds["bell"]
    assert after.guided == before.guided
    assert len(after.files) == 4


def test_a_sound_that_is_up_to_date_stays(game: Path) -> None:
    assert sfxgen(game, "build", "--check").returncode == EXIT_OK
    plan = json.loads(sfxgen(game, "plan", "--json").stdout.splitlines()[0])
    assert "guided by ./library" in plan["guided"]["why"]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("prompt: steam hiss", "prompt: thunder rumble", "prompt changed"),
        (
            "{texture: {}, prompt: steam hiss}",
            "{texture: {}, prompt: steam hiss, guide: {steps: 2}}",
            "guidance changed",
        ),
    ],
)
def test_what_guidance_follows_from_makes_it_stale(game: Path, old: str, new: str, why: str) -> None:
    edit(game, old, new)
    stale = {p.job.name: p for p in plan_project(game).plan.stale}
    assert {name: p.reasons for name, p in stale.items()} == {"steam": (why,)}
    assert stale["steam"].job.guided is None
    assert sfxgen(game, "build", "--check").returncode == EXIT_STALE


def test_the_same_manifest_gives_the_same_bytes(built: Path, tmp_path: Path, made_library: Path) -> None:
    """From nothing, in two worker processes instead of one."""
    again = project(tmp_path / "again", made_library)
    assert build(again, n_workers=2).failed == {}
    files = sorted(path.name for path in (built / "out").glob("*.wav"))
    assert len(files) == 7
    for name in files:
        assert (again / "out" / name).read_bytes() == (built / "out" / name).read_bytes(), name


def test_a_prompt_of_unknown_words_leaves_the_sound_as_written(tmp_path: Path, made_library: Path) -> None:
    manifest = f"version: 1\nsounds:\n  a: {{fm: {{preset: bell}}, prompt: xqzzt, guide: {QUICK}, duration_s: 0.2}}\n"
    report = build(project(tmp_path / "game", made_library, manifest), n_workers=1)
    assert report.failed == {}
    (warning,) = report.planning.lock.sounds["a"].warnings
    assert warning.startswith("not guided: prior './library' knows no word of the prompt 'xqzzt'")


def test_the_kinds_compete_for_a_bare_prompt(tmp_path: Path, made_library: Path) -> None:
    manifest = f"version: 1\ndefaults: {{guide: {QUICK}}}\nsounds:\n  a: bell rings, a metal chime\n"
    root = project(tmp_path / "game", made_library, manifest)
    (planned,) = plan_project(root).plan.sounds
    kinds = {planned.job.kind, *(rival.kind for rival in planned.job.rivals)}
    assert len(kinds) > 1
    assert "tried against" in sfxgen(root, "plan").stdout.replace("\n", " ")
    assert build(root, n_workers=1).failed == {}
    guided = read_lock(root).sounds["a"].guided
    assert guided is not None
    assert guided.kind in kinds
    assert ", before " in guided.why
    assert plan_project(root).plan.stale == ()


def test_watch_mode_publishes_the_start_first(tmp_path: Path, made_library: Path) -> None:
    """What is heard at once is the sound without guidance; the guided one replaces it."""
    root = project(tmp_path / "game", made_library, ONE)
    heard: list[tuple[str, bytes]] = []

    def listen(event: object) -> None:
        kind = getattr(event, "kind", "")
        if kind in ("sketched", "made"):
            heard.append((kind, (root / "out" / "a.wav").read_bytes()))

    build(root, n_workers=1, on_event=listen, sketch=True)
    assert [kind for kind, _ in heard] == ["sketched", "made"]
    assert heard[0][1] != heard[1][1]
    edit(root, "guide: {steps: 8, generations: 2, starts: 1}", "guide: false")
    build(root, n_workers=1)
    assert (root / "out" / "a.wav").read_bytes() == heard[0][1]


def test_a_sketch_does_not_count_as_done(tmp_path: Path, made_library: Path) -> None:
    root = project(tmp_path / "game", made_library, ONE)
    sketched: list[str] = []

    def listen(event: object) -> None:
        if getattr(event, "kind", "") == "sketched":
            sketched.append("yes")

    report = build(root, n_workers=1, on_event=listen, sketch=True, cancelled=lambda: bool(sketched))
    assert report.cancelled
    assert (root / "out" / "a.wav").exists()
    (stale,) = plan_project(root).plan.stale
    assert stale.reasons == ("guidance changed",)
    assert stale.left_alone == ()


# The stages


def test_the_words_choose_among_impact_presets(prior: Prior) -> None:
    """In either order the first goes on; among presets of other kinds the one that the prior takes for the prompt."""
    chosen: dict[str, list[str]] = {}
    for kind, names in (("impact", ("wood_crate", "sword_clang")), ("texture", ("rain_light", "steam"))):
        starts = [Begin(kind, name, KINDS[kind].model_validate(presets()[name].body)) for name in names]
        for order in (starts, starts[::-1]):
            guide = Guide(steps=0, generations=0, draws=0, starts=1)
            search = Search(Wish("", "steam hiss", tuple(order), guide, 1, True), prior, Request(duration_s=0.5), Run())
            search.begin()
            chosen.setdefault(kind, []).append(search.finalists[0].candidate.preset)
    assert chosen["impact"] == ["wood_crate", "sword_clang"]
    assert len(set(chosen["texture"])) == 1


def test_guidance_never_ends_worse_than_it_began(prior: Prior) -> None:
    for preset, prompt in (("bell", "bell ring"), ("steam", "thunder rumble")):
        (found,) = guide_together([wish(prior, preset, prompt, Guide(steps=4, starts=1))], prior, [Request()], [Run()])
        assert found.after >= found.before


def test_guidance_moves_a_sound_towards_its_prompt(prior: Prior) -> None:
    """A high hiss that shall rumble: the centroid falls, and the prior agrees more."""
    one = wish(prior, "steam", "thunder rumble", Guide(steps=25, generations=4, starts=1))
    (found,) = guide_together([one], prior, [Request(duration_s=0.5)], [Run()])
    assert found.after > found.before + 2.0
    bodies = (one.starts[0].body.model_dump(mode="json"), found.body)
    renderers = [TextureRenderer(Texture.model_validate(b, strict=False), 0.5, prior.rate_hz) for b in bodies]
    heard = [r(torch.zeros(len(r.low), dtype=torch.float64), 3).detach()[0].numpy() for r in renderers]
    centroids = [centroid_hz(Audio.of(block, prior.rate_hz)) for block in heard]
    assert centroids[1] < 0.5 * centroids[0]


def test_sounds_of_one_length_share_the_descent(prior: Prior, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    plain = prior.predict_x0

    def noted(z: torch.Tensor, t: torch.Tensor, condition: object) -> torch.Tensor:
        sizes.append(len(z))
        return plain(z, t, condition)  # type: ignore[arg-type]

    monkeypatch.setattr(prior, "predict_x0", noted)
    guide = Guide(steps=2, generations=0, starts=1)
    wishes = [wish(prior, "bell", "bell ring", guide, seed) for seed in (1, 2, 3)]
    request = Request(duration_s=0.5)
    together = guide_together(wishes, prior, [request] * 3, [Run()] * 3)
    assert max(sizes) == 3
    alone = [guide_together([one], prior, [request], [Run()])[0] for one in wishes]
    for one, other in zip(together, alone, strict=True):
        assert one.after == pytest.approx(other.after, abs=0.05)


def test_a_wish_that_is_open_draws_random_starts(prior: Prior) -> None:
    guide = Guide(steps=0, generations=0, starts=8, draws=6)
    closed = wish(prior, "bell", "bell ring", guide)
    sizes = []
    for one in (closed, replace(closed, is_open=True)):
        search = Search(one, prior, Request(duration_s=0.4), Run())
        search.begin()
        sizes.append(len(search.finalists))
    assert sizes == [1, 7]


def test_guidance_ends_between_steps_when_it_is_cancelled(built: Path, prior: Prior, tmp_path: Path) -> None:
    job = next(p.job for p in plan_project(built).plan.sounds if p.job.name == "bell")
    job = replace(job, guided=None)
    steps: list[int] = []
    watcher = Watcher(on_step=lambda step, *_: steps.append(step), cancelled=lambda: len(steps) >= 2)
    cache = Cache(tmp_path)
    with pytest.raises(Cancelled):
        guidance([job], built, cache, watcher)
    assert steps == [1, 2]
    assert not is_known(job, cache)


# The command line


def test_render_draws_a_trace(tmp_path: Path, made_library: Path) -> None:
    root = project(tmp_path / "game", made_library, "version: 1\nsounds: {}\n")
    done = sfxgen(
        root, "render", "steam hiss", "--kind", "texture", "--out", "x.wav", "--trace", "trace", "--seconds", "0.3"
    )
    assert done.returncode == EXIT_OK, done.stderr
    assert "guided by ./library from texture" in done.stdout
    assert (root / "trace" / "descent.png").read_bytes().startswith(b"\x89PNG")
    with (root / "trace" / "parameters.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header[0] == "step"
    assert any(name.endswith("log_centre[0]") for name in header)
    assert len(rows) > 5
    assert all(np.isfinite([float(x) for x in row]).all() for row in rows)


def test_render_without_guidance_is_the_preset(tmp_path: Path, made_library: Path) -> None:
    root = project(tmp_path / "game", made_library, "version: 1\nsounds: {}\n")
    done = sfxgen(root, "render", "steam hiss", "--kind", "texture", "--out", "x.wav", "--no-guide", "--seconds", "0.2")
    assert done.returncode == EXIT_OK
    assert "guided" not in done.stdout


def test_a_forced_build_guides_again(game: Path) -> None:
    steps: list[str] = []
    build(game, names=["bell"], force=True, n_workers=1, on_event=lambda event: steps.append(event.kind))
    assert steps.count("guiding") == 3


# Pretrained priors


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder of a tiny Stable Audio."""
    pytest.importorskip("diffusers")
    import tiny_models

    folder = tmp_path_factory.mktemp("weights") / "tiny"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # diffusers uses what torch wants to drop
        tiny_models.stable_audio(torch.float32).save_pretrained(folder)
    return folder


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")
def test_a_pretrained_prior_guides_a_projects_sounds_as_one_batch(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both go through the denoiser together, the prior is opened in one process, and the lock keeps the outcome."""
    from sfxgen.generate import guide as guide_module

    root = tmp_path / "game"
    (root / "sounds").mkdir(parents=True)
    shutil.copytree(tiny, root / "tiny")
    quick = "{steps: 2, generations: 0, starts: 1}"
    (root / "sounds" / "a.yaml").write_text(
        f"version: 1\ndefaults: {{guide: {quick}, duration_s: 0.5}}\nsounds:\n"
        "  one: {fm: {preset: laser_retro}, prompt: a laser}\n  two: {texture: {preset: steam}, prompt: steam}\n"
    )
    (root / "sfxgen.yaml").write_text("engine: plain\nprior: ./tiny\ndevice: cpu\ncache: .cache\n")
    batches: list[int] = []
    plain = guide_module.descend

    def noted(searches: list[Search], *rest: object) -> None:
        batches.append(len(searches))
        plain(searches, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(guide_module, "descend", noted)
    planned = plan_project(root).plan.sounds
    assert default_workers([p.job for p in planned], root) == 1
    report = build(root, n_workers=1)
    assert (report.failed, set(report.made)) == ({}, {"one", "two"})
    assert batches == [2]
    assert all(sound.guided for sound in read_lock(root).sounds.values())
