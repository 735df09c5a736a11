"""Untrained networks that draw image and psi (Fig. 1 and Table 4 of the paper), by name in registry.py."""
