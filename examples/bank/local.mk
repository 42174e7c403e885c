# The bank: public headers only, linked with libstele.la.
