"""The paper's rivals: networks that are trained on photographs of the same camera, and a blind deconvolution."""
