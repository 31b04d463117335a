"""The whole contract."""

from __future__ import annotations

from ai_batch.emulator.contract.calls import CallContract
from ai_batch.emulator.contract.content import ContentContract
from ai_batch.emulator.contract.crash import CrashContract
from ai_batch.emulator.contract.crash_company import CompanyContract
from ai_batch.emulator.contract.fault_table import FaultTableContract
from ai_batch.emulator.contract.faults import FaultContract
from ai_batch.emulator.contract.jobs import JobContract
from ai_batch.emulator.contract.structured import StructuredContract

__all__ = ["ProviderContract"]


class ProviderContract(
    JobContract,
    ContentContract,
    StructuredContract,
    CallContract,
    FaultContract,
    FaultTableContract,
    CrashContract,
    CompanyContract,
):
    """Inherit from it, and set ``subject``: pytest then tests that provider."""
