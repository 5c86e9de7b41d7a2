"""The permissions of a file that replaces another: no user gets more rights."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import pytest

from withal import files
from withal.files.replace import permissions as access

ACL = access.ACL
NOBODY = 0xFFFFFFFF


def listed(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *each) for each in entries)


def acl(user: int = 6, group: int = 0, mask: int = 6, other: int = 0) -> bytes:
    return listed(
        (1, 6, NOBODY), (2, user, 1234), (4, group, NOBODY), (16, mask, NOBODY), (32, other, NOBODY)
    )


def list_of(path: Path) -> bytes | None:
    try:
        return os.getxattr(path, ACL)
    except OSError:
        return None


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("old")
    try:
        os.setxattr(path, ACL, acl())
    except (AttributeError, OSError) as error:
        pytest.skip(f"no access control lists here: {error}")
    return path


async def replace(path: Path, way: str) -> None:
    if way == "atomic_write":
        async with files.atomic_write(path) as file:
            await file.write("new")
    else:
        async with files.part_file(path, overwrite=True) as part:
            await part.write(b"new")


WAYS = pytest.mark.parametrize("way", ["atomic_write", "part_file"])


@WAYS
async def test_the_list_is_kept(secret: Path, way: str) -> None:
    before = os.stat(secret).st_mode
    await replace(secret, way)
    assert secret.read_text() == "new"
    assert list_of(secret) == acl()
    assert os.stat(secret).st_mode == before


@WAYS
async def test_a_list_that_cannot_be_set_has_the_bits_cut(
    secret: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "no")

    monkeypatch.setattr(os, "setxattr", refuse)
    await replace(secret, way)
    assert list_of(secret) is None
    assert os.stat(secret).st_mode & 0o777 == 0o600


@WAYS
async def test_a_list_inherited_from_the_folder_is_not_the_old_files(
    tmp_path: Path, secret: Path, way: str
) -> None:
    os.removexattr(secret, ACL)
    secret.chmod(0o660)
    os.setxattr(tmp_path, "system.posix_acl_default", acl())
    await replace(secret, way)
    assert list_of(secret) is None
    assert os.stat(secret).st_mode & 0o777 == 0o660


async def test_a_part_file_that_replaces_a_private_one_is_private(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    target.chmod(0o600)
    async with files.part_file(target, overwrite=True) as part:
        await part.write(b"x" * 600_000)
        await part.write(b"x" * 600_000)
        for draft in tmp_path.glob(".a.*.part"):
            assert draft.stat().st_mode & 0o777 == 0o600
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("entries", "bits"),
    [
        (acl(), 0o00),
        (acl(group=4), 0o40),
        (acl(group=6, mask=4, other=4), 0o44),
        (acl(user=0, group=4, other=4), 0o00),  # that user was refused
    ],
)
def test_without_the_list_no_user_has_more_rights(entries: bytes, bits: int) -> None:
    assert access.mode_without_list(entries) == bits


@pytest.mark.parametrize(
    ("mode", "keeps_owner", "keeps_group", "kept"),
    [
        (0o640, True, False, 0o600),
        (0o664, True, False, 0o644),
        (0o604, True, False, 0o600),  # members of the group are others now
        (0o477, False, True, 0o444),  # the owner may be one of the group now
    ],
)
def test_another_owner_or_group_has_bits_cut(
    mode: int, keeps_owner: bool, keeps_group: bool, kept: int
) -> None:
    assert access._narrowed_mode(mode, keeps_owner=keeps_owner, keeps_group=keeps_group) == kept
