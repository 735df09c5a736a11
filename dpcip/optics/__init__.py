"""The optics: a thin lens with a phase mask in its pupil, and the PSFs that it makes.

In: the lens' numbers (metres, micrometres, nanometres) and the mask's rings, or a file of PSFs. Out: psi of a depth
(eq. 1 of the paper, lens.py), and a `PsfBank`, the PSFs over psi and colour (psf.py; ring by ring in rings.py).
"""
