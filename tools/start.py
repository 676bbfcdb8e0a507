"""Sets sfxgen up and runs it: `python tools/start.py demo`, or test, check, sfxgen.

Needs nothing but Python. The first run makes `.venv` and installs into it; later runs go straight to work.
This file stays readable to any Python, so that one which is too old gets an answer instead of a syntax error.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (the one place that an older Python reaches)
    found = sys.version.split()[0]
    sys.exit("sfxgen needs Python 3.11 or newer; this is " + found + ": try `python3.13 tools/start.py`")

if __name__ == "__main__":
    from commands import main

    sys.exit(main(sys.argv[1:]))
