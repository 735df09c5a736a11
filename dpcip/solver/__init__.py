"""The solve: generator -> camera -> loss, nothing but the capture and the optics goes in.

In: a capture, a PSF bank, `Settings`. Out: a `Solution`. stepper.py does one iteration after another (Fig. 1 of the
paper; the losses of section 3 in losses.py); runner.py runs it with progress and checkpoints; cache.py keeps what was
solved; tiled.py solves in tiles.
"""
