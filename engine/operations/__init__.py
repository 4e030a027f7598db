"""Looking after the engine: reports, digests, health."""
