"""What score distillation costs at the real size of Stable Audio Open 1.0: `python tools/bench_distill.py`.

Random weights in its published configuration, through the project's own adapter; each case in a process of its own, so
that its peak of memory is its own. Prints one JSON line: the cases with seconds a step (by the clock, and of the
processors), the parts of a step and the peak of memory (GB), and what follows for a machine of 24 GB. Text is encoded
once a prompt, so the T5 encoder is not run: random states of its shape take its place, and its weights are counted in.
Some minutes on two cores. `--gpu` runs batches on an NVIDIA GPU in float16 instead, and one step of a sound on the CPU
beside them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from peak import peak_bytes

if TYPE_CHECKING:
    from sfxgen.priors.stable_audio import StableAudio

GUIDANCE, N_TOKENS, WIDTH = 7.0, 128, 768
T5_BASE = {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12, "vocab_size": 32128}
MACHINE_GB = 24.0
# name: what a case is told on the command line. The last two differ in nothing but what the gradient goes through.
CASES: dict[str, list[str]] = {
    "5 s": ["--seconds", "5"],
    "5 s, two sounds": ["--seconds", "5", "--batch", "2"],
    "5 s, float32": ["--seconds", "5", "--dtype", "float32"],
    "1 s, Decoder-SDS": ["--seconds", "1", "--dtype", "float32"],
    "1 s, through the encoder": ["--seconds", "1", "--dtype", "float32", "--encoder"],
}
PARTS = ("encode", "network", "decode")
GPU_BATCHES, GPU_STEPS = (1, 4, 8), 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="store_true", help="one case, here; without it all, each in a process")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16", help="of the weights")
    parser.add_argument("--encoder", action="store_true", help="the gradient through the encoder, not Decoder-SDS")
    parser.add_argument("--variant", choices=("", "autocast", "compile", "channels_last"), default="", help="of a case")
    parser.add_argument("--steps", type=int, default=1, help="the median of so many; at this size none must warm up")
    parser.add_argument("--gpu", action="store_true", help="batches of 5 s on an NVIDIA GPU, float16")
    options = parser.parse_args()
    if options.gpu:
        on_cpu = _apart(["--case", "--seconds", "5", "--dtype", "float32"])
        print(json.dumps({"cases": {**on_gpu(options), "5 s, one sound, the CPU in float32": on_cpu}}))
        return
    if options.case:
        print(json.dumps(case(options)))
        return
    cases: dict[str, dict[str, Any]] = {}
    for name, words in CASES.items():
        cases[name] = _apart(["--case", "--steps", str(options.steps), *words])
        print(f"{name}: {json.dumps(cases[name])}", file=sys.stderr, flush=True)
    print(json.dumps({"cases": cases, "fit": fit(cases)}))


def _apart(words: list[str]) -> dict[str, Any]:
    done = subprocess.run([sys.executable, __file__, *words], check=True, capture_output=True, text=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def fit(cases: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """How many sounds of 5 s at once a machine of 24 GB holds, in the two-byte precision."""
    one, two = cases["5 s"], cases["5 s, two sounds"]
    t5_gb = two["t5_parameters"] * 2 / 1e9
    of_a_sound_gb = max(two["peak_gb"] - one["peak_gb"], 1e-3)
    n_sounds = 1 + int((MACHINE_GB - one["peak_gb"] - t5_gb) / of_a_sound_gb)
    return {"machine_gb": MACHINE_GB, "t5_gb": t5_gb, "of_a_sound_gb": of_a_sound_gb, "sounds_at_once": n_sounds}


def case(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of a step of `distil` with its default settings but for guidance, and where they go."""
    import torch

    warnings.simplefilter("ignore")
    prior = real_size(getattr(torch, options.dtype))
    timed = Timed(prior)
    _vary(prior, options.variant)
    around = torch.autocast("cpu", torch.bfloat16) if options.variant == "autocast" else nullcontext()
    wall_s, cpu_s = [], []
    with around:
        for _ in range(options.steps):
            began, began_cpu = time.perf_counter(), time.process_time()
            distil_once(prior, options)
            wall_s.append(time.perf_counter() - began)
            cpu_s.append(time.process_time() - began_cpu)
    return {
        "step_s": statistics.median(wall_s),
        "step_cpu_s": statistics.median(cpu_s),
        "parts_cpu_s": {name: total / options.steps for name, total in timed.seconds.items()},
        "peak_gb": peak_bytes() / 1e9,
        "weights_gb": _bytes(prior.pipe.transformer, prior.pipe.vae) / 1e9,
        "parameters": _parameters(prior.pipe.transformer, prior.pipe.vae),
        "t5_parameters": _t5_parameters(),
        "threads": torch.get_num_threads(),
        "text": "random states in place of T5",
    }


