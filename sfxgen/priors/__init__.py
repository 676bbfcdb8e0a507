"""Text-conditioned diffusion priors behind one contract: our library, Stable Audio, Stable Audio 3, AudioLDM2."""
