"""How a body's motion becomes sound in the air around it."""
