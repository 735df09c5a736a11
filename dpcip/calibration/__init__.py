"""A camera's PSFs from photographs of a chart of known depth: radial profiles, then the mask that explains them."""
