"""Proves that the ledger is whole. `verify` is the only entry; `facts` walks the chain, `guards` looks at what protects it."""

from storage.verify.whole import verify

__all__ = ["verify"]
