"""Sound effects for games, made from YAML manifests by impact physics and synthesis."""

__version__ = "0.1.0"
