"""How limits are divided among shards: never more than there is, and nothing left unused."""

from __future__ import annotations

from random import Random

import pytest

from withal.fetch.cluster.cluster_limits import SILENCE_SECONDS, ClusterLimits, Demand, Share


def demand(running: int = 0, waiting: int = 0, host: str = "a") -> Demand:
    return Demand({host: running} if running else {}, {host: waiting} if waiting else {}, {})


def granted(limits: ClusterLimits, shard: int, need: Demand, host: str = "a") -> int:
    return limits.exchange(shard, need, 0).per_host.get(host, 0)


def test_one_that_is_alone_at_a_host_has_all_of_it() -> None:
    limits = ClusterLimits(8, None, None, None)
    assert granted(limits, 0, demand(waiting=100)) == 8
    assert granted(limits, 1, demand(waiting=100, host="b"), "b") == 8
    assert granted(limits, 2, demand(waiting=3, host="c"), "c") == 3


def test_one_that_comes_later_gets_its_part_as_soon_as_it_is_not_used_any_more() -> None:
    limits = ClusterLimits(8, None, None, None)
    granted(limits, 0, demand(waiting=100))
    assert granted(limits, 1, demand(waiting=100)) == 0
    assert limits.take_called() == {0}
    assert granted(limits, 0, demand(8, 92)) == 4  # eight still run
    assert granted(limits, 1, demand(waiting=100)) == 0
    limits.take_called()
    assert granted(limits, 0, demand(5, 87)) == 4
    assert limits.take_called() == {1}
    assert granted(limits, 1, demand(waiting=100)) == 3
    assert granted(limits, 0, demand(4, 87)) == 4
    assert granted(limits, 1, demand(3, 97)) == 4


def test_what_one_does_not_need_goes_to_the_others() -> None:
    limits = ClusterLimits(8, None, None, None)
    granted(limits, 0, demand(waiting=100))
    granted(limits, 0, demand(2, 0))
    assert granted(limits, 1, demand(waiting=100)) == 0  # 0 may have begun more since it asked
    granted(limits, 0, demand(2, 0))
    assert granted(limits, 1, demand(waiting=100)) == 6
    limits.leave(0)
    assert granted(limits, 1, demand(6, 90)) == 8


def test_more_shards_than_places_wait_and_are_called() -> None:
    limits = ClusterLimits(2, None, None, None)
    assert [granted(limits, shard, demand(waiting=9)) for shard in range(4)] == [2, 0, 0, 0]
    limits.take_called()
    limits.leave(0)
    assert limits.take_called() == {1, 2, 3}
    assert [granted(limits, shard, demand(waiting=9)) for shard in (1, 2, 3)] == [1, 1, 0]


def test_at_first_no_more_is_granted_than_a_part_or_what_runs() -> None:
    limits = ClusterLimits(8, None, None, None)
    need = demand(waiting=100)
    assert limits.exchange(0, need, 0, most=3).per_host == {"a": 3}
    assert limits.exchange(1, demand(5, 100), 0, most=3).per_host == {"a": 4}
    assert limits.exchange(2, need, 0, most=0).per_host == {"a": 0}


def test_what_one_used_that_does_not_ask_any_more_is_free() -> None:
    limits = ClusterLimits(8, None, None, None)
    need = demand(waiting=100)
    assert limits.exchange(0, need, now=0).per_host == {"a": 8}
    assert limits.exchange(1, need, now=SILENCE_SECONDS).per_host == {"a": 0}
    assert limits.exchange(1, need, now=SILENCE_SECONDS + 1.1).per_host == {"a": 8}
    assert limits.exchange(0, need, now=SILENCE_SECONDS + 1.2).per_host == {
        "a": 0
    }  # it was run again


def test_one_that_has_left_is_granted_nothing() -> None:
    limits = ClusterLimits(8, None, None, None)
    limits.leave(0)
    assert granted(limits, 0, demand(waiting=100)) == 0
    assert granted(limits, 1, demand(waiting=100)) == 8


def test_other_limits_are_divided_by_the_shards_that_run() -> None:
    limits = ClusterLimits(8, 10, 90.0, 3e6)
    limits.exchange(0, demand(waiting=1), 0)
    limits.exchange(1, demand(waiting=1), 0)
    share = limits.exchange(2, demand(waiting=1), 0)
    assert (share.jobs, share.rate, share.limit_bytes) == (3, 30, 1e6)
    limits.leave(1)
    assert limits.exchange(0, demand(waiting=1), 0).rate == 45


def test_a_pause_is_kept_by_all_who_ask_that_host_until_it_is_over() -> None:
    limits = ClusterLimits(8, None, None, None)
    limits.exchange(0, Demand({}, {"a": 1}, {"a": 30.0}), now=100)
    assert limits.exchange(1, demand(waiting=1), now=110).paused == {"a": 20}
    assert limits.exchange(1, demand(waiting=1, host="b"), now=110).paused == {}
    assert limits.exchange(1, demand(waiting=1), now=130).paused == {}


@pytest.mark.parametrize("seed", range(200))
def test_shards_that_come_and_go_never_use_more_than_the_limit(seed: int) -> None:
    """And each comes to its end, whatever the others do. Some begin requests before an answer."""
    random = Random(seed)
    per_host = random.randint(1, 6)
    limits = ClusterLimits(per_host, None, None, None)
    left = {shard: {host: random.randint(0, 9) for host in "abc"} for shard in range(5)}
    running = {shard: dict.fromkeys("abc", 0) for shard in left}
    may = {shard: dict.fromkeys("abc", 0) for shard in left}
    answers: dict[int, Share] = {}  # that have not arrived

    def need(counts: dict[str, int]) -> dict[str, int]:
        return {host: count for host, count in counts.items() if count}

    for _ in range(6000):
        if not left:
            break
        shard = random.choice(list(left))
        match random.choice(["ask", "receive", "end", "begin", "begin"]):
            case "ask" if shard not in answers:
                asked = Demand(need(running[shard]), need(left[shard]), {})
                answers[shard] = limits.exchange(shard, asked, 0)
            case "receive" if shard in answers:
                share = answers.pop(shard)
                may[shard] = {host: share.per_host.get(host, 0) for host in "abc"}
            case "end":
                host = random.choice("abc")
                running[shard][host] = max(0, running[shard][host] - 1)
                if not any(left[shard].values()) and not any(running[shard].values()):
                    limits.leave(shard)
                    del left[shard], running[shard], may[shard]
            case _:
                host = random.choice("abc")
                if left[shard][host] and running[shard][host] < may[shard][host]:
                    left[shard][host] -= 1
                    running[shard][host] += 1
        for host in "abc":
            assert sum(counts[host] for counts in running.values()) <= per_host
    assert not left
