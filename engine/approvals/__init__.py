"""Approvals: a ticket, how long it lives, when its price is old, and who may answer it when."""
