"""One small cluster for all tests that need one, and configs before an emulator."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ai_batch.emulator import Emulator
from ai_batch.ray import BatchAPIProcessorConfig

CANARY = "sk-canary-0123456789abcdef"
"""The key on all machines of the cluster."""

MakeConfig = Callable[..., BatchAPIProcessorConfig]


@dataclass(frozen=True)
class Cluster:
    """A running cluster: where it is, and where it logs."""

    address: str
    logs: Path
    data: Any
    """``ray.data``."""


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a distribution that brings one more provider."""
    folder = tmp_path_factory.mktemp("plugins")
    shutil.copy(Path(__file__).with_name("mortal.py"), folder)
    about = folder / "mortal-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mortal\nVersion: 1.0\n")
    entry = "[ai_batch.providers]\nmortal = mortal:MortalProcessor\n"
    (about / "entry_points.txt").write_text(entry)
    return folder


@pytest.fixture(scope="session")
def cluster(plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of one machine, which has the key that its workers read."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        # The run's own folder; a second cluster would take a gigabyte more.
        (tmp_path_factory.getbasetemp().parent / "one-cluster").touch(exist_ok=False)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What Ray leaves open is not ours.
        for name in [name for name in os.environ if name.startswith("AI_BATCH_")]:
            patch.delenv(name)
        patch.setenv("OPENAI_API_KEY", CANARY)
        patch.setenv("ANTHROPIC_API_KEY", CANARY)
        patch.setenv("PYTHONPATH", str(plugins))
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Else its processes step back behind all other tests, and take minutes.
        patch.setenv("RAY_worker_niceness", "0")
        import ray
        import ray.data

        library: Any = ray
        data: Any = ray.data
        context = library.init(
            address="local",
            _node_ip_address="127.0.0.1",  # Else an old Ray asks a server of Google which it is.
            num_cpus=2,
            object_store_memory=150 << 20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
        )
        data.DataContext.get_current().enable_progress_bars = False
        # Else Ray cuts a file of ten rows into two hundred blocks, most of them empty.
        data.DataContext.get_current().read_op_min_num_blocks = 4
        logs = Path(context.address_info["session_dir"]) / "logs"
        yield Cluster(context.address_info["gcs_address"], logs, data)
        library.shutdown()


@pytest.fixture
def key() -> str:
    """The key that must not be seen anywhere."""
    return CANARY


@pytest.fixture
def make_config(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plugins: Path
) -> MakeConfig:
    """Make a config for a job before the emulator."""
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setattr(sys, "path", [str(plugins), *sys.path])

    def make(**given: Any) -> BatchAPIProcessorConfig:
        options = {"base_url": emulator.openai_url, "poll_interval": 0.05, "settle_wait": 0.3}
        fields: dict[str, Any] = {
            "provider": "openai",
            "model": "gpt-4o-mini",
            "job": "job",
            "home": tmp_path / "home",
            "batch_size": 10,
        }
        fields |= given
        return BatchAPIProcessorConfig(**{**fields, "options": options | given.get("options", {})})

    return make
