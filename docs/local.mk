# Manual pages and the documents that go into a release.

EXTRA_DIST += docs/dependencies.md
