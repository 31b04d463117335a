"""The job's requests on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_batch.core import ChatRequest, EmbeddingRequest
from ai_batch.core.requestlog import RequestLog, RequestWriter, dump_request, head_of
from ai_batch.core.seals import SpoolDamaged
from ai_batch.core.spool import JobFolder

words = st.text(min_size=1, max_size=30)
metadata = st.none() | st.dictionaries(words, words, max_size=2)
requests = st.one_of(
    st.builds(ChatRequest, id=words, messages=words, metadata=metadata),
    st.builds(
        EmbeddingRequest,
        id=words,
        texts=st.lists(words, min_size=1, max_size=3),
        metadata=metadata,
    ),
)


def write(folder: JobFolder, asked: list[ChatRequest | EmbeddingRequest]) -> None:
    """Put requests on disk."""
    writer = RequestWriter(folder)
    for request in asked:
        writer.append(dump_request(request))
    writer.finish()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(requests, min_size=1, max_size=8))
def test_requests_are_read_by_their_index(
    tmp_path: Path, asked: list[ChatRequest | EmbeddingRequest]
) -> None:
    """Any text, any order."""
    folder = JobFolder(tmp_path)
    write(folder, asked)

    with RequestLog(folder) as log:
        for index in reversed(range(len(asked))):
            assert log.request(index) == asked[index]
            assert log.id(index) == asked[index].id
            assert log.head(index).metadata == asked[index].metadata
        assert list(log.ids(0)) == [request.id for request in asked]
        assert [head_of(line).metadata for line in log.lines(0)] == [
            request.metadata for request in asked
        ]
        assert list(log.ids(len(asked) // 2)) == [r.id for r in asked[len(asked) // 2 :]]


def test_a_log_that_is_gone_cannot_be_opened(tmp_path: Path) -> None:
    """Reading results without the job's requests fails at once."""
    with pytest.raises(SpoolDamaged, match=r"requests\.jsonl is damaged: it is missing"):
        RequestLog(JobFolder(tmp_path))
