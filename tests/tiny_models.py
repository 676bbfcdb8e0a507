"""The real pipeline classes with networks small enough to build in a blink, random weights, and nothing fetched."""

from __future__ import annotations

import string
from typing import Any

import torch

WORDS = tuple(string.ascii_lowercase)
WIDTH = 16  # of every text state
RATE_HZ = 16_000


def stable_audio(dtype: torch.dtype = torch.float64, seed: int = 0, n_frames: int = 64) -> Any:
    """A StableAudioPipeline: stereo, 8 latent channels, a hop of 8 samples, a window of n_frames."""
    from diffusers import (
        AutoencoderOobleck,
        EDMDPMSolverMultistepScheduler,
        StableAudioDiTModel,
        StableAudioPipeline,
        StableAudioProjectionModel,
    )

    torch.manual_seed(seed)
    transformer = StableAudioDiTModel(
        sample_size=n_frames,
        in_channels=8,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        num_key_value_attention_heads=2,
        out_channels=8,
        cross_attention_dim=12,
        time_proj_dim=8,
        global_states_input_dim=2 * 12,
        cross_attention_input_dim=12,
    )
    vae = AutoencoderOobleck(
        encoder_hidden_size=16,
        downsampling_ratios=[2, 4],
        channel_multiples=[1, 2],
        decoder_channels=8,
        decoder_input_channels=8,
        audio_channels=2,
        sampling_rate=RATE_HZ,
    )
    pipe = StableAudioPipeline(
        vae=vae,
        text_encoder=_t5(),
        projection_model=StableAudioProjectionModel(WIDTH, 12, min_value=0, max_value=32),
        tokenizer=_t5_tokenizer(),
        transformer=transformer,
        scheduler=EDMDPMSolverMultistepScheduler(prediction_type="v_prediction", sigma_data=1.0, solver_order=1),
    )
    return _quiet(pipe, dtype)


def stable_audio_3(dtype: torch.dtype = torch.float64, seed: int = 0, distilled: bool = False) -> Any:
    """A StableAudio3Pipeline: stereo, 8 latent channels, a hop of 4 samples, up to 10 s."""
    from diffusers import (
        AutoencoderSAME,
        FlowMatchEulerDiscreteScheduler,
        StableAudio3DiTModel,
        StableAudio3DurationEmbedder,
        StableAudio3Pipeline,
    )

    torch.manual_seed(seed)
    transformer = StableAudio3DiTModel(
        io_channels=8,
        embed_dim=32,
        depth=2,
        num_heads=4,
        cond_token_dim=WIDTH,
        global_cond_dim=WIDTH,
        local_add_cond_dim=9,
        timestep_features_dim=16,
        ff_mult=2,
        num_memory_tokens=3,
    )
    vae = AutoencoderSAME(
        patch_size=2,
        encoder_channels=8,
        encoder_c_mults=(2,),
        encoder_strides=(2,),
        encoder_transformer_depths=(1,),
        latent_dim=8,
        dim_heads=8,
        ff_mult=2,
        sampling_rate=RATE_HZ,
    )
    _shake(transformer, vae)  # their residual branches begin as zeros, and would hide a wrong input
    pipe = StableAudio3Pipeline(
        vae=vae,
        text_encoder=_t5_gemma(),
        tokenizer=_gemma_tokenizer(),
        duration_embedder=StableAudio3DurationEmbedder(output_dim=WIDTH, fourier_dim=16, max_val=10.0),
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, stochastic_sampling=distilled),
    )
    return _quiet(pipe, dtype)


