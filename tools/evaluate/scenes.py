"""A thousand scenes of random bodies, actions and poses: none may leave the numbers, gain energy or click.

    python tools/evaluate/scenes.py [--scenes 1000] [--first 0]

Prints what failed, scene by scene, and the slowest; exits with 1 when any failed. Some fifteen minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from test_scene_sane import any_scene, check_sane


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    asked = parser.parse_args()
    failed, slowest, most = 0, (0.0, 0), 1.0
    for seed in range(asked.first, asked.first + asked.scenes):
        started = time.process_time()
        try:
            most = max(most, check_sane(seed))
        except Exception as error:  # whatever it is, the next scene shall still run
            failed += 1
            print(f"{seed}: {type(error).__name__} {error}: {any_scene(seed).model_dump_json()}", flush=True)
        slowest = max(slowest, (time.process_time() - started, seed))
    print(
        f"{asked.scenes} scenes, {failed} failed; energy at most {most - 1:.2%} above what was put in; "
        f"slowest {slowest[0]:.1f} s of processor time (seed {slowest[1]})"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
