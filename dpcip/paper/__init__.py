"""The paper remade: its tables beside ours, verdicts, report, bench, and the pipeline that `make repro` drives."""
