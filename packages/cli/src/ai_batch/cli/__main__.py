"""Runs the command as ``python -m ai_batch.cli``."""

from ai_batch.cli.app import main

main()
