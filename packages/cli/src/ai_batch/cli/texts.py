"""How numbers, times and money are written for people."""

from __future__ import annotations

__all__ = ["age", "count", "moment", "money"]


def count(number: int) -> str:
    """``12,345``, and ``1.2M`` from a million on."""
    return f"{number / 1e6:,.1f}M" if number >= 1_000_000 else f"{number:,}"


def plural(number: int, word: str) -> str:
    """``1 batch``, ``2 batches``."""
    ending = "" if number == 1 else "es" if word.endswith("ch") else "s"
    return f"{count(number)} {word}{ending}"


def money(dollars: float | None) -> str:
    """USD with as many digits as say something; ``price unknown`` where it is not."""
    if dollars is None:
        return "price unknown"
    if dollars == 0 or dollars >= 1:
        return f"${dollars:,.2f}"
    return f"${dollars:.4f}" if dollars >= 0.0001 else "<$0.0001"


def age(seconds: float | None) -> str:
    """``42s``, ``3m 05s``, ``2h 10m``, ``3d 4h``; a dash where it is not known."""
    if seconds is None:
        return "-"
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d {whole % 86_400 // 3600}h"


def moment(at: float) -> str:
    """A time of day of this machine, with its date."""
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
