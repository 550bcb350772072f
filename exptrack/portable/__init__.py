"""The file as a unit of exchange: verify it.

Begin with `verification`.
"""
