"""What can go wrong with the ledger, named so that the caller knows what to do: wait, stop, or choose another database.

`LedgerAway` (wait and retry) belongs to the port: see `engine.ports`.
"""

from __future__ import annotations


class StorageError(Exception):
    """Base of the storage's own errors. The message is meant for a person."""


class ServerError(StorageError):
    """The embedded server cannot be found, made, started or stopped; the message says which and shows its log."""


class DatabaseError(StorageError):
    """The database cannot be used: wrong encoding, too old, not ours, or not to be migrated."""


class EngineRunning(StorageError):
    """Another engine writes to this database. Two engines never share a ledger; the message names the holder."""


class LedgerFailed(StorageError):
    """The ledger cannot go on: a fact can neither be written nor be waited for. The engine must stop."""


class ChainForked(LedgerFailed):
    """The chain in the database is not the one this engine wrote: another writer, a restored backup, or tampering."""


class BackupFailed(StorageError):
    """There is no sound backup, or it could not be restored; what was there before is untouched."""


class SpoolFull(StorageError):
    """The spool cannot take more: the disk, a quota or its own limit is reached. What it holds is safe."""


class SpoolDamaged(LedgerFailed):
    """A file of the spool is not what was written there. Acknowledged facts may be in it: nothing goes on past it."""
