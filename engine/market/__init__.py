"""See: quotes, chains and bars from a simulated exchange, a recorded day, or what a feed pushes. All behind the Quotes port."""
