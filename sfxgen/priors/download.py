"""Pretrained priors on the hub: what a name means, what lies on this machine, and fetching what does not."""

from __future__ import annotations

import fnmatch
import importlib.util
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sfxgen.errors import BadInput, ProgramMissing, SfxgenError
from sfxgen.priors.folder import INDEX_FILE, Index, only_pickles, read_index, weight_files
from sfxgen.priors.hub_errors import hub_speaks_plainly

# Pipeline class → our adapter. A new one is one line here and one file.
ADAPTERS = {
    "StableAudioPipeline": ("sfxgen.priors.stable_audio", "StableAudio"),
    "StableAudio3Pipeline": ("sfxgen.priors.stable_audio_3", "StableAudio3"),
    "AudioLDM2Pipeline": ("sfxgen.priors.audioldm2", "AudioLDM2"),
}

_PACKAGES = ("accelerate", "diffusers", "huggingface_hub", "safetensors", "transformers")
_CARDS = ("README.md", "LICENSE*")
_IN_COMPONENTS = ("*.json", "*.txt", "*.model", "*.safetensors")
_VARIANTS = ["*.fp16.*", "*.bf16.*", "*.non_ema.*"]  # second copies of the same weights


@dataclass(frozen=True)
class HubName:
    """A model on the hub. revision: a commit, tag or branch; "main" where the name pins none."""

    repo: str
    revision: str

    def __str__(self) -> str:
        return self.repo if self.revision == "main" else f"{self.repo}@{self.revision}"


def parse(name: str) -> HubName:
    """`owner/model` or `owner/model@revision`. Raises BadInput."""
    repo, at, revision = name.partition("@")
    if repo.count("/") != 1 or not all(repo.split("/")) or any(letter.isspace() for letter in name):
        raise BadInput(
            f"prior '{name}' is neither `library`, nor a hub id such as stabilityai/stable-audio-open-1.0, nor a path; "
            "a path begins with ./ or /"
        )
    if at and not revision:
        raise BadInput(f"prior '{name}': a commit, tag or branch must follow the @; leave the @ out for the latest")
    return HubName(repo, revision or "main")


def adapter_of(class_name: str, name: str) -> tuple[str, str]:
    """(module, class) for a pipeline. Raises BadInput with those that there are."""
    if class_name not in ADAPTERS:
        raise BadInput(f"prior '{name}' is a {class_name}; sfxgen knows {', '.join(ADAPTERS)}")
    return ADAPTERS[class_name]


def need_packages() -> None:
    missing = [package for package in _PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        raise ProgramMissing(
            f"pretrained priors need {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed; "
            "`pip install 'sfxgen[pretrained]'` installs all"
        )


def local_folder(name: str) -> Path | None:
    """Where a hub model lies on this machine, whole; None where it does not. Asks nobody."""
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    model = parse(name)
    try:
        index_file = huggingface_hub.try_to_load_from_cache(model.repo, INDEX_FILE, revision=model.revision)
        if not isinstance(index_file, str):
            return None
        index = read_index(Path(index_file), name)
        folder = huggingface_hub.snapshot_download(
            model.repo,
            revision=model.revision,
            local_files_only=True,
            allow_patterns=_patterns(index),
            ignore_patterns=_VARIANTS,
        )
        weight_files(Path(folder), index, name)
    except (LocalEntryNotFoundError, HFValidationError, BadInput):
        return None  # a download that did not finish, or what could not be opened anyway
    return Path(folder)


def pull(name: str) -> Path:
    """Download a hub model and give its folder. What is there already is not fetched again.

    Raises SfxgenError: offline, no such model, licence or token missing, no room on the disk, no pipeline that we know.
    """
    need_packages()
    import huggingface_hub

    model = parse(name)
    with hub_speaks_plainly(str(model)):
        info = huggingface_hub.HfApi().model_info(model.repo, revision=model.revision, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
        if INDEX_FILE not in sizes:
            raise BadInput(f"prior '{model}' is no diffusers pipeline (it has no {INDEX_FILE}), so it cannot be opened")
        index = read_index(Path(huggingface_hub.hf_hub_download(model.repo, INDEX_FILE, revision=model.revision)), name)
        adapter_of(index.class_name, name)
        wanted = {file: n_bytes for file, n_bytes in sizes.items() if _is_wanted(file, index)}
        _check_weights(index, sizes, wanted, name)
        _check_disk(sum(n_bytes for file, n_bytes in wanted.items() if not _is_here(file, model)), name)
        folder = huggingface_hub.snapshot_download(
            model.repo, revision=model.revision, allow_patterns=_patterns(index), ignore_patterns=_VARIANTS
        )
    return Path(folder)


def _patterns(index: Index) -> list[str]:
    return [INDEX_FILE, *_CARDS, *(f"{part}/{pattern}" for part in index.components for pattern in _IN_COMPONENTS)]


def _is_wanted(file: str, index: Index) -> bool:
    return _matches(file, _patterns(index)) and not _matches(file, _VARIANTS)


def _matches(file: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(file, pattern) for pattern in patterns)


def _is_here(file: str, model: HubName) -> bool:
    import huggingface_hub

    return isinstance(huggingface_hub.try_to_load_from_cache(model.repo, file, revision=model.revision), str)


def _check_weights(index: Index, there: Mapping[str, int], wanted: Mapping[str, int], name: str) -> None:
    for part in index.with_weights():
        if not any(file.startswith(f"{part}/") and file.endswith(".safetensors") for file in wanted):
            if any(file.startswith(f"{part}/") for file in there):
                raise only_pickles(name, part)
            raise BadInput(f"prior '{name}': its part '{part}' is missing on the hub, so it cannot be opened")


def _check_disk(n_bytes: int, name: str) -> None:
    from huggingface_hub.constants import HF_HUB_CACHE

    cache = Path(HF_HUB_CACHE)
    free = shutil.disk_usage(next(place for place in (cache, *cache.parents) if place.exists())).free
    if n_bytes > free:
        raise SfxgenError(
            f"prior '{name}' needs {gb(n_bytes)}, and {cache} has {gb(free)} free; make room there, or "
            "set HF_HOME to a folder on a larger disk"
        )


def gb(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.3g} GB"
