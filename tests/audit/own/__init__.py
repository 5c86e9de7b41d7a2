"""withal audited by itself: each public manager and operation, cancelled wherever it waits.

A line in a table is a case. What is public and asynchronous is in a table, or is named with a
reason in `test_every_public_name.py`.
"""
