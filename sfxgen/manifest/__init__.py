"""YAML manifests → typed sounds, with every fault named by file, line and column."""
