"""What the parts of the contract share: a subject, and laboratories for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

from ai_batch.emulator.contract.laboratory import Laboratory
from ai_batch.emulator.contract.subject import Feature, Subject
from ai_batch.emulator.emulator import Emulator
from ai_batch.emulator.surface import Surface

__all__ = ["MakeLab", "WithLaboratory", "needs"]

MakeLab = Callable[..., Laboratory]
TestT = TypeVar("TestT")

NEEDS = "ai_batch_needs"


def needs(*wanted: str) -> Callable[[TestT], TestT]:
    """Mark a test that only subjects with these features (or of this kind) are given."""

    def mark(test: TestT) -> TestT:
        setattr(test, NEEDS, frozenset(wanted))
        return test

    return mark


class WithLaboratory:
    """Tests of one subject; those of features that it does not have are left out.

    ``leave_out`` names further ones, for which a vendor's library has rules of its own.
    """

    subject: ClassVar[Subject]
    leave_out: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **options: Any) -> None:
        """Take the tests away that the subject's vendor has nothing for."""
        super().__init_subclass__(**options)
        subject: Subject | None = getattr(cls, "subject", None)
        if subject is None:
            return
        able: frozenset[Feature | str] = subject.features | {subject.kind}
        for name in dir(cls):
            needed = getattr(getattr(cls, name), NEEDS, frozenset[str]())
            if name in cls.leave_out or not needed <= able:
                setattr(cls, name, None)

    @pytest.fixture
    def make_lab(self, tmp_path: Path) -> Iterator[MakeLab]:
        """Make a laboratory whose emulator has these options."""
        with ExitStack() as stack:

            def make(
                emulator: Surface | None = None,
                speed: float = 50.0,
                home: str = "home",
                **options: Any,
            ) -> Laboratory:
                if emulator is None:
                    emulator = stack.enter_context(Emulator(**options))
                lab = Laboratory(self.subject, emulator, tmp_path / home, speed)
                stack.callback(lab.close)
                return lab

            yield make

    @pytest.fixture
    def lab(self, make_lab: MakeLab) -> Laboratory:
        """A laboratory with an emulator as it comes."""
        return make_lab()
