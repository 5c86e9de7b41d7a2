"""Makes the request for a job, and follows redirects to the final response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from yarl import URL

from withal.fetch.disk.part_file_io import Kept
from withal.fetch.plan import Job
from withal.fetch.transfers.context import FetchContext
from withal.fetch.transfers.redirects import REDIRECTS, carried_over, redirect_target, too_many
from withal.fetch.transports.transport import TransportRequest, TransportResponse
from withal.http.public import is_public


async def request_job(
    context: FetchContext, job: Job, kept: Kept | None, enter_host: Callable[[str], Awaitable[None]]
) -> tuple[TransportResponse, TransportRequest]:
    """Return the final response and its request.

    Args:
        context: the transport, the options and the environment.
        job: what is requested.
        kept: the part to continue; None to request the whole file.
        enter_host: waits for a turn at the host of a redirect.
    """
    options = context.options
    target, host = job.target, job.host
    headers = request_headers(context, job, kept)
    public_only = options.public_only
    for _ in range(options.max_redirects + 1):
        if host != _host_of(target):
            host = _host_of(target)
            await enter_host(host)
        proxy = context.environment.proxy_for(target)
        request = TransportRequest(target, headers, proxy, public_only)
        response = await context.transport.open(request)
        if response.status not in REDIRECTS:
            return response, request
        redirected = redirect_target(target, response.headers.get("Location"))
        public_only = public_only or (response.peer is not None and is_public(response.peer))
        response.abort()
        headers = carried_over(headers, target, redirected)
        target = redirected
    raise too_many(options.max_redirects)


def request_headers(context: FetchContext, job: Job, kept: Kept | None) -> dict[str, str]:
    """Return the headers of the first request."""
    headers = {**context.options.headers, **(job.headers or {})}
    authorization = job.authorization or context.environment.authorization_for(job.target)
    if authorization is not None:
        headers["Authorization"] = authorization
    if kept is not None:
        headers["Range"] = f"bytes={kept.start}-"
        headers["If-Range"] = kept.record.validator.value
    return headers


def _host_of(target: URL) -> str:
    return f"{target.host}:{target.port}"
