"""The exceptions of scopes: each names what happened, to which resource, and what to do."""

from __future__ import annotations

from typing import final

from withal._core.credentials import text_without_credentials


class WithalError(Exception):
    """The base of every error that withal itself raises.

    An exception that a resource raises, while it opens, is in use or closes, reaches the caller
    unchanged and is not wrapped.
    """

    __module__ = "withal"


@final
class ScopeClosedError(WithalError):
    """A scope was used before it was entered, or after it began to close.

    Also raised in the scope of another task that uses a resource of a scope that is closing.

    Attributes:
        scope: the scope's path, such as ``"app > request"``.
        state: ``"new"``, ``"closing"`` or ``"closed"``.
        resource: the name of the resource that was to be opened, or was in use; empty if the scope
            itself was to be closed.
    """

    __module__ = "withal"

    def __init__(self, scope: str, state: str, resource: str) -> None:
        self.scope = scope
        self.state = state
        self.resource: str = text_without_credentials(resource)
        super().__init__(scope, state, self.resource)

    def __str__(self) -> str:
        if self.state == "new" and not self.resource:
            return (
                f"scope {self.scope!r} cannot be closed: it is not open yet; "
                "enter it first, with `async with scope:`"
            )
        if self.state == "new":
            return (
                f"cannot open {self.resource!r}: scope {self.scope!r} is not open yet; "
                "enter it first, with `async with scope:`"
            )
        return (
            f"{self.resource!r} cannot be opened or used: scope {self.scope!r} is {self.state}; "
            "do so before the scope's body ends, or in a scope that lives longer"
        )


class CloseTimeoutError(WithalError):
    """The scope's deadline passed, or the program had to end, while resources were still closing.

    They were cancelled. Those in `abandoned` did not end even then and are no longer waited for:
    they may still run.

    Attributes:
        scope: the scope's path.
        timeout: the seconds that closing could take.
        resources: the names of the resources that had not closed by then, in order of closing.
        abandoned: the names of those that did not end when they were cancelled either.
        hurried: whether closing was cut short, because the program had to end: under `withal.run`,
            after a second signal, or when its own `close_timeout` had passed after the first.
    """

    __module__ = "withal"

    def __init__(
        self,
        scope: str,
        timeout: float,
        resources: tuple[str, ...],
        abandoned: tuple[str, ...] = (),
        hurried: bool = False,
    ) -> None:
        self.scope = scope
        self.timeout = timeout
        self.resources = resources
        self.abandoned = abandoned
        self.hurried = hurried
        super().__init__(scope, timeout, resources, abandoned, hurried)

    def __str__(self) -> str:
        late = ", ".join(map(repr, self.resources))
        text = f"scope {self.scope!r}: {late} had not closed "
        if self.hurried:
            text += f"when the program had to end, {self.timeout:.3g} s after closing began"
        else:
            text += f"within {self.timeout:g} s"
        if self.abandoned:
            left = ", ".join(map(repr, self.abandoned))
            text += f", and {left} did not end when cancelled and may still run"
        if self.hurried:
            return text + "; see what the finalizer waits for"
        return text + "; see what the finalizer waits for, or give the scope a longer close_timeout"


@final
class ResourceLostError(WithalError):
    """A resource was cancelled from outside while it was opening, in use, or closing.

    Attributes:
        scope: the path of the scope that held it.
        resource: its name.
        phase: ``"opening"``, ``"open"`` or ``"closing"``.
    """

    __module__ = "withal"

    def __init__(self, scope: str, resource: str, phase: str) -> None:
        self.scope = scope
        self.resource = resource
        self.phase = phase
        super().__init__(scope, resource, phase)

    def __str__(self) -> str:
        when = "in use" if self.phase == "open" else self.phase
        return (
            f"{self.resource!r} in scope {self.scope!r} was cancelled while {when}, and not by its "
            "scope; look for code that cancels tasks that it did not start"
        )


@final
class AlreadyEnteredError(WithalError):
    """A context manager that can be entered only once was entered a second time.

    Attributes:
        resource: its name.
    """

    __module__ = "withal"

    def __init__(self, resource: str) -> None:
        self.resource = resource
        super().__init__(resource)

    def __str__(self) -> str:
        return (
            f"{self.resource!r} has been entered before and can be entered only once; "
            "make a new one for each use"
        )


@final
class NotOpenError(WithalError, LookupError):
    """The value passed to `Scope.release` is not open in the scope: it never was, or has closed.

    Attributes:
        scope: the scope's path.
        resource: the ``repr`` of the value.
    """

    __module__ = "withal"

    def __init__(self, scope: str, resource: str) -> None:
        self.scope = scope
        self.resource: str = text_without_credentials(resource)
        super().__init__(scope, self.resource)

    def __str__(self) -> str:
        return (
            f"cannot release {self.resource}: it is not open in scope {self.scope!r}; "
            "pass the same object that entering it returned, and release it once"
        )


@final
class DeclarationError(WithalError):
    """A resource is declared wrongly, or does not behave as it was declared.

    Attributes:
        resource: its name.
        site: the file and line where it was declared.
        problem: what is wrong with it, and what to do.
    """

    __module__ = "withal"

    def __init__(self, resource: str, site: str, problem: str) -> None:
        self.resource = resource
        self.site = site
        self.problem = problem
        super().__init__(resource, site, problem)

    def __str__(self) -> str:
        return f"resource {self.resource!r} at {self.site}: {self.problem}"


@final
class DependencyCycleError(WithalError):
    """Declared resources depend on each other in a circle.

    Attributes:
        path: the names around the circle; the first is repeated as the last.
        sites: where each of them was declared.
    """

    __module__ = "withal"

    def __init__(self, path: tuple[str, ...], sites: tuple[str, ...]) -> None:
        self.path = path
        self.sites = sites
        super().__init__(path, sites)

    def __str__(self) -> str:
        named = [f"{name} ({site})" for name, site in zip(self.path, self.sites, strict=True)]
        return (
            f"resources need each other in a circle: {' > '.join(named)}; "
            "move what they share into a third resource"
        )


@final
class AlreadyOpenError(WithalError):
    """A resource cannot be replaced by another, because it has been opened.

    Attributes:
        scope: the path of the scope that holds it.
        resource: its name.
        site: the file and line where it was declared.
    """

    __module__ = "withal"

    def __init__(self, scope: str, resource: str, site: str) -> None:
        self.scope = scope
        self.resource = resource
        self.site = site
        super().__init__(scope, resource, site)

    def __str__(self) -> str:
        return (
            f"cannot override {self.resource!r} ({self.site}): it is open in scope {self.scope!r}; "
            "override it before anything that needs it is opened"
        )


@final
class StillNeededError(WithalError):
    """A declared resource cannot be released, because others that are open need it.

    Attributes:
        scope: the path of the scope that holds it.
        resource: its name.
        users: the names of those that need it.
    """

    __module__ = "withal"

    def __init__(self, scope: str, resource: str, users: tuple[str, ...]) -> None:
        self.scope = scope
        self.resource = resource
        self.users = users
        super().__init__(scope, resource, users)

    def __str__(self) -> str:
        users = ", ".join(map(repr, self.users))
        return (
            f"cannot release {self.resource!r} in scope {self.scope!r}: it is needed by {users}; "
            "release these first"
        )
