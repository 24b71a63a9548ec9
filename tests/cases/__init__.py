"""INQUIRIES.md, `case_01` to `case_46`, by those names; `python -m tests.cases` prints case x place."""
