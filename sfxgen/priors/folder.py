"""A diffusers pipeline on disk: what it holds and whether it is whole, read without torch and without trusting it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfxgen.errors import BadInput

INDEX_FILE = "model_index.json"
_LIBRARIES = ("diffusers", "transformers", "audioldm2", "stable_audio", "stable_audio_3")  # whose classes we load
_WITHOUT_WEIGHTS = re.compile(r"(Tokenizer|TokenizerFast|Scheduler|FeatureExtractor|Processor)$")
_WEIGHTS = re.compile(r"(diffusion_pytorch_model|model)(-\d+-of-\d+)?\.safetensors")
_VOCABULARIES = (
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "tokenizer.model",
)  # one is enough; without
# any, transformers makes a tokenizer that knows no word, and says nothing
_SETTINGS = ("scheduler_config.json", "preprocessor_config.json", "processor_config.json", "config.json")
_PICKLES = (".bin", ".ckpt", ".pt", ".pth")
_SMALL = (".json", ".txt", ".model")  # configurations and vocabularies
_LARGEST_HEADER_BYTES = 100_000_000  # what the format allows
_PROBE_BYTES = 1024


@dataclass(frozen=True)
class Index:
    """model_index.json. class_name: the pipeline's. components: name → class."""

    class_name: str
    components: Mapping[str, str]

    def with_weights(self) -> list[str]:
        return [part for part, class_name in self.components.items() if not _WITHOUT_WEIGHTS.search(class_name)]


def read_index(path: Path, name: str) -> Index:
    """Raises BadInput where it is damaged, or names code that is not diffusers' or transformers' own."""
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        class_name = index["_class_name"]
    except FileNotFoundError as error:
        raise BadInput(f"prior '{name}': {path.parent} has no {INDEX_FILE}, so it is no diffusers pipeline") from error
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise _damaged(name, path, "it cannot be read") from error
    components = {}
    for part, entry in index.items():
        if not part.startswith("_") and isinstance(entry, list) and len(entry) == 2 and None not in entry:
            library, components[part] = map(str, entry)
            if library not in _LIBRARIES or not re.fullmatch(r"\w+", part):
                raise BadInput(
                    f"prior '{name}': its part '{part}' wants code of its own ({library}.{components[part]}), which "
                    "sfxgen does not run; only parts of diffusers and transformers are loaded"
                )
    return Index(str(class_name), components)


def weight_files(folder: Path, index: Index, name: str) -> list[Path]:
    """Every safetensors file of the pipeline. Raises BadInput where a part is missing, or only pickles are there."""
    files: list[Path] = []
    for part in set(index.components) - set(index.with_weights()):
        there = {path.name for path in _listed(folder / part)}
        if not there & set(_VOCABULARIES if "Tokenizer" in index.components[part] else _SETTINGS):
            raise _damaged(name, folder / part, "its files are missing")
    for part in index.with_weights():
        place = folder / part
        found = sorted(path for path in _listed(place) if _WEIGHTS.fullmatch(path.name))
        if not found and any(path.suffix in _PICKLES for path in _listed(place)):
            raise only_pickles(name, part)
        wanted = {place / shard for path in _listed(place) for shard in _shards(path, name)}
        if not found or not wanted <= set(found):
            missing = sorted(path.name for path in wanted - set(found))
            raise _damaged(name, place, f"{missing[0] if missing else 'its weights file'} is missing")
        files += found
    return files


def only_pickles(name: str, part: str) -> BadInput:
    return BadInput(
        f"prior '{name}': its part '{part}' has no safetensors file, only a pickle, which can run code when it is "
        "opened; save the pipeline again with save_pretrained(…, safe_serialization=True)"
    )


def n_parameters(files: list[Path], name: str) -> int:
    """How many numbers the weights hold. Raises BadInput where a file is cut short."""
    return sum(math.prod(entry["shape"]) for path in files for entry in _tensors(path, name).values())


def digest_of_folder(folder: Path, name: str) -> str:
    """What stands for a local pipeline in a key: the same on every machine that holds the same files.

    Configurations and vocabularies count whole. Of the weights: names, sizes, headers, and the start, middle and end of
    every tensor. Training moves whole tensors, so this tells models apart like a digest of every byte, which would cost
    seconds for gigabytes each time that a build is planned.
    """
    index = read_index(folder / INDEX_FILE, name)
    digest = hashlib.sha256()
    for path in [folder / INDEX_FILE, *(folder / part for part in sorted(index.components))]:
        for file in [path] if path.is_file() else _listed(path):
            if file.suffix in _SMALL:
                digest.update(f"{file.relative_to(folder).as_posix()}\0".encode() + file.read_bytes())
    for file in weight_files(folder, index, name):
        digest.update(f"{file.relative_to(folder).as_posix()} {file.stat().st_size}\0".encode())
        for probe in _probes(file, name):
            digest.update(probe)
    return digest.hexdigest()


def _probes(path: Path, name: str) -> Iterator[bytes]:
    tensors = _tensors(path, name)
    yield json.dumps(tensors, sort_keys=True).encode()
    with path.open("rb") as file:
        base = 8 + int.from_bytes(file.read(8), "little")
        for entry in tensors.values():
            start, end = entry["data_offsets"]
            for place in (start, (start + end) // 2, max(start, end - _PROBE_BYTES)):
                file.seek(base + place)
                yield file.read(min(_PROBE_BYTES, end - place))


def _tensors(path: Path, name: str) -> dict[str, Any]:
    """A safetensors header, by tensor: dtype, shape and data_offsets. Raises BadInput where the file is cut short."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            tensors: dict[str, Any] = json.loads(file.read(min(length, _LARGEST_HEADER_BYTES)))
        tensors.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
    except (OSError, ValueError, AttributeError, LookupError, TypeError) as error:
        raise _damaged(name, path, "it is no safetensors file") from error
    if size != 8 + length + end:
        raise _damaged(name, path, f"it has {size} bytes instead of {8 + length + end}")
    return tensors


def _shards(path: Path, name: str) -> set[str]:
    if not path.name.endswith(".safetensors.index.json"):
        return set()
    try:
        return set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _damaged(name, path, "it cannot be read") from error


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _damaged(name: str, path: Path, what: str) -> BadInput:
    return BadInput(f"prior '{name}' is damaged: {path}: {what}; download or copy it again")
