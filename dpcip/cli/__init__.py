"""The command line: one module a verb. main.py has the small ones."""
