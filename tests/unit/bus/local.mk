# Unit tests of lib/bus.