def on_gpu(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Decoder-SDS and plain SDS of batches, as reproducibly as a build: seconds a step, its parts, peak of GPU memory.

    The parts are of one more step, in which each waits for the GPU.
    """
    import torch

    from sfxgen.priors.contract import reproducible

    warnings.simplefilter("ignore")
    prior = real_size(torch.float16, "cuda")
    cases: dict[str, dict[str, Any]] = {}
    with reproducible(prior):
        for options.encoder in (False, True):
            for options.batch in GPU_BATCHES:
                distil_once(prior, options)  # warms up
                torch.cuda.reset_peak_memory_stats()
                seconds = [_waited_for(lambda: distil_once(prior, options)) for _ in range(GPU_STEPS)]
                how = "through the encoder" if options.encoder else "Decoder-SDS"
                cases[f"{options.seconds:g} s, {options.batch} at once, {how}"] = {
                    "step_s": statistics.median(seconds),
                    "slowest_s": max(seconds),
                    "peak_gb": torch.cuda.max_memory_allocated() / 1e9,
                    "parts_s": _parts_on_gpu(prior, options),
                    "device": torch.cuda.get_device_name(),
                }
    return cases


def _parts_on_gpu(prior: StableAudio, options: argparse.Namespace) -> dict[str, float]:
    import torch

    def now_s() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    timed = Timed(prior, now_s)
    try:
        distil_once(prior, options)
    finally:
        timed.stop()
    return timed.seconds


def _waited_for(work: Callable[[], object]) -> float:
    """Seconds until the GPU has done it."""
    import torch

    began = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def real_size(dtype: Any, device: str = "cpu") -> StableAudio:
    """Stable Audio Open 1.0 as its files describe it; diffusers' defaults are its configuration."""
    import torch

    from sfxgen.priors.stable_audio import StableAudio

    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)  # so that no copy in another precision is ever made
    with torch.device(device):
        pipe = _pipeline()
    torch.set_default_dtype(before)
    return StableAudio(pipe, "stable audio open, random weights")


def _pipeline() -> Any:
    from diffusers import (
        AutoencoderOobleck,
        StableAudioDiTModel,
        StableAudioPipeline,
        StableAudioProjectionModel,
    )

    return StableAudioPipeline(
        vae=AutoencoderOobleck(
            encoder_hidden_size=128,
            downsampling_ratios=[2, 4, 4, 8, 8],
            channel_multiples=[1, 2, 4, 8, 16],
            decoder_channels=128,
            decoder_input_channels=64,
        ),
        text_encoder=None,
        projection_model=StableAudioProjectionModel(WIDTH, WIDTH, min_value=0, max_value=512),
        tokenizer=None,
        transformer=StableAudioDiTModel(
            num_layers=24,
            attention_head_dim=64,
            num_attention_heads=24,
            num_key_value_attention_heads=12,
            cross_attention_dim=768,
            global_states_input_dim=1536,
        ),
        scheduler=None,  # score distillation needs none
    )


def distil_once(prior: StableAudio, options: argparse.Namespace) -> None:
    import torch

    from sfxgen.distill.optimise import Settings, Start, distil
    from sfxgen.generate.tunable_fm import FmRenderer
    from sfxgen.manifest.fm import Fm, Operator
    from sfxgen.priors.contract import Condition

    spec = Fm(operators=(Operator(), Operator(ratio=2.0)), modulation=((0.0, 1.0), (0.0, 0.0)))
    renderer = FmRenderer(spec, options.seconds, prior.rate_hz)
    rng = torch.Generator().manual_seed(0)
    encoded = {
        "cross": torch.randn(options.batch, N_TOKENS + 2, WIDTH, generator=rng).to(prior.device, prior.weights_dtype),
        "globals": torch.randn(options.batch, 1, 2 * WIDTH, generator=rng).to(prior.device, prior.weights_dtype),
    }
    condition = Condition(("a prompt",) * options.batch, options.seconds, encoded)
    starts = [Start(renderer, "a prompt", seed) for seed in range(options.batch)]
    distil(starts, prior, condition, Settings(n_steps=1, guidance=(GUIDANCE, GUIDANCE), encoder=options.encoder))


class Timed:
    """Adds up the seconds in a prior's parts, by name. By default the processor's, so that what other processes take
    does not count. The gradient's way back and the renderer are what is left.
    """

    def __init__(self, prior: StableAudio, clock: Callable[[], float] = time.process_time) -> None:
        self.seconds: dict[str, float] = {}
        self._prior, self._clock = prior, clock
        for name in PARTS:
            setattr(prior, name, self._watched(name, getattr(prior, name)))

    def stop(self) -> None:
        for name in PARTS:
            delattr(self._prior, name)

    def _watched(self, name: str, work: Any) -> Any:
        def timed(*given: Any) -> Any:
            began = self._clock()
            try:
                return work(*given)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + self._clock() - began

        return timed


def _vary(prior: StableAudio, variant: str) -> None:
    """What might pay, to be measured: the seconds of a case with it beside those without."""
    import torch

    if variant == "compile":
        prior.pipe.transformer.compile()
        prior.pipe.vae.decoder.compile()
    elif variant == "channels_last":  # of convolutions over time: as pictures one line high
        for module in prior.pipe.vae.modules():
            if isinstance(module, torch.nn.Conv1d):
                module.weight.data = module.weight.data.transpose(1, 2).contiguous().transpose(1, 2)


def _parameters(*networks: Any) -> int:
    return sum(weights.numel() for network in networks for weights in network.parameters())


def _bytes(*networks: Any) -> int:
    return sum(weights.numel() * weights.element_size() for network in networks for weights in network.parameters())


def _t5_parameters() -> int:
    import torch
    from transformers import T5Config, T5EncoderModel

    with torch.device("meta"):
        return _parameters(T5EncoderModel(T5Config(**T5_BASE)))


if __name__ == "__main__":
    main()
