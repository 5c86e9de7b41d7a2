"""The ledger: an observer that records the resources that were opened and closed."""

from withal._core.site import Site
from withal.ledger.ledger import Ledger
from withal.ledger.records import Ending, Lifetimes, Record, Summary

__all__ = ["Ending", "Ledger", "Lifetimes", "Record", "Site", "Summary"]
