"""The start of a solve, without iterations of a network: depth by likelihood, then the image by deconvolution.

In: a capture, a PSF bank, noise and mismatch. Out: psi, its uncertainty and the image. Read likelihood.py (how likely
each plane is in each window), smoothing.py (one plane a pixel), feasibility.py (light is never below black), then
initialize.py.
"""
