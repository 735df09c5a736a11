"""What every room needs and none is about: errors of users, files written whole, checkpoints, keys, the machine."""
