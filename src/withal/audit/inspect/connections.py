"""Connections that belong to the setup although they are made while the scenario runs.

Those that a server of the setup accepts are known by their local address, which is the one that
the server listens at. Two kinds outlive the setup although the scenario did nothing wrong. asyncio
drops a connection that it accepts in the turn of the loop in which the server is closed:
``Server._attach`` fails, and the handler is never called. And before CPython 3.12.1
``Server.wait_closed`` does not wait for handlers:
https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.Server.wait_closed

Those that replace a connection of the setup are known by their peer: a client of the setup may
close a connection whose use was cancelled, and open another to the same peer.
"""

from __future__ import annotations

import re
from ast import literal_eval
from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast, final

from withal.audit.leftover import Leftover
from withal.audit.report.record import Category
from withal.inspection.descriptors import (
    is_listening,
    listening_addresses,
    local_address,
    remote_address,
)

_NUMBER = re.compile(r"\bfd=(\d+)")
_LOCAL = re.compile(r"\bladdr=(\([^)]*\)|[^,>]+), raddr=")  # a socket that listens has no peer
_UNCLOSED = {Category.COLLECTED, Category.DROPPED}
_ANY_HOST = {"0.0.0.0", "::"}


@final
@dataclass(frozen=True, slots=True)
class SetupConnections:
    """Where the servers of a setup listen, and which connections it has made.

    Attributes:
        addresses: the addresses at which its servers listen.
        ports: the ports at which they listen on each interface.
        peers: the address of the peer of each of its connections, by descriptor and target.
    """

    addresses: frozenset[object] = frozenset()
    ports: frozenset[object] = frozenset()
    peers: Mapping[tuple[int, str], object] = field(default_factory=dict[tuple[int, str], object])

    @classmethod
    def among(cls, descriptors: Iterable[tuple[int, str]]) -> SetupConnections:
        """Return what the sockets among these descriptors are."""
        descriptors = list(descriptors)
        addresses = frozenset(listening_addresses(descriptors))
        sockets = [each for each in descriptors if each[1].startswith("socket:")]
        peers = {each: peer for each in sockets if (peer := remote_address(each[0]))}
        ends = filter(None, map(_host_and_port, addresses))
        ports = frozenset(port for host, port in ends if host in _ANY_HOST)
        return cls(addresses, ports, peers)

    def not_of_setup(
        self, new: Iterable[tuple[int, str]], present: Container[tuple[int, str]] | None
    ) -> Iterator[tuple[int, str]]:
        """Yield the descriptors that neither were accepted nor replace one that has gone.

        Args:
            new: descriptors that the setup had not opened when it was ready.
            present: all descriptors, while the setup is open; None once it has ended, when none
                needs to be replaced.
        """
        gone = Counter(
            peer for each, peer in self.peers.items() if present is not None and each not in present
        )
        for each in new:
            if self.has_accepted(*each):
                continue
            peer = remote_address(each[0]) if gone and each[1].startswith("socket:") else None
            if gone[peer] > 0:
                gone[peer] -= 1
            else:
                yield each

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
