"""What the tests of Google's providers share."""

from __future__ import annotations

import sys
from pathlib import Path

# Tests have no package of their own; this makes ``packages.gemini.tests`` one, as for mypy.
sys.path.append(str(Path(__file__).parents[3]))
