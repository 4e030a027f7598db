"""The American kernels, all of them: importing this declares them to the runtime."""

from engine.pricing.kernels.american_boundary import BOUNDARY
from engine.pricing.kernels.american_grid import GRID
from engine.pricing.kernels.american_search import SEARCH
from engine.pricing.kernels.american_shared import SHARED

__all__ = ["BOUNDARY", "GRID", "SEARCH", "SHARED"]
