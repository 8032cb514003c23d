"""Assignments: their sources, the students' versions, and the judge. Imports numpy until a notebook is read."""
