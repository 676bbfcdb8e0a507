"""Pretrained priors by hub id (`id@revision`) or folder: found, checked, downloaded and opened, always safetensors."""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sfxgen.errors import BadInput, ProgramMissing, SfxgenError
from sfxgen.manifest.paths import is_path
from sfxgen.priors.download import adapter_of, gb, local_folder, need_packages, parse, pull
from sfxgen.priors.folder import INDEX_FILE, digest_of_folder, n_parameters, read_index, weight_files
from sfxgen.priors.hub_errors import first_line
from sfxgen.priors.names import folder_of

if TYPE_CHECKING:
    import torch

    from sfxgen.priors.contract import Prior

_WITHOUT_SAMPLER = ("StableAudioPipeline",)  # its own needs torchsde, and we never use it
_ACTIVATIONS = 1.25  # memory for the weights and what flows through them, as a multiple of the weights


def open_pipeline(
    name: str, root: Path, device: str = "auto", *, dtype: torch.dtype | None = None, download: bool = True
) -> Prior:
    """The prior of a hub id or of a folder with model_index.json (a path, relative to root).

    device: auto (CUDA where there is some, else the CPU), cpu, mps, cuda, cuda:N. dtype: of the networks; float16 on
    CUDA and float32 elsewhere when absent. download: whether what is not on this machine may be fetched.

    Raises SfxgenError with the cure: packages or licence missing, offline, no such model, damaged, pickled, too big.
    """
    need_packages()
    if is_path(name):
        folder = folder_of(name, root)
        digest = digest_of_folder(folder, name)
    else:
        folder = local_folder(name) or (pull(name) if download else _not_here(name))
        digest = f"{parse(name).repo}@{folder.name}"  # a snapshot's folder is named by its commit
    index = read_index(folder / INDEX_FILE, name)
    module, adapter = adapter_of(index.class_name, name)
    place, precision = place_of(device, dtype)
    short = shortage(n_parameters(weight_files(folder, index, name), name) * precision.itemsize, place)
    if short:
        raise SfxgenError(
            f"prior '{name}' {short}; close other programs, choose another device, or use `prior: library`"
        )
    pipe = _load(folder, index.class_name, precision, place, name)
    prior = getattr(importlib.import_module(module), adapter)(pipe, name, f"{digest} {precision}")
    return cast("Prior", prior)


def shortage(weights_bytes: float, device: torch.device) -> str:
    """Why a model of so many bytes cannot run there now; "" where it can."""
    import torch

    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:
        import psutil

        free = psutil.virtual_memory().available
    needed = weights_bytes * _ACTIVATIONS
    return f"needs about {gb(needed)} of memory, and {device} has {gb(free)} free" if needed > free else ""


def place_of(device: str, dtype: torch.dtype | None = None) -> tuple[torch.device, torch.dtype]:
    """The device, and the networks' precision there. Raises SfxgenError where there is no such device."""
    import torch

    try:
        place = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    except RuntimeError as error:
        raise BadInput(f"device '{device}' is none that torch knows; use auto, cpu, mps, cuda or cuda:N") from error
    n_cuda = torch.cuda.device_count()
    there = {"cpu": True, "cuda": (place.index or 0) < n_cuda, "mps": torch.backends.mps.is_available()}
    if not there.get(place.type, False):
        raise SfxgenError(f"device '{device}' is not there ({n_cuda} CUDA devices); use `device: auto`")
    return place, dtype or (torch.float16 if place.type == "cuda" else torch.float32)


def _load(folder: Path, class_name: str, dtype: torch.dtype, device: torch.device, name: str) -> Any:
    import diffusers
    import torch

    spare: dict[str, Any] = {"scheduler": None} if class_name in _WITHOUT_SAMPLER else {}
    try:
        with _quietly():
            pipe = getattr(diffusers, class_name).from_pretrained(
                folder, dtype=dtype, use_safetensors=True, local_files_only=True, trust_remote_code=False, **spare
            )
            return pipe.to(device)
    except torch.OutOfMemoryError as error:
        raise SfxgenError(f"prior '{name}' does not fit into the memory of {device}; use another device") from error
    except ImportError as error:
        raise ProgramMissing(f"prior '{name}' needs a package that is not installed: {first_line(error)}") from error
    except (
        Exception
    ) as error:  # whatever a wrong file makes diffusers raise, the person must be told which model it was
        raise BadInput(
            f"prior '{name}' cannot be loaded from {folder}: {first_line(error)}; download it again"
        ) from error


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """What two libraries say about themselves while they load is nothing that a person could act on."""
    import diffusers.utils.logging as of_diffusers
    import transformers.utils.logging as of_transformers

    speakers = [(log, log.get_verbosity(), log.is_progress_bar_enabled()) for log in (of_diffusers, of_transformers)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for log, _, _ in speakers:
                log.set_verbosity(50)
                log.disable_progress_bar()
            yield
        finally:
            for log, verbosity, bar in speakers:
                log.set_verbosity(verbosity)
                if bar:
                    log.enable_progress_bar()


def _not_here(name: str) -> Path:
    raise SfxgenError(f"prior '{name}' is not on this machine; `sfxgen priors pull {name}` downloads it")
