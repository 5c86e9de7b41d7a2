"""Proxies and passwords from the environment, looked up once for a batch."""

from __future__ import annotations

import base64
import netrc
import os
from dataclasses import dataclass, field
from functools import lru_cache
from typing import final
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from withal.fetch.failures import final_failure
from withal.fetch.options import FetchOptions


@final
@dataclass(frozen=True, slots=True)
class Environment:
    """Proxies and passwords.

    Attributes:
        proxies: the URLs of proxies by scheme.
        bypasses: whether ``NO_PROXY`` applies.
        netrc: users and passwords by host; None if they are not sent.
    """

    proxies: dict[str, str] = field(repr=False)
    bypasses: bool
    netrc: netrc.netrc | None = field(repr=False)

    @classmethod
    def look_up(cls, options: FetchOptions) -> Environment:
        """Read the environment and the password file. Blocks.

        Raises:
            OSError: if the options need ``.netrc``, and it is missing or malformed.
        """
        proxies, bypasses = getproxies(), True
        if options.proxy is not None:
            proxy = options.proxy
            proxies = {"http": proxy, "https": proxy} if proxy else {}
            bypasses = False
        return cls(proxies, bypasses, _netrc() if options.netrc else None)

    def proxy_for(self, url: URL) -> URL | None:
        """Return the proxy for a URL.

        Raises:
            AttemptError: if the URL of the proxy is invalid. The message does not contain it.
        """
        proxy = self.proxies.get(url.scheme)
        if not proxy or (self.bypasses and proxy_bypass(url.host or "")):
            return None
        return _proxy_url(proxy)

    def authorization_for(self, url: URL) -> str | None:
        """Return the ``Authorization`` header for a URL, by its host."""
        found = None if self.netrc is None else self.netrc.authenticators(url.host or "")
        if found is None:
            return None
        user, _, password = found
        return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@lru_cache(8)
def _proxy_url(text: str) -> URL:
    problem = final_failure(
        "the URL of the proxy is invalid; check --proxy, or http_proxy and https_proxy"
    )
    try:
        url = URL(text if "://" in text else f"http://{text}")
        (url.host or "").encode("idna")
    except ValueError:
        raise problem from None
    if url.scheme not in ("http", "https") or not url.host:
        raise problem
    return url


def _netrc() -> netrc.netrc:
    path = os.path.expanduser(os.environ.get("NETRC") or "~/.netrc")
    try:
        return netrc.netrc(path)
    except netrc.NetrcParseError as error:
        raise OSError(0, f"the password file is malformed in line {error.lineno}", path) from None
