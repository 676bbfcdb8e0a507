"""Bodies as finite elements, and their modes of vibration."""
