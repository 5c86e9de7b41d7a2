"""Addresses of attempts, and the attempts to make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from withal.audit.engine.injection import Target
from withal.audit.inspect.trace import Mark, Trace, suspension_of
from withal.audit.report.record import Delivery, Suspension


@final
@dataclass(frozen=True, slots=True)
class Address:
    """The address of an attempt: ``3:late``, or ``3+2:late`` to cancel again two suspensions later.

    Attributes:
        numbers: the number of the suspension, and for each further cancellation, how many
            suspensions of the same task later it is made.
        delivery: how it is cancelled.
    """

    numbers: tuple[int, ...]
    delivery: Delivery

    def __str__(self) -> str:
        return f"{'+'.join(map(str, self.numbers))}:{self.delivery}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address as it is written in reports.

        Raises:
            ValueError: if it is not a valid address.
        """
        numbers, colon, delivery = text.partition(":")
        parts = numbers.split("+")
        known = delivery in set(Delivery)
        if not (colon and known and all(part.isdecimal() and int(part) > 0 for part in parts)):
            raise ValueError(
                f"{text!r} is not a valid attempt address; write the suspension's number and "
                f"the delivery ({', '.join(Delivery)}), as in 3:late, or 3+2:late"
            )
        return cls(tuple(map(int, parts)), Delivery(delivery))


@final
@dataclass(frozen=True, slots=True)
class Point:
    """A suspension of a run, with the suspensions before it."""

    number: int
    trace: Trace
    ordinal: int

    @property
    def suspension(self) -> Suspension:
        """The suspension in the form of a report."""
        return suspension_of(self.number, self.trace.name, self.trace.marks[self.ordinal - 1])

    @property
    def expected(self) -> tuple[Mark, ...]:
        """The marks of its task up to this one."""
        return tuple(self.trace.marks[: self.ordinal])


@final
@dataclass(frozen=True, slots=True)
class PlannedAttempt:
    """An attempt to make."""

    address: Address
    target: Target
    suspension: Suspension
    after: tuple[Suspension, ...]
