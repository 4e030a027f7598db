"""What the eye sees: panels draw views and emit intents. No widget waits for I/O or subscribes to the engine."""
