"""Imported before numpy and torch: sums over one thread only, so that a machine's cores never show in the bytes."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
