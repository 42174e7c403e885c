# Unit tests of lib/runtime.
