"""The engine: a signal's journey from webhook to closed trade, in the order of this folder's rooms.

It knows no screen (no Qt) and no database; both meet it through `engine.ports` and `engine.domain`.
"""
