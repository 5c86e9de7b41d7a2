"""Accepted connections: those that a server of the setup accepts belong to the setup.

A server accepts them while the scenario runs, so they are not among the descriptors that the setup
had opened before. They are known by their local address, which is the one that the server listens
at. Two kinds outlive the setup although the scenario did nothing wrong. asyncio drops a connection
that it accepts in the turn of the loop in which the server is closed: ``Server._attach`` fails, and
the handler is never called. And before CPython 3.12.1 ``Server.wait_closed`` does not wait for
handlers.
"""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import cast, final

from withal.audit.leftover import Leftover
from withal.audit.report.record import Category
from withal.inspection.descriptors import is_listening, listening_addresses, local_address

_NUMBER = re.compile(r"\bfd=(\d+)")
_LOCAL = re.compile(r"\bladdr=(\([^)]*\)|[^,>]+), raddr=")  # a socket that listens has no peer
_UNCLOSED = {Category.COLLECTED, Category.DROPPED}
_ANY_HOST = {"0.0.0.0", "::"}


@final
@dataclass(frozen=True, slots=True)
class Accepting:
    """Where the servers of a setup listen.

    Attributes:
        addresses: the addresses of their sockets.
        ports: the ports at which they listen on each interface.
    """

    addresses: frozenset[object] = frozenset()
    ports: frozenset[object] = frozenset()

    @classmethod
    def among(cls, descriptors: Iterable[tuple[int, str]]) -> Accepting:
        """Return where sockets among these descriptors listen."""
        addresses = frozenset(listening_addresses(descriptors))
        ends = filter(None, map(_host_and_port, addresses))
        return cls(addresses, frozenset(port for host, port in ends if host in _ANY_HOST))

    def has_accepted(self, descriptor: int, target: str) -> bool:
        """Return whether a descriptor is open on a connection that one of them has accepted."""
        if not self.addresses or not target.startswith("socket:"):
            return False
        return self._is_here(local_address(descriptor)) and not is_listening(descriptor)

    def not_accepted(
        self, warnings: Iterable[Leftover], accepted: Collection[int]
    ) -> Iterator[Leftover]:
        """Yield the warnings without those about connections that one of them has accepted.

        Args:
            warnings: all warnings since the last check.
            accepted: the descriptors of such connections when garbage is collected. A warning that
                was given earlier may be about another descriptor of the same number.
        """
        for each in warnings:
            is_about_one = self._gives_address(each.evidence) or (
                each.category is Category.COLLECTED and _number_in(each.evidence) in accepted
            )
            if not (each.category in _UNCLOSED and is_about_one):
                yield each

    def accepted(self, descriptors: Iterable[tuple[int, str]]) -> frozenset[int]:
        """Return the descriptors of connections that one of them has accepted."""
        return frozenset(fd for fd, target in descriptors if self.has_accepted(fd, target))

    def _gives_address(self, evidence: str) -> bool:
        """Return whether a text gives the local address of such a connection."""
        found = _LOCAL.search(evidence)
        if found is None:
            return False
        address: object = found[1]
        with suppress(ValueError, SyntaxError):  # the path of a Unix socket is not quoted
            address = literal_eval(found[1])
        return self._is_here(address)

    def _is_here(self, address: object) -> bool:
        end = _host_and_port(address)
        return address in self.addresses or (end is not None and end[1] in self.ports)


def _host_and_port(address: object) -> tuple[object, object] | None:
    """Return host and port of an address of IPv4 or IPv6; None if it is of another family."""
    if not isinstance(address, tuple):
        return None
    host, port, *_ = cast("tuple[object, ...]", address)
    return host, port


def _number_in(evidence: str) -> int | None:
    found = _NUMBER.search(evidence)
    return None if found is None else int(found[1])
