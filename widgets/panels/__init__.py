"""The panels: each draws one view and says what the trader asked for. None of them knows another, the engine or a database."""
