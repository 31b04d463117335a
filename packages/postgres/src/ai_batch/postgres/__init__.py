"""A ledger in PostgreSQL, for the workers of several machines."""

from ai_batch.postgres.ledger import PostgresLedger

__all__ = ["PostgresLedger"]
