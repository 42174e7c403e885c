# Simulated runs, many seeds of each: invariants, not expected outputs.
