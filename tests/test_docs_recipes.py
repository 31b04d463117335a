"""The recipes in the documentation are those that are tested."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "guides" / "clusters.md"
SHOWN = re.compile(r"^<!-- (\S+) -->\n```[a-z]+.*\n((?:.*\n)*?)```", re.MULTILINE)


def test_each_recipe_is_shown_as_it_is() -> None:
    """A reader copies what was run, and finds every recipe there is."""
    shown = dict(SHOWN.findall(PAGE.read_text("utf-8")))
    there = {path.relative_to(ROOT).as_posix(): path for path in ROOT.glob("examples/recipes/*.*")}

    assert shown == {name: path.read_text("utf-8") for name, path in there.items()}


def test_each_recipe_has_its_test() -> None:
    """Which calls what the page shows."""
    recipes = {path.stem for path in ROOT.glob("examples/recipes/*.py")}
    tested = {path.stem.removeprefix("test_") for path in ROOT.glob("tests/recipes/test_*.py")}

    assert recipes == tested
