"""Many solves with known truth: which ones (cases, plans), in what order and where (runs), scored into rows."""
