"""Set the one version of all distributions, and their pins on one another.

python tools/set_version.py 0.2.0     rewrites every packages/*/pyproject.toml
python tools/set_version.py --check   fails unless one and the same version stands everywhere

A sibling is pinned as `~=0.2.0`: a provider never meets an older core, nor the next minor version,
and upgrading one distribution does not break another that is already installed.
"""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RELEASE = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?")
# Two groups: what stays, and the version. Either the project's own, or the pin on a sibling.
PLACES = (
    re.compile(r'^(version = ")([^"]*)', re.MULTILINE),
    re.compile(r'("ai-batch(?:-[a-z]+)?(?:\[[^\]]*\])?~=)([^",; ]*)'),
)


def projects() -> list[Path]:
    """Every distribution's pyproject.toml."""
    return sorted(ROOT.glob("packages/*/pyproject.toml"))


def versions() -> dict[str, set[Path]]:
    """Each version that stands somewhere, and the files that it stands in."""
    found: dict[str, set[Path]] = {}
    for path in projects():
        text = path.read_text("utf-8")
        for place in PLACES:
            for match in place.finditer(text):
                found.setdefault(match[2], set()).add(path.relative_to(ROOT))
    return found


def check() -> int:
    """Say which version stands where, unless it is the same everywhere."""
    found = versions()
    if len(found) == 1:
        return 0
    for version, paths in sorted(found.items()):
        print(f"{version}: {', '.join(sorted(map(str, paths)))}", file=sys.stderr)
    print("There must be exactly one version.", file=sys.stderr)
    return 1


def rewrite(version: str) -> None:
    """Put this version in every place."""
    for path in projects():
        text = path.read_text("utf-8")
        for place in PLACES:
            text = place.sub(rf"\g<1>{version}", text)
        path.write_text(text, "utf-8")


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("version", nargs="?", help="the new version, such as 0.2.0 or 0.2.0rc1")
    parser.add_argument("--check", action="store_true", help="only look whether all are the same")
    options = parser.parse_args()
    if options.check == bool(options.version):
        parser.error("give either a version or --check")
    if options.version:
        if not RELEASE.fullmatch(options.version):
            parser.error(f"not a version: {options.version!r}; 0.2.0 and 0.2.0rc1 are")
        rewrite(options.version)
        print("`make clean test` next: editable installs keep their old version until then.")
    return check()


if __name__ == "__main__":
    sys.exit(main())
