"""Send: orders and their states, the oversell guard, fees, honest fills, and the paper broker."""
