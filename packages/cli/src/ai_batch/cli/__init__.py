"""The command ``ai-batch``: files in, answers out, without writing code."""

__all__: list[str] = []
