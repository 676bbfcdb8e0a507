"""Pretrained priors by id and folder: opened as they were saved, and every failure in one line that names the cure."""

from __future__ import annotations

import errno
import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("huggingface_hub")

import tiny_models
from fake_hub import COMMIT, FakeHub

from sfxgen.errors import BadInput, ProgramMissing, SfxgenError
from sfxgen.priors import download, hub, known
from sfxgen.priors.contract import Prior
from sfxgen.priors.folder import digest_of_folder, n_parameters, read_index, weight_files
from sfxgen.priors.known import Known, installed
from sfxgen.priors.stable_audio import StableAudio

pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")

TINY = "maker/tiny"
WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"
BUILDS: dict[str, Callable[..., Any]] = {
    "StableAudioPipeline": tiny_models.stable_audio,
    "StableAudio3Pipeline": tiny_models.stable_audio_3,
    "AudioLDM2Pipeline": tiny_models.audioldm2,
}


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny pipelines as save_pretrained writes them, by class."""
    place = tmp_path_factory.mktemp("pipelines")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)
        for class_name, build in BUILDS.items():
            build(torch.float32).save_pretrained(place / class_name)
    index = place / "StableAudioPipeline" / "model_index.json"
    published = json.loads(index.read_text())
    published["scheduler"] = ["diffusers", "CosineDPMSolverMultistepScheduler"]  # which wants torchsde
    index.write_text(json.dumps(published))
    (place / "StableAudioPipeline" / "README.md").write_text(
        "---\nlicense: other\nlicense_name: made-up\n---\n# Tiny\n"
    )
    return {class_name: place / class_name for class_name in BUILDS}


@pytest.fixture
def folder(saved: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved["StableAudioPipeline"], tmp_path / "tiny"))


@pytest.fixture
def fake(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    from huggingface_hub import constants

    with FakeHub().served() as fake:
        monkeypatch.setattr(constants, "ENDPOINT", fake.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", fake.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
        monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        fake.models[TINY] = folder
        yield fake


def sampled(prior: Prior) -> torch.Tensor:
    return prior.sample(prior.condition(["a dog"], 0.02), [torch.Generator().manual_seed(3)], 3, 2.0)


def refusal(name: str, root: Path = Path(), **more: Any) -> SfxgenError:
    """What opening says; always one line that ends in no stop."""
    with pytest.raises(SfxgenError) as caught:
        hub.open_pipeline(name, root, "cpu", **more)
    message = str(caught.value)
    assert "\n" not in message
    assert name.partition("@")[0].removeprefix("./") in message
    return caught.value


@pytest.mark.parametrize("class_name", BUILDS)
def test_a_saved_pipeline_opens_and_sounds_the_same(class_name: str, saved: dict[str, Path]) -> None:
    import importlib

    module, adapter = download.ADAPTERS[class_name]
    expected = getattr(importlib.import_module(module), adapter)(BUILDS[class_name](torch.float32))
    prior = hub.open_pipeline(f"./{class_name}", saved[class_name].parent, "cpu")
    assert type(prior) is type(expected)
    assert prior.name == f"./{class_name}"
    again = hub.open_pipeline(f"./{class_name}", saved[class_name].parent, "cpu")
    assert torch.equal(sampled(prior), sampled(again))
    # Weights read from a file lie elsewhere in memory, where some processors' kernels round otherwise.
    found, wanted = sampled(prior), sampled(expected)
    assert (found - wanted).norm() < 1e-4 * wanted.norm()


def test_opening_is_silent_and_leaves_the_libraries_settings(
    saved: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    import diffusers.utils.logging as of_diffusers
    import transformers.utils.logging as of_transformers

    before = [(log.get_verbosity(), log.is_progress_bar_enabled()) for log in (of_diffusers, of_transformers)]
    hub.open_pipeline(str(saved["AudioLDM2Pipeline"]), Path(), "cpu")
    assert capfd.readouterr() == ("", "")
    assert [(log.get_verbosity(), log.is_progress_bar_enabled()) for log in (of_diffusers, of_transformers)] == before


def test_the_precision_can_be_chosen(folder: Path) -> None:
    prior = hub.open_pipeline("./tiny", folder.parent, "cpu", dtype=torch.bfloat16)
    assert isinstance(prior, StableAudio)
    assert (prior.weights_dtype, prior.dtype, prior.device) == (torch.bfloat16, torch.float32, torch.device("cpu"))
    assert prior.digest != hub.open_pipeline("./tiny", folder.parent, "cpu").digest


def test_a_hub_model_is_downloaded_once_and_then_needs_no_hub(fake: FakeHub, folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"the maker's own copy of everything")
    (folder / "transformer" / "diffusion_pytorch_model.fp16.safetensors").write_bytes(b"half")
    (folder / "transformer" / "old.bin").write_bytes(b"pickle")
    prior = hub.open_pipeline(TINY, tmp_path, "cpu")
    assert torch.equal(sampled(prior), sampled(hub.open_pipeline("./tiny", tmp_path, "cpu")))
    assert WEIGHTS in fake.downloads
    assert not [
        file for file in fake.downloads if "fp16" in file or file.endswith((".bin",)) or file == "model.safetensors"
    ]
    assert prior.digest == f"{TINY}@{COMMIT} torch.float32"
    asked = fake.requests
    fake.models.clear()
    assert hub.open_pipeline(TINY, tmp_path, "cpu").digest == prior.digest
    assert hub.open_pipeline(f"{TINY}@{COMMIT}", tmp_path, "cpu").digest == prior.digest
    assert fake.requests == asked


def test_a_download_that_stopped_half_way_is_finished(fake: FakeHub, tmp_path: Path) -> None:
    place = download.pull(TINY)
    for left_out in (WEIGHTS, "vae/config.json", "tokenizer/tokenizer.json"):
        (place / left_out).unlink()
        assert download.local_folder(TINY) is None
        fake.downloads.clear()
        assert download.pull(TINY) == place
        assert download.local_folder(TINY) == place


def test_nothing_is_downloaded_where_that_is_not_wanted(fake: FakeHub) -> None:
    error = refusal(TINY, download=False)
    assert "`sfxgen priors pull maker/tiny`" in str(error)
    assert fake.requests == 0


@pytest.mark.parametrize("where", ["refusals", "refused_files"])
@pytest.mark.parametrize(
    ("status", "code", "token", "expected"),
    [
        (401, "GatedRepo", None, ["is gated", "no token", "accept its licence at", "/maker/tiny", "HF_TOKEN"]),
        (403, "GatedRepo", "hf_x", ["is gated", "has not accepted its licence", "/maker/tiny", "priors pull"]),
        (401, "RepoNotFound", None, ["no such model", "check the spelling", "`hf auth login`"]),
        (401, "", "hf_x", ["log in", "hf auth login"]),
        (403, "", "hf_x", ["refuses your token (403)", "`hf auth login`"]),
        (500, "", None, ["error 500", "again later"]),
    ],
)
def test_what_the_hub_refuses(
    fake: FakeHub,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    status: int,
    code: str,
    token: str | None,
    expected: list[str],
) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: token)
    monkeypatch.setattr("time.sleep", lambda _: None)  # between the client's own attempts
    getattr(fake, where)[TINY] = (status, code)
    message = str(refusal(TINY))
    assert [words for words in expected if words not in message] == [], message


def test_no_such_model_or_revision(fake: FakeHub) -> None:
    error = refusal("maker/tinny")
    assert isinstance(error, BadInput)
    assert "check the spelling" in str(error)
    error = refusal("maker/tiny@v7")
    assert isinstance(error, BadInput)
    assert "no revision 'v7'" in str(error)


def test_offline(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in str(refusal(TINY))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    error = str(refusal(TINY))
    assert "the hub cannot be reached" in error
    assert "sfxgen priors pull maker/tiny" in error
    assert "prior: library" in error


def test_no_room_on_the_disk(fake: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake.claimed_sizes = {WEIGHTS: 4_860_000_000}
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_200_000_000))
    error = str(refusal(TINY))
    assert f"needs 4.86 GB, and {tmp_path / 'cache'} has 1.2 GB free" in error
    assert "HF_HOME" in error
    assert WEIGHTS not in fake.downloads


def test_a_disk_that_fills_up_during_the_download(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.snapshot_download", full)
    with pytest.raises(SfxgenError, match=r"the disk of .* is full; .* it goes on where it stopped"):
        download.pull(TINY)


@pytest.mark.parametrize("raised", ["LocalTokenNotFoundError", "CorruptedCacheException", "PermissionError"])
def test_whatever_else_the_hubs_client_raises_is_one_line(
    fake: FakeHub, monkeypatch: pytest.MonkeyPatch, raised: str
) -> None:
    from huggingface_hub import errors

    def fail(*_: Any, **__: Any) -> str:
        raise getattr(errors, raised, PermissionError)("first line\nsecond line")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(SfxgenError, match=r"^prior 'maker/tiny'[^\n]+$"):
        download.pull(TINY)


def test_too_little_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=10_000))
    error = str(refusal("./tiny", folder.parent))
    assert "of memory, and cpu has 1e-05 GB free" in error
    assert "prior: library" in error
    n_numbers = sum(n_parameters([path], "x") for path in folder.rglob("*.safetensors"))
    assert f"about {n_numbers * 4 * 1.25 / 1e9:.3g} GB" in error


def test_too_little_memory_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda _: (12_000_000_000, 80_000_000_000))
    gpu = torch.device("cuda", 0)
    assert hub.shortage(10e9, gpu) == "needs about 12.5 GB of memory, and cuda:0 has 12 GB free"
    assert hub.shortage(9e9, gpu) == ""


def test_a_gpu_makes_no_pass_in_less_than_launching_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "_operations_a_second", lambda *_: 4e14)
    of_a_pass = 2 * 1.2e9 * 44_100 / 2048 * 5.0 / 4e14
    for device, seconds in (("cpu", 100 * of_a_pass), ("cuda", 50 * 0.045)):
        monkeypatch.setattr(hub, "place_of", lambda _, device=device: (torch.device(device), torch.float16))
        assert known._estimated_s(1_200_000_000, known.KNOWN[0], device) == pytest.approx(seconds)


def test_no_such_device(folder: Path) -> None:
    for device, expected in (("cuda:7", "is not there"), ("gpu", "none that torch knows"), ("meta", "is not there")):
        with pytest.raises(SfxgenError, match=expected):
            hub.open_pipeline("./tiny", folder.parent, device)


@pytest.mark.parametrize("missing", ["diffusers", "transformers", "huggingface_hub"])
def test_packages_that_are_not_installed(folder: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    for attempt in (lambda: hub.open_pipeline("./tiny", folder.parent), lambda: download.pull(TINY)):
        with pytest.raises(ProgramMissing, match=rf"need {missing}, which is not .*pip install 'sfxgen\[pretrained\]'"):
            attempt()
    assert all("sfxgen[pretrained]" in standing.obstacle for standing in installed("cpu") if standing.known.opens)


@pytest.mark.parametrize("name", ["stable-audio", "a/b/c", "maker/", "/", "a b/c", "maker/tiny@", "mäker/tiny"])
def test_names_that_cannot_be(fake: FakeHub, name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        hub.open_pipeline(name, tmp_path, "cpu")


def test_a_folder_with_pickles_only(folder: Path) -> None:
    (folder / WEIGHTS).rename((folder / WEIGHTS).with_suffix(".bin"))
    error = str(refusal("./tiny", folder.parent))
    assert "'transformer' has no safetensors file, only a pickle" in error


def test_a_hub_model_with_pickles_only_is_not_downloaded(fake: FakeHub, folder: Path) -> None:
    (folder / WEIGHTS).rename((folder / WEIGHTS).with_suffix(".bin"))
    assert "only a pickle" in str(refusal(TINY))
    assert fake.downloads == ["model_index.json"]


def test_a_hub_model_in_its_makers_own_layout(fake: FakeHub, folder: Path) -> None:
    (folder / "model_index.json").unlink()
    assert "is no diffusers pipeline" in str(refusal(TINY))
    assert fake.downloads == []


def edit_index(folder: Path, **changes: Any) -> None:
    path = folder / "model_index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_pipeline_that_we_have_no_adapter_for(fake: FakeHub, folder: Path) -> None:
    edit_index(folder, _class_name="StableDiffusionPipeline")
    for name in ("./tiny", TINY):
        error = str(refusal(name, folder.parent))
        assert "is a StableDiffusionPipeline" in error
        assert "StableAudioPipeline, StableAudio3Pipeline, AudioLDM2Pipeline" in error
    assert fake.downloads == ["model_index.json"]


def test_code_of_its_own_is_not_run(folder: Path) -> None:
    edit_index(folder, transformer=["modelling", "Evil"])
    (folder / "transformer" / "modelling.py").write_text("raise SystemExit('ran')")
    assert "wants code of its own (modelling.Evil)" in str(refusal("./tiny", folder.parent))


def damages() -> dict[str, Any]:
    def cut(path: Path) -> None:
        path.write_bytes(path.read_bytes()[:-100])

    return {
        "no index": (lambda folder: (folder / "model_index.json").unlink(), "has no model_index.json"),
        "an index that is no JSON": (lambda folder: cut(folder / "model_index.json"), "model_index.json: it cannot"),
        "an index that is a list": (lambda folder: (folder / "model_index.json").write_text("[]"), "it cannot be read"),
        "weights cut short": (lambda folder: cut(folder / WEIGHTS), "bytes instead of"),
        "empty weights": (lambda folder: (folder / WEIGHTS).write_bytes(b""), "no safetensors file"),
        "other weights": (lambda folder: (folder / WEIGHTS).write_bytes(b"\xff" * 64), "no safetensors file"),
        "a missing part": (lambda folder: shutil.rmtree(folder / "vae"), "its weights file is missing"),
        "a missing configuration": (lambda folder: (folder / "vae" / "config.json").unlink(), "cannot be loaded"),
        "a wrong configuration": (lambda folder: edit_config(folder, in_channels=3), "cannot be loaded"),
        "no vocabulary": (lambda folder: (folder / "tokenizer" / "tokenizer.json").unlink(), "its files are missing"),
        "no tokenizer": (lambda folder: shutil.rmtree(folder / "tokenizer"), "its files are missing"),
    }


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "transformer" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("damage", damages())
def test_a_damaged_folder(folder: Path, damage: str) -> None:
    spoil, expected = damages()[damage]
    spoil(folder)
    error = refusal("./tiny", folder.parent)
    assert isinstance(error, BadInput)
    assert expected in str(error)


def test_a_shard_that_is_missing(folder: Path) -> None:
    place = (folder / WEIGHTS).parent
    (folder / WEIGHTS).rename(place / "diffusion_pytorch_model-00001-of-00002.safetensors")
    shards = {
        "a": "diffusion_pytorch_model-00001-of-00002.safetensors",
        "b": "diffusion_pytorch_model-00002-of-00002.safetensors",
    }
    (place / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    assert "00002-of-00002.safetensors is missing" in str(refusal("./tiny", folder.parent))


def test_a_folders_digest_is_its_content(folder: Path, tmp_path: Path) -> None:
    digest = digest_of_folder(folder, "x")
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder, copy, copy_function=shutil.copyfile)  # other times, another place
    assert digest_of_folder(copy, "x") == digest
    (copy / "README.md").write_text("other words")
    (copy / "vae" / "unused.bin").write_bytes(b"x")
    assert digest_of_folder(copy, "x") == digest
    seen = {digest}
    for change in (nudge_last_tensor, lambda place: edit_config(place, num_layers=1)):
        change(copy)
        seen.add(digest_of_folder(copy, "x"))
    assert len(seen) == 3


def nudge_last_tensor(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / WEIGHTS)
    name = sorted(tensors)[-1]
    tensors[name] = tensors[name] * 1.001
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def test_parameters_are_counted_without_loading(folder: Path) -> None:
    files = weight_files(folder, read_index(folder / "model_index.json", "x"), "x")
    pipe = tiny_models.stable_audio()
    networks = [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]
    assert len(files) == len(networks) == 4
    assert n_parameters(files, "x") == sum(weights.numel() for part in networks for weights in part.parameters())


def test_what_is_installed(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    priors = (Known(TINY, "tiny", 16_000), *known.KNOWN)
    before = installed("cpu", priors)
    assert fake.requests == 0
    assert [standing.known for standing in before] == list(priors)
    assert (before[0].commit, before[0].licence, before[0].parameters) == ("", "?", "?")
    assert before[0].obstacle == "not downloaded: `sfxgen priors pull maker/tiny`"
    assert "layout" in next(standing.obstacle for standing in before if standing.known.name.endswith("small-sfx"))

    place = download.pull(TINY)
    (here,) = installed("cpu", priors[:1])
    assert (here.commit, here.licence, here.obstacle) == (COMMIT, "made-up", "")
    assert here.n_bytes >= sum(path.stat().st_size for path in place.rglob("*.safetensors")) > 0
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1000))
    assert "of memory" in installed("cpu", priors[:1])[0].obstacle
    assert "is not there" in installed("cuda:9", priors[:1])[0].obstacle


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\n", "apache-2.0"),
        ("---\nlicense: other\nlicense_name: mine\n---\n", "mine"),
        ("# no header", "?"),
        ("---\nlicense: [\n---\n", "?"),
        ("---\n- a list\n---\n", "?"),
        ("---\n---\n", "?"),
    ],
)
def test_the_licence_is_what_the_card_says(tmp_path: Path, card: str, licence: str) -> None:
    (tmp_path / "README.md").write_text(card)
    assert known.licence_of(tmp_path) == licence
    assert known.licence_of(tmp_path / "nowhere") == "?"
