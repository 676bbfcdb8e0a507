"""What the air itself takes from sound on its way."""

from __future__ import annotations

import numpy as np

from sfxgen.physics.modal.shapes import Array

_REFERENCE_K, _TRIPLE_K = 293.15, 273.16


def air_db_per_m(frequency_hz: Array, temperature_c: float = 20.0, humidity: float = 0.5) -> Array:
    """Attenuation of pure tones (dB/m) at one atmosphere; humidity: relative, 0 to 1. ISO 9613-1:1993, equations (3) to
    (5) and (B.2), (B.3)."""
    kelvin = temperature_c + 273.15
    relative = kelvin / _REFERENCE_K
    # Molar concentration of water vapour, in per cent, by the pressure of saturation.
    water = 100 * humidity * 10 ** (-6.8346 * (_TRIPLE_K / kelvin) ** 1.261 + 4.6151)
    oxygen_hz = 24 + 4.04e4 * water * (0.02 + water) / (0.391 + water)
    nitrogen_hz = relative**-0.5 * (9 + 280 * water * np.exp(-4.170 * (relative ** (-1 / 3) - 1)))
    squared = frequency_hz**2
    relaxing = 0.01275 * np.exp(-2239.1 / kelvin) / (oxygen_hz + squared / oxygen_hz)
    relaxing = relaxing + 0.1068 * np.exp(-3352.0 / kelvin) / (nitrogen_hz + squared / nitrogen_hz)
    return np.asarray(8.686 * squared * (1.84e-11 * relative**0.5 + relative**-2.5 * relaxing))
