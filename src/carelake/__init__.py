"""CareLake: an open healthcare lakehouse. `carelake.pipeline` is where to start reading."""

from __future__ import annotations

__version__ = "0.1.0"
