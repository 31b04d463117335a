"""What the tests of the core share."""

import sys
from pathlib import Path

# Tests have no package of their own; this makes ``packages.core.tests`` one, and ``tests`` another,
# as for mypy.
sys.path.append(str(Path(__file__).parents[3]))
