"""The plugin for pytest: the fixture ``audit``, and the option ``--withal-leaks``.

This package is not a part of the package withal, because pytest imports it in every run. Importing
withal takes 0.1 seconds, which only runs with audits or leak checks should spend.
"""

from pytest_withal.auditing import audit
from pytest_withal.marker import pytest_configure
from pytest_withal.options import pytest_addoption, pytest_load_initial_conftests

__all__ = ["audit", "pytest_addoption", "pytest_configure", "pytest_load_initial_conftests"]
