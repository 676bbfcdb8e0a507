"""What of a spectrogram is speech and what is noise that goes on: a tracked noise floor and the gain that it leaves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PRESENT_DB = 15.0  # how far speech, where it is present, is taken to lie above the noise (Gerkmann & Hendriks 2012)
SLOW_PRESENCE, SLOW_NOISE = 0.9, 0.75  # smoothing from frame to frame
STUCK = 0.99  # a place that seems to be speech for so long may be a noise that rose
QUIET_PERCENTILE = 15.0  # of a bin's power over time, where tracking starts
DECISION = 0.98  # of the decision-directed estimate
LEAST_XI, LEAST_GAIN = 10.0**-2.5, 0.1
_TINY = 1e-14


def speech_gain(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Amplitude gain [bins, frames] within [0.1, 1] that leaves the speech of a power spectrogram of that shape.

    Log-spectral amplitude estimator (Ephraim & Malah 1985, eqs. 20 and 51) over the noise that `noise_power` finds.
    """
    from scipy.special import exp1

    noise = noise_power(power)
    gains = np.ones_like(power)
    before = np.zeros(power.shape[0])
    for frame in range(power.shape[1]):
        gamma = np.minimum(power[:, frame] / noise[:, frame], 1e3)
        xi = np.maximum(DECISION * before / noise[:, frame] + (1.0 - DECISION) * np.maximum(gamma - 1.0, 0.0), LEAST_XI)
        v = xi / (1.0 + xi) * gamma
        gain = np.clip(xi / (1.0 + xi) * np.exp(0.5 * exp1(np.maximum(v, 1e-8))), LEAST_GAIN, 1.0)
        gains[:, frame] = gain
        before = np.square(gain) * power[:, frame]
    return gains


def noise_power(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """The noise's power at each place, [bins, frames] → the same: tracked forwards and backwards, their geometric mean,
    since a recording is known to its end. Of steady white noise it finds 1.3 dB too little."""
    forwards, backwards = _tracked(power), _tracked(power[:, ::-1])[:, ::-1]
    found: NDArray[np.float64] = np.sqrt(forwards * backwards)
    return found


def _tracked(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unbiased minimum mean square error tracking by speech presence (Gerkmann & Hendriks 2012, eqs. 18, 22 to 24)."""
    xi = 10.0 ** (PRESENT_DB / 10.0)
    loudest = float(power.max(initial=0.0))
    noise = 1.5 * np.percentile(power, QUIET_PERCENTILE, axis=1) + 1e-10 * loudest + _TINY
    slow = np.zeros(power.shape[0])
    tracked = np.empty_like(power)
    for frame in range(power.shape[1]):
        now = power[:, frame]
        exponent = np.minimum(now / noise * xi / (1.0 + xi), 200.0)
        present = 1.0 / (1.0 + (1.0 + xi) * np.exp(-exponent))
        slow = SLOW_PRESENCE * slow + (1.0 - SLOW_PRESENCE) * present
        present = np.where(slow > STUCK, np.minimum(present, STUCK), present)
        noise = SLOW_NOISE * noise + (1.0 - SLOW_NOISE) * (present * noise + (1.0 - present) * now) + _TINY
        tracked[:, frame] = noise
    return tracked
