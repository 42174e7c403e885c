# Unit tests of lib/app.
