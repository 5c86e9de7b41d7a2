"""The plugin for pytest: the fixture ``audit``, and the option ``--withal-leaks``.

A package beside withal, not in it: pytest imports it in every run, and importing withal takes 0.1
seconds, which only those should spend who audit something or look for leaks.
"""

from pytest_withal.auditing import audit
from pytest_withal.marker import pytest_configure
from pytest_withal.options import pytest_addoption, pytest_load_initial_conftests

__all__ = ["audit", "pytest_addoption", "pytest_configure", "pytest_load_initial_conftests"]
