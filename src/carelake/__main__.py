"""`python -m carelake` is the command line."""

from .serve.cli import main

main()
