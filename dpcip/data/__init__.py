"""Files and scenes: what is photographed, what was photographed, and how they are read.

In: files. Out: light [C, H, W] in [0, 1], depth in metres or psi, `Scene`, `Photograph` (simulated), `UserCapture`
(real).
"""
