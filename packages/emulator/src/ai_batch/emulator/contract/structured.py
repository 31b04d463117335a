"""Answers of a type: the schema that goes to the vendor, and what the text becomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from ai_batch.core import BatchResponse, ChatRequest, Result, UsageError
from ai_batch.emulator.contract.laboratory import Laboratory
from ai_batch.emulator.contract.laboratory_fixtures import MakeLab, WithLaboratory, needs
from ai_batch.emulator.contract.output_types import CASES, RECURSIVE, Case, Place
from ai_batch.emulator.contract.spoken import TOKENS, Scripted

__all__ = ["StructuredContract"]

MISFIT = '{"city":"Oslo"}'
PROSE = "I would rather say it in my own words."


def asked(cases: Mapping[str, Case]) -> list[ChatRequest]:
    """A request for each of the types."""
    return [
        ChatRequest(id=name, messages=f"an example of {name}", output_type=case.output_type)
        for name, case in cases.items()
    ]


def answering(cases: Mapping[str, Case]) -> Scripted:
    """A vendor that answers each of these requests with its case's text."""
    return Scripted({f"an example of {name}": [case.text] for name, case in cases.items()})


def parsed_of(results: Iterable[Result]) -> dict[str, object]:
    """What the answers have become, by the requests' ids; or their errors."""
    return {one.id: one.chat.parsed if one.chat else one.error for one in results}


def ask_for_places(lab: Laboratory, *words: str, **options: Any) -> BatchResponse:
    """Ask for a place in these words."""
    requests = [ChatRequest(id=one, messages=one, output_type=Place) for one in words]
    return lab.processor(**options).process(requests)


class StructuredContract(WithLaboratory):
    """What the vendor is asked for is what the caller gets, or the item's error."""

    @needs("structured")
    def test_every_type_comes_back_as_itself(self, make_lab: MakeLab) -> None:
        """Models, dataclasses, typed dicts and JSON schemas, whatever they are made of."""
        lab = make_lab(answer=answering(CASES))
        found = parsed_of(lab.processor().process(asked(CASES)))
        assert found == {name: case.parsed for name, case in CASES.items()}
        for name, value in found.items():
            assert type(value) is type(CASES[name].parsed)

    @needs("structured")
    def test_the_vendor_takes_every_schema(self, lab: Laboratory) -> None:
        """No schema is refused, and each answer is JSON: the emulator answers by the schema."""
        response = lab.processor().process(asked(CASES))
        refused = {one.id: str(one.error) for one in response if one.error}
        # What a vendor's schemas can't say is left to the model, and checked when it answers.
        assert [text for text in refused.values() if "invalid_output" not in text] == []
        assert lab.emulator.stats.items_billed == len(CASES)
        sure = {"nested", "optional", "unions", "dataclass", "typed dict", "json schema"}
        assert not sure & refused.keys(), refused

    @needs("structured", "recursive_types")
    def test_types_may_hold_themselves(self, make_lab: MakeLab) -> None:
        """A tree, and two models that hold each other."""
        lab = make_lab(answer=answering(RECURSIVE))
        found = parsed_of(lab.processor().process(asked(RECURSIVE)))
        assert found == {name: case.parsed for name, case in RECURSIVE.items()}

    @needs("structured", "flat_types")
    def test_types_that_hold_themselves_are_refused_at_once(self, lab: Laboratory) -> None:
        """The vendor's schemas can't say them: that is told before anything is sent."""
        with pytest.raises(UsageError) as raised:
            lab.processor().process(asked(RECURSIVE))
        problems = raised.value.problems
        assert [(one.id, one.field) for one in problems] == [
            (name, "output_type") for name in RECURSIVE
        ]
        assert all("itself" in one.message for one in problems)
        assert lab.emulator.stats.requests == {}

    @needs("structured")
    def test_a_misfit_is_its_items_error(self, make_lab: MakeLab) -> None:
        """The text is kept, the tokens are counted, and nobody else's answer suffers."""
        script = {"fits": [CASES["nested"].text], "lacks": [MISFIT], "prose": [PROSE]}
        lab = make_lab(answer=Scripted(script))
        response = ask_for_places(lab, "fits", "lacks", "prose")
        fits, lacks, prose = response
        assert fits.chat is not None
        assert fits.chat.parsed == CASES["nested"].parsed
        for result, text in ((lacks, MISFIT), (prose, PROSE)):
            assert result.error is not None
            assert (result.error.code, result.error.retryable) == ("invalid_output", False)
            assert result.error.raw == text
            assert "Place" in result.error.message
        assert (response.completed, response.failed) == (1, 2)
        assert response.usage.input_tokens == 3 * TOKENS[0]

    @needs("structured")
    def test_a_misfit_may_be_asked_again(self, make_lab: MakeLab) -> None:
        """With ``retry_invalid`` only what did not fit is asked again, and all is counted."""
        good = CASES["nested"].text
        script = Scripted({"fits": [good], "later": [PROSE, good], "never": [MISFIT]})
        lab = make_lab(answer=script)
        response = ask_for_places(lab, "fits", "later", "never", retry_invalid=True, max_attempts=2)
        fits, later, never = response
        assert (fits.attempts, later.attempts, never.attempts) == (1, 2, 2)
        assert later.chat is not None
        assert later.chat.parsed == CASES["nested"].parsed
        assert never.error is not None
        assert never.error.raw == MISFIT
        assert sorted(script.asked) == ["fits", "later", "later", "never", "never"]
        assert response.usage.output_tokens == 5 * TOKENS[1]
