"""What every provider has to be able to do, as tests to inherit.

A provider's own tests say who is tested, and pytest runs the whole contract for it:

    class TestMyProvider(ProviderContract):
        subject = Subject(...)

They drive the real provider, over HTTP, against the emulator: happy paths, damaged rows, cut
connections, and a script that is killed at each of its steps. pytest must be installed.
"""

from ai_batch.emulator.contract.laboratory import Laboratory
from ai_batch.emulator.contract.subject import Feature, Subject
from ai_batch.emulator.contract.suite import ProviderContract

__all__ = ["Feature", "Laboratory", "ProviderContract", "Subject"]
