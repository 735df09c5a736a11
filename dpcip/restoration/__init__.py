"""Image where depth is known: deconvolution through the masked camera, and depth edges moved to the image's."""
