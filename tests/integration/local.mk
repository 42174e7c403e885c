# Tests of whole programs: the command, the example, the library as installed.
