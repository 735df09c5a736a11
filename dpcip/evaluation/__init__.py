"""Scores and pictures of results. With the simulator the only room that sees ground truth."""
