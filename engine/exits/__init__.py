"""Leave: what ends a position, how far each reason is, and at which price we go."""
