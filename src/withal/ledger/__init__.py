"""The ledger: a record of what was opened and closed, kept by observing scopes."""

from withal._core.site import Site
from withal.ledger.ledger import Ledger
from withal.ledger.records import Ending, Lifetimes, Record, Summary

__all__ = ["Ending", "Ledger", "Lifetimes", "Record", "Site", "Summary"]
