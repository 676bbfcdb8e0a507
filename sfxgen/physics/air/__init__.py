"""How a body's motion becomes sound in the air around it."""

SOUND_SPEED_M_S = 343.0  # at 20 °C
