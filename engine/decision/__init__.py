"""Decide: which signals count, and what follows from them. The rules are frozen, pure and versioned."""
