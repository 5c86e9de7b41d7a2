"""Which threads count as being at work."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import execnet
import pytest

from withal.inspection.threads import threads_at_work


@pytest.fixture
def one_thread_at_a_time() -> Iterator[None]:
    """Let no other thread run while this one does not wait."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(10)
    yield
    sys.setswitchinterval(interval)


def idle_thread(executor: ThreadPoolExecutor) -> int:
    ident = executor.submit(threading.get_ident).result()
    executor.submit(int).result()
    while ident in threads_at_work():
        threading.Event().wait(0.001)
    return ident


def test_a_thread_of_a_pool_that_waits_for_work_is_not_at_work() -> None:
    with ThreadPoolExecutor(1) as executor:
        ident = idle_thread(executor)
        assert ident not in threads_at_work()


@pytest.mark.usefixtures("one_thread_at_a_time")
def test_a_thread_that_has_not_woken_for_its_work_yet_is_at_work() -> None:
    with ThreadPoolExecutor(1) as executor:
        # By chance it has woken already: the interpreter may let it run at any call.
        assert any(is_at_work_when_given_work(executor) for _ in range(100))


def is_at_work_when_given_work(executor: ThreadPoolExecutor) -> bool:
    ident = idle_thread(executor)
    executor.submit(int)
    return ident in threads_at_work()


def test_the_thread_that_receives_messages_for_xdist_is_not_at_work() -> None:
    before = set(sys._current_frames())
    group = execnet.Group()
    try:
        group.makegateway("popen")  # as pytest-xdist starts its processes
        while not (begun := set(sys._current_frames()) - before):
            threading.Event().wait(0.001)
        while begun & set(threads_at_work()):  # until it has begun to receive
            threading.Event().wait(0.001)
    finally:
        group.terminate(timeout=10)
