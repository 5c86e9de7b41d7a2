"""Checks that a response is the expected file. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from withal.fetch.disk.part_file_io import Kept
from withal.fetch.failures import AttemptError, final_failure, wrong_length
from withal.fetch.options import FetchOptions
from withal.fetch.plan import Job
from withal.fetch.transfers.response_headers import content_range, has_type, size_of_unsatisfied


def check_head(headers: Mapping[str, str], total: int | None, job: Job, opts: FetchOptions) -> None:
    """Check the head of a response with a whole file.

    Raises:
        AttemptError: if its type or its announced length is not the expected one.
    """
    if opts.expect_type is not None and not has_type(headers, opts.expect_type):
        given = headers.get("Content-Type", "nothing")
        raise final_failure(f"the content is of type {given}, not {opts.expect_type}")
    if total is None:
        return
    check_size(total, job, opts)
    if job.size is not None and job.size != total:
        raise final_failure(f"the file has {total} bytes, and must have {job.size}")


def check_size(size: int, job: Job, opts: FetchOptions) -> None:
    """Check that a file may have so many bytes.

    Raises:
        AttemptError: if they are too many.
    """
    if opts.max_bytes is not None and size > opts.max_bytes:
        raise final_failure(f"the file is longer than {opts.max_bytes} bytes, the most allowed")
    if job.size is not None and size > job.size:
        raise final_failure(f"the file is longer than {job.size} bytes, the expected length")


def check_complete(size: int, total: int | None, job: Job) -> None:
    """Check the length of a body that has ended.

    Raises:
        AttemptError: if it is not the announced or the expected one.
    """
    if total is not None and size != total:
        raise wrong_length(size, total)
    if job.size is not None and size != job.size:
        raise final_failure(f"the file has {size} bytes, and must have {job.size}")


def total_of_rest(headers: Mapping[str, str], kept: Kept) -> int | None:
    """Return the length of the whole file, from a 206 with the rest of it.

    Raises:
        AttemptError: if it is another file, or another range than the requested one.
    """
    validator = kept.record.validator
    current = headers.get(validator.header)
    if current is not None and current.strip() != validator.value:
        raise from_zero("the server sent a part of another version of the file")
    found = content_range(headers)
    total = kept.record.total
    if (
        found is None
        or found.start != kept.start
        or (total is not None and found.total is not None and found.total != total)
    ):
        raise from_zero("the server sent another range than the requested one")
    return found.total if total is None else total


def check_nothing_left(headers: Mapping[str, str], kept: Kept) -> None:
    """Check that a 416 means that the kept part is the whole file.

    Raises:
        AttemptError: if it is not.
    """
    size = size_of_unsatisfied(headers)
    if not (size == kept.size == kept.start and kept.record.total in (None, size)):
        raise from_zero("the server no longer has the rest of the file")


def from_zero(reason: str) -> AttemptError:
    """Return an error after which the file is fetched from its beginning."""
    return AttemptError(reason, is_transient=True, from_zero=True)
