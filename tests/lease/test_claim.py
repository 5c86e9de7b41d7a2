"""The holder's side of a lease: when it asks, when it renews, and when it stops."""

from __future__ import annotations

import math

import pytest

from withal.lease.claim import Claim, ClaimPhase


def held(ttl: float = 30, sent: float = 100, now: float = 101) -> Claim:
    claim = Claim(ttl, math.inf, sent)
    claim.asking(sent)
    assert claim.granted(now, 7)
    return claim


def test_it_counts_from_before_the_request_was_sent() -> None:
    claim = held(ttl=30, sent=100, now=101)
    assert (claim.phase, claim.token) == (ClaimPhase.HELD, 7)
    assert claim.held_until == 100 + 30 - 3
    assert claim.next_renewal == 100 + 10


@pytest.mark.parametrize(("ttl", "margin"), [(1, 0.2), (2, 0.2), (20, 2), (50, 5), (600, 5)])
def test_the_margin_is_a_tenth_within_limits(ttl: float, margin: float) -> None:
    assert held(ttl, now=100.1).margin == margin


def test_it_is_lost_at_its_end_and_not_before() -> None:
    claim = held()
    assert not claim.expire(126.999)
    assert claim.is_held
    assert claim.expire(127)
    assert claim.phase is ClaimPhase.LOST
    assert claim.reason == "it was not renewed for 26 s (no answer to a renewal)"


def test_a_process_that_was_stopped_gets_an_error_that_says_so() -> None:
    claim = held()
    assert claim.expire(140)
    assert "stopped, or its event loop blocked, until 13 s after" in claim.reason


def test_a_renewal_holds_it_for_longer_from_its_sending() -> None:
    claim = held()
    assert claim.renewing(110) == 115  # a sixth of the ttl for each try
    claim.renewed(114)
    assert (claim.held_until, claim.next_renewal) == (137, 120)


def test_renewals_that_fail_come_closer_together_until_it_is_lost() -> None:
    claim = held()
    pauses = []
    for _ in range(8):
        claim.renewing(110)
        claim.not_renewed(112, "no route")
        pauses.append(round(claim.next_renewal - 112, 3))
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1, 1, 1]
    assert claim.renewing(125) == claim.held_until
    assert claim.expire(127)
    assert claim.reason == "it was not renewed for 26 s (no route)"


@pytest.mark.parametrize("answer", ["renewed", "not_renewed", "denied"])
def test_an_answer_after_it_was_lost_changes_nothing(answer: str) -> None:
    claim = held()
    claim.renewing(110)
    claim.expire(127)
    reason = claim.reason
    {
        "renewed": lambda: claim.renewed(128),
        "not_renewed": lambda: claim.not_renewed(128, "late"),
        "denied": lambda: claim.denied("late"),
    }[answer]()
    assert (claim.phase, claim.reason) == (ClaimPhase.LOST, reason)


def test_the_server_may_deny_it() -> None:
    claim = held()
    claim.renewing(110)
    claim.denied("gone")
    assert (claim.phase, claim.reason, claim.is_held) == (ClaimPhase.LOST, "gone", False)


def test_a_grant_that_came_too_late_is_asked_for_again() -> None:
    claim = Claim(3, math.inf, 0)
    claim.asking(0)
    assert not claim.granted(1, 7)
    assert claim.unanswered(1) == 1.05
    claim.asking(1.05)
    assert claim.granted(2.049, 7)


def test_a_wait_ends_at_its_timeout() -> None:
    claim = Claim(30, 10, 100)
    claim.asking(100)
    assert claim.refused(100.5, 1.5) == 102
    claim.asking(102)
    assert claim.refused(109, 30) == 110
    assert claim.asking(110) == 111  # a try that begins in time has a second
    assert claim.refused(110, 1) is None
    assert claim.phase is ClaimPhase.ENDED


def test_a_timeout_of_zero_asks_once() -> None:
    claim = Claim(30, 0, 100)
    assert claim.asking(100) == 105
    assert claim.refused(100.5, 1.5) is None


def test_a_server_that_does_not_answer_is_given_up_after_some_seconds() -> None:
    claim = Claim(30, math.inf, 100)
    claim.asking(100)
    assert claim.unanswered(104.9) == pytest.approx(104.95)
    claim.asking(104.95)
    assert claim.unanswered(105) is None


def test_an_answer_renews_the_patience() -> None:
    claim = Claim(30, math.inf, 100)
    claim.asking(100)
    claim.refused(104, 1)
    claim.asking(105)
    assert claim.unanswered(108) is not None


def test_what_is_lost_stays_lost_when_it_ends() -> None:
    claim = held()
    claim.expire(200)
    claim.end()
    assert claim.phase is ClaimPhase.LOST
    other = held()
    other.end()
    assert other.phase is ClaimPhase.ENDED
    assert not other.expire(200)
