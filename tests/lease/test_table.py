"""The server's side of a lease: who gets it, in which order, and for how long."""

from __future__ import annotations

import pytest

from withal.lease import table
from withal.lease.protocol import Granted, LeaseRequest, Refused, key_of
from withal.lease.table import Row


def request(claim: str, *, ttl: float = 10, queues: bool = True) -> LeaseRequest:
    return LeaseRequest("name", claim, ttl, f"owner of {claim}", queues)


def ask(row: Row, claim: str, now: float, **options: bool) -> tuple[Row, Granted | Refused]:
    return table.ask(row, request(claim, **options), now, floor=1)


def test_the_first_gets_it_and_others_wait_in_order() -> None:
    row, answer = ask(Row(), "a", 100)
    assert answer == Granted(1)
    row, answer = ask(row, "b", 101)
    assert answer == Refused(table.REFRESH_SECONDS, 0, "owner of a")
    row, answer = ask(row, "c", 102)
    assert answer == Refused(table.REFRESH_SECONDS, 1, "owner of a")
    row = table.withdraw(row, request("a"), 103)
    assert table.next_to_wake(row, 103) == "b"
    row, answer = ask(row, "c", 103)
    assert answer == Refused(table.TURN_SECONDS, 1, "")
    row, answer = ask(row, "b", 103.1)
    assert answer == Granted(2)


def test_a_waiter_that_does_not_take_its_turn_is_passed_over() -> None:
    row, _ = ask(Row(), "a", 100)
    row, _ = ask(row, "b", 108)
    row, _ = ask(row, "c", 108)
    row, answer = ask(row, "c", 110.4999)
    assert isinstance(answer, Refused)
    row, answer = ask(row, "c", 110.5)
    assert answer == Granted(2)


def test_a_place_is_dropped_when_it_is_not_asked_for_again() -> None:
    row, _ = ask(Row(), "a", 100)
    row, _ = ask(row, "b", 101)
    row, answer = ask(row, "c", 105.999)
    assert answer == Refused(table.REFRESH_SECONDS, 1, "owner of a")
    row, answer = ask(row, "c", 106)
    assert answer == Refused(table.REFRESH_SECONDS, 0, "owner of a")


def test_it_is_free_when_it_expires_and_not_before() -> None:
    row, _ = ask(Row(), "a", 100)
    row, answer = ask(row, "b", 109.999)
    assert isinstance(answer, Refused)
    assert answer.again_in == pytest.approx(0.001)
    row, answer = ask(row, "b", 110)
    assert answer == Granted(2)


def test_one_that_asks_once_keeps_no_place_and_does_not_overtake() -> None:
    row, _ = ask(Row(), "a", 100)
    row, answer = ask(row, "b", 101, queues=False)
    assert row.places == ()
    row, _ = ask(row, "c", 102)
    row = table.withdraw(row, request("a"), 103)
    row, answer = ask(row, "b", 103, queues=False)
    assert answer == Refused(table.TURN_SECONDS, 1, "")


def test_asking_again_after_a_lost_answer_has_the_same_token() -> None:
    row, _ = ask(Row(), "a", 100)
    row, answer = ask(row, "a", 105)
    assert (answer, row.until) == (Granted(1), 115)


def test_only_the_claim_that_has_it_renews_it() -> None:
    row, _ = ask(Row(), "a", 100)
    assert table.renew(row, request("b"), 1, 101) is None
    assert table.renew(row, request("a"), 2, 101) is None
    assert table.renew(row, request("a"), 1, 110) is None
    renewed = table.renew(row, request("a"), 1, 109.9)
    assert renewed is not None
    assert renewed.until == pytest.approx(119.9)


def test_only_the_claim_that_has_it_frees_it() -> None:
    row, _ = ask(Row(), "a", 100)
    assert table.withdraw(row, request("b"), 101) == row
    assert table.withdraw(row, request("a"), 110).until == 110
    assert table.next_to_wake(row, 101) == ""


def test_tokens_go_on_from_the_greatest_known() -> None:
    row, _ = table.ask(Row(), request("a"), 100, floor=5000)
    assert row.token == 5000
    row, answer = table.ask(row, request("b"), 200, floor=4000)  # a clock that was set back
    assert answer == Granted(5001)


@pytest.mark.parametrize(
    "name", ["a", "a b", "/", "..", ".", "a:{b}", "\x00", "\ud800", "ü" * 300, "x" * 500, "%2F"]
)
def test_any_name_has_a_key_of_its_own(name: str) -> None:
    key = key_of(name)
    assert key.isascii()
    assert 0 < len(key) <= 200
    assert not set(key) & set("/.{}\\ \0")
    assert key != key_of(name + "x")
