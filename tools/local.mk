# The `stele` command: public headers only, linked with libstele.la.
