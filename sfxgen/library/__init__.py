"""Captioned log-mels of recordings: the format, the one that ships, and a studio's own."""
