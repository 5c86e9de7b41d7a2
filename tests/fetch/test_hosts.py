"""The queue keeps hosts to their limit, and no worker that it sends home is missed later."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from withal.fetch.hosts import HostQueue
from withal.fetch.plan import Job


def jobs_of(hosts: str) -> list[Job]:
    """Make a job for each letter, which is its host."""
    return [Job(f"{host}{n}", host, f"{host}{n}") for n, host in enumerate(hosts)]


def test_one_hosts_jobs_come_in_their_order() -> None:
    queue = HostQueue(jobs_of("aaa"), 3)
    assert [take(queue) for _ in range(4)] == ["a0", "a1", "a2", None]


def test_hosts_take_turns() -> None:
    queue = HostQueue(jobs_of("aaabb"), 3)
    assert [take(queue) for _ in range(5)] == ["a0", "b3", "a1", "b4", "a2"]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_no_more_than_the_limit_run_at_one_host(limit: int) -> None:
    queue = HostQueue(jobs_of("aaa"), limit)
    assert [take(queue) for _ in range(4)].count(None) == 4 - limit


def test_a_slot_that_is_given_back_is_used_again() -> None:
    queue = HostQueue(jobs_of("aa"), 1)
    first = queue.take()
    assert first is not None
    assert queue.take() is None
    queue.done(first)
    assert take(queue) == "a1"


def take(queue: HostQueue) -> str | None:
    job = queue.take()
    return job and job.name


@given(
    st.text("abc", max_size=30),
    st.integers(1, 4),
    st.integers(1, 8),
    st.randoms(use_true_random=False),
)
def test_workers_that_end_when_refused_do_all_jobs_as_widely_as_allowed(
    hosts: str, limit: int, width: int, chance: Random
) -> None:
    queue = HostQueue(jobs_of(hosts), limit)
    running = [job for _ in range(width) if (job := queue.take())]
    done: list[str] = []
    while running:
        at_work = Counter(job.host for job in running)
        waiting = (
            Counter(hosts)
            - Counter(job.host for job in running)
            - Counter(name[0] for name in done)
        )
        assert max(at_work.values()) <= limit
        assert len(running) == width or all(at_work[host] == limit for host in waiting)
        job = running.pop(chance.randrange(len(running)))
        done.append(job.name)
        queue.done(job)
        if following := queue.take():
            running.append(following)
    assert sorted(done) == sorted(job.name for job in jobs_of(hosts))
