"""Somebody's votes in, one page out: is one reward enough, how many groups are there, what cannot be told.

Chapter 11.
"""

from .whole import Audit, audit_votes

__all__ = ["Audit", "audit_votes"]
