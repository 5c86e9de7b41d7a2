"""The transfer of one file: requests, attempts, checks, and the body."""
