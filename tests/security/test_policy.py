"""What SECURITY.md says is said in one way everywhere."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_documentation_has_the_same_policy() -> None:
    """GitHub looks for the file at the top, the site for a page: both are the same text."""
    policy = (ROOT / "SECURITY.md").read_text("utf-8")
    assert (ROOT / "docs" / "security.md").read_text("utf-8") == policy
    assert "](SECURITY.md)" in (ROOT / "README.md").read_text("utf-8")
    assert '"security.md"' in (ROOT / "zensical.toml").read_text("utf-8")
