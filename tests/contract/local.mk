# The contract suite: every clause over every backend.
