"""Public addresses: the only ones that a client may connect to if others choose its URLs."""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import TypeAlias, final

from withal._core.errors import WithalError

# The special-purpose registries of IANA, as of 2025 (https://www.rfc-editor.org/rfc/rfc6890.html).
# `ipaddress.is_global` has different results in different versions of the interpreter.
_NOT_PUBLIC_4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "168.63.129.16/32",  # the host of a virtual machine in Azure
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
_UNICAST_6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # https://www.rfc-editor.org/rfc/rfc6052

AddressInfo: TypeAlias = "tuple[int, int, int, str, tuple[str | int, ...]]"
"""One address to connect to, as `socket.getaddrinfo` returns it."""


@final
class NotPublicError(WithalError, OSError):
    """A connection to an address that is not public was refused. Nothing was sent.

    Attributes:
        address: the address, in text.
    """

    __module__ = "withal.http"

    def __init__(self, address: str) -> None:
        self.address = address
        # The text is the same for all addresses of a host: aiohttp then raises one error for all.
        super().__init__(
            errno.EACCES,
            "refused: its address is private, local, or that of a metadata service",
        )

    def __reduce__(self) -> tuple[type[NotPublicError], tuple[str]]:
        return type(self), (self.address,)


def is_public(address: str) -> bool:
    """Return whether an address, in text, is one of the public Internet.

    It is not if it is private, loopback, link-local, shared (100.64.0.0/10), multicast, reserved,
    or that of a cloud's metadata service. An IPv6 address that contains an IPv4 address (mapped, or
    NAT64) is public if the latter is public. Addresses of 6to4 and Teredo are not public.

    Raises:
        ValueError: if `address` is not a valid address.

    Example:
        >>> is_public("93.184.215.14"), is_public("169.254.169.254"), is_public("::ffff:10.0.0.1")
        (True, False, False)
    """
    return _is_public(ipaddress.ip_address(address))


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address.ipv4_mapped is not None:
        return _is_public(address.ipv4_mapped)
    if address in _NAT64:
        return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _UNICAST_6 and not any(address in network for network in _NOT_PUBLIC_6)


def public_socket(info: AddressInfo) -> socket.socket:
    """Create a socket for connecting to an address, if that is public.

    It is called for each connection, with the resolved address. So neither an earlier result of a
    lookup nor the spelling of the address in the URL matters.

    Raises:
        NotPublicError: if it is not.
    """
    family, kind, protocol, _, where = info
    address = str(where[0])
    if not is_public(address):
        raise NotPublicError(address)
    return socket.socket(family, kind, protocol)
