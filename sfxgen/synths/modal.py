"""A bank of decaying sinusoids: what a struck body sounds like."""

from __future__ import annotations

import torch
from torch import Tensor, nn

BLOCK = 384  # frames a block; 384 and 512 were the fastest of 128…1024 for 100 modes of 3 s on one core


class ModalSynth(nn.Module):
    """y[n] = Σ a e^{-d n / rate} sin(2 π f n / rate + φ) over the modes.

    Parameters, each of shape [batch, modes], float64: log_frequency (log Hz), log_decay (log 1/s), amplitude
    (linear), phase (rad). log_frequency and log_decay may have a batch of 1, shared by all rows: bodies struck in
    several ways cost less than several bodies. All are optimisable; render under `torch.inference_mode()` otherwise.
    """

    def __init__(
        self, frequency_hz: Tensor, decay_per_s: Tensor, amplitude: Tensor, rate_hz: int, phase: Tensor | None = None
    ) -> None:
        """frequency_hz > 0, decay_per_s > 0: [modes], [1, modes] or [batch, modes]; amplitude, phase: [batch, modes].

        Raises ValueError where the shapes do not fit or a frequency or decay is not positive.
        """
        super().__init__()
        if frequency_hz.ndim == 1 and decay_per_s.ndim == 1:
            frequency_hz, decay_per_s = frequency_hz[None], decay_per_s[None]
        given = [tuple(t.shape) for t in (frequency_hz, decay_per_s, amplitude, *([] if phase is None else [phase]))]
        rows = {tuple(amplitude.shape), (1, *amplitude.shape[1:])}
        fits = amplitude.ndim == 2 and given[0] == given[1] and given[0] in rows and given[-1] == given[2]
        if not fits:
            raise ValueError(f"expected amplitudes [batch, modes] and parameters that match, got shapes {given}")
        if not (frequency_hz > 0).all() or not (decay_per_s > 0).all():
            raise ValueError("frequencies and decays must be positive")
        self.rate_hz = rate_hz
        self.log_frequency = nn.Parameter(frequency_hz.double().log())
        self.log_decay = nn.Parameter(decay_per_s.double().log())
        self.amplitude = nn.Parameter(amplitude.double())
        self.phase = nn.Parameter(torch.zeros_like(self.amplitude) if phase is None else phase.double())

    def forward(self, n_frames: int) -> Tensor:
        """Audio, float32 [batch, n_frames]. Modes at or above half the rate are silent."""
        return ringing(self.log_frequency, self.log_decay, self.amplitude, self.phase, n_frames, self.rate_hz)


def ringing(
    log_frequency: Tensor,
    log_decay: Tensor,
    amplitude: Tensor,
    phase: Tensor,
    n_frames: int,
    rate_hz: int,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """The pure rendering of ModalSynth's parameters: [batch, n_frames] of dtype.

    A block matrix product: with s = -d + iω per frame, frame n = b B + i of a mode is Im(P_b Q_i), where
    P_b = a exp(iφ + s b B) and Q_i = exp(s i). Angles are formed in float64: after 3 s of 20 kHz a float32 angle
    is off by up to 0.02 rad.
    """
    frequency = log_frequency.exp()
    audible = (frequency < rate_hz / 2 * (1 - 1e-12)).to(frequency.dtype)
    omega = 2 * torch.pi * frequency / rate_hz  # rad a frame
    decay = log_decay.exp() / rate_hz
    block_at = BLOCK * torch.arange(-(-n_frames // BLOCK), dtype=torch.float64, device=omega.device)
    frame = torch.arange(BLOCK, dtype=torch.float64, device=omega.device)
    size = (-decay[:, None, :] * block_at[:, None]).exp().to(dtype)
    angle = _wrapped(omega[:, None, :] * block_at[:, None]).to(dtype)
    cosine, sine = size * angle.cos(), size * angle.sin()  # [batch or 1, blocks, modes]
    real = (amplitude * audible * phase.cos()).to(dtype)[:, None, :]
    imaginary = (amplitude * audible * phase.sin()).to(dtype)[:, None, :]
    p = torch.cat([real * cosine - imaginary * sine, real * sine + imaginary * cosine], dim=-1)
    q_size = (-decay[:, :, None] * frame).exp().to(dtype)
    q_angle = _wrapped(omega[:, :, None] * frame).to(dtype)
    q = torch.cat([q_size * q_angle.sin(), q_size * q_angle.cos()], dim=1)  # [batch or 1, 2 modes, BLOCK]
    y = torch.matmul(p, q) if len(q) > 1 else torch.matmul(p.flatten(0, 1), q[0])
    return y.reshape(len(amplitude), len(block_at) * BLOCK)[:, :n_frames]


def _wrapped(angle: Tensor) -> Tensor:
    """The angle within ±π: whole turns are constants, so its gradient is that of the angle."""
    turns = torch.round(angle.detach() / (2 * torch.pi))
    return angle - 2 * torch.pi * turns
