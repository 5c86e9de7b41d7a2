"""How the objects of a scope keep their attributes, which decides how fast they are.

CPython keeps up to 29 attributes of an object inside of it, those included that any method of its
class assigns. If there are more names, each object has a dictionary, and takes twice as long to
create.
"""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from withal import Scope
from withal._core.resources.base import Resource
from withal._core.resources.direct import Direct
from withal._core.resources.hosted import Host
from withal._core.resources.inline import Inline
from withal._core.scopes.stages import Closing
from withal._core.scopes.state import ScopeState

MOST_ATTRIBUTES = 29


async def test_the_state_of_a_scope_has_slots_only() -> None:
    async with Scope() as scope:
        assert isinstance(scope._state, ScopeState)
        assert not hasattr(scope._state, "__dict__")
        assert not hasattr(scope, "__dict__")


@pytest.mark.parametrize("cls", [Host, Direct, Inline, Closing])
async def test_others_have_few_attributes(cls: type) -> None:
    names = {
        name
        for each in cls.__mro__
        for name in getattr(each, "__static_attributes__", ())  # since 3.13
    }
    assert len(names) <= MOST_ATTRIBUTES


@pytest.mark.parametrize("inline", [False, True])
async def test_what_is_open_has_few_attributes(inline: bool) -> None:
    async with Scope() as scope:
        await scope.enter(nullcontext(), inline=inline)
        assert scope._state is not None
        resource: Resource = next(iter(scope._state.resources))
    assert len(vars(resource)) <= MOST_ATTRIBUTES