def audioldm2(dtype: torch.dtype = torch.float64, seed: int = 0, **scheduler: Any) -> Any:
    """An AudioLDM2Pipeline with the real rates: 16 kHz, 64 bands, hop 160; a window of 0.64 s."""
    from diffusers import (
        AudioLDM2Pipeline,
        AudioLDM2ProjectionModel,
        AudioLDM2UNet2DConditionModel,
        AutoencoderKL,
        DDIMScheduler,
    )
    from transformers import GPT2Config, GPT2LMHeadModel, SpeechT5HifiGan, SpeechT5HifiGanConfig

    torch.manual_seed(seed)
    unet = AudioLDM2UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=([None, 16, WIDTH], [None, 16, WIDTH]),
        attention_head_dim=4,
    )
    vae = AutoencoderKL(
        block_out_channels=[8, 8, 8],
        in_channels=1,
        out_channels=1,
        norm_num_groups=4,
        down_block_types=["DownEncoderBlock2D"] * 3,
        up_block_types=["UpDecoderBlock2D"] * 3,
        latent_channels=4,
        scaling_factor=0.4,
    )
    vocoder = SpeechT5HifiGanConfig(
        model_in_dim=64,
        sampling_rate=RATE_HZ,
        upsample_initial_channel=32,
        upsample_rates=[5, 4, 2, 2, 2],
        upsample_kernel_sizes=[16, 16, 8, 4, 4],
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1]],
        normalize_before=False,
        initializer_range=0.4,  # or it whispers at 1e-11
    )
    gpt2 = GPT2Config(n_embd=16, n_head=2, n_layer=2, vocab_size=8, n_positions=64, bos_token_id=0, eos_token_id=0)
    gpt2.max_new_tokens = 8  # as the checkpoint has it
    table = {"beta_schedule": "scaled_linear", "beta_start": 0.0015, "beta_end": 0.0195, "clip_sample": False}
    clap, features = _clap()
    pipe = AudioLDM2Pipeline(
        vae=vae,
        text_encoder=clap,
        text_encoder_2=_t5(),
        projection_model=AudioLDM2ProjectionModel(16, WIDTH, 16),
        language_model=GPT2LMHeadModel(gpt2),
        tokenizer=_roberta_tokenizer(),
        tokenizer_2=_t5_tokenizer(),
        feature_extractor=features,
        unet=unet,
        scheduler=DDIMScheduler(**{**table, "set_alpha_to_one": False, "steps_offset": 1, **scheduler}),
        vocoder=SpeechT5HifiGan(vocoder),
    )
    return _quiet(pipe, dtype)


def _quiet(pipe: Any, dtype: torch.dtype) -> Any:
    pipe.set_progress_bar_config(disable=True)
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            torch.nn.Module.to(part, dtype)  # diffusers' own `to` would comment on it
    return pipe


@torch.no_grad()
def _shake(*networks: torch.nn.Module) -> None:
    for network in networks:
        for weights in network.parameters():
            weights.add_(0.1 * torch.randn_like(weights))


def _t5() -> Any:
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(vocab_size=32, d_model=WIDTH, d_ff=16, d_kv=8, num_heads=2, num_layers=2, dropout_rate=0.5)
    )


def _t5_gemma() -> Any:
    from transformers import T5GemmaConfig, T5GemmaEncoderModel

    module = {
        "vocab_size": 40,
        "hidden_size": WIDTH,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "max_position_embeddings": 64,
        "sliding_window": 32,
        "layer_types": ["full_attention", "sliding_attention"],
    }
    return T5GemmaEncoderModel(T5GemmaConfig(encoder=module, decoder=module, is_encoder_decoder=False))


def _clap() -> tuple[Any, Any]:
    from transformers import ClapAudioConfig, ClapConfig, ClapFeatureExtractor, ClapModel, ClapTextConfig

    text = ClapTextConfig(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=16,
        num_attention_heads=2,
        num_hidden_layers=2,
        max_position_embeddings=40,
        pad_token_id=1,
        projection_dim=16,
    )
    audio = ClapAudioConfig(
        spec_size=64,
        window_size=4,
        num_mel_bins=64,
        depths=[1, 1],
        num_attention_heads=[2, 2],
        num_hidden_layers=2,
        hidden_size=32,
        projection_dim=16,
        patch_size=4,
        patch_stride=4,
        patch_embed_input_channels=1,
        patch_embeds_hidden_size=16,
    )
    config = ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=16)
    return ClapModel(config), ClapFeatureExtractor()


def _t5_tokenizer() -> Any:
    from transformers import T5TokenizerFast

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((letter, -3.0) for letter in WORDS)]
    return T5TokenizerFast(vocab=pieces, extra_ids=0, model_max_length=24)


def _gemma_tokenizer() -> Any:
    from transformers import GemmaTokenizerFast

    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *WORDS]
    return GemmaTokenizerFast(vocab={piece: number for number, piece in enumerate(pieces)}, model_max_length=24)


def _roberta_tokenizer() -> Any:
    from transformers import RobertaTokenizerFast

    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "Ġ", *WORDS]
    return RobertaTokenizerFast(vocab={piece: number for number, piece in enumerate(pieces)}, model_max_length=24)
