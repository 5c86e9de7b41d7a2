"""Addresses, and the attempts that are to be made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from withal.audit.engine.injection import Target
from withal.audit.inspect.trace import Mark, Trace, suspension_of
from withal.audit.report.record import Delivery, Suspension


@final
@dataclass(frozen=True, slots=True)
class Address:
    """Which attempt: ``3:late``, or ``3+2:late`` when it is cancelled again two suspensions later.

    Attributes:
        numbers: the suspension, and how many suspensions of the same task later it comes again.
        delivery: how.
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
                f"{text!r} is not an address of an attempt; write the suspension's number and "
                f"the delivery ({', '.join(Delivery)}), as in 3:late, or 3+2:late"
            )
        return cls(tuple(map(int, parts)), Delivery(delivery))


@final
@dataclass(frozen=True, slots=True)
class Point:
    """A suspension that was seen, and what came before it."""

    number: int
    trace: Trace
    ordinal: int

    @property
    def suspension(self) -> Suspension:
        """The same as a report has it."""
        return suspension_of(self.number, self.trace.name, self.trace.marks[self.ordinal - 1])

    @property
    def expected(self) -> tuple[Mark, ...]:
        """The marks of its task up to this one."""
        return tuple(self.trace.marks[: self.ordinal])


@final
@dataclass(frozen=True, slots=True)
class PlannedAttempt:
    """An attempt that is to be made."""

    address: Address
    target: Target
    suspension: Suspension
    after: tuple[Suspension, ...]
