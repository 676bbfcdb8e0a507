"""`python -m sfxgen`."""

from sfxgen.cli import main

main()
