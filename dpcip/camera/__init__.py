"""The camera: what it makes of a scene, and how a solve differentiates through it.

In: a sharp image, psi of each pixel, a PSF bank. Out: the capture. models.py holds the differentiable camera model of
the paper (DCM) and the one with occlusion (masked DCM), simulator.py makes captures, sensor.py and noise.py turn light
into numbers, learnable_optics.py lets the mask be learnt beside the picture.
"""
