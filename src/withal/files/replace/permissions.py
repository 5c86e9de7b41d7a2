"""The permissions of a file: read from the old file, and set on its replacement.

The replacement never permits more than the old file did. If the file has an access control list
(``system.posix_acl_access``), the group bits of its mode are the mask of the list, not the rights
of the group (https://man7.org/linux/man-pages/man5/acl.5.html). So the list is kept; if that is
impossible, the bits are reduced. Every function blocks.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import final

PERMISSIONS = 0o777
"""What is kept of the old file's mode. The set-user-ID, set-group-ID and sticky bits are not: they
applied to the old content, and the kernel, too, clears the first two when a file is written."""

ACL = "system.posix_acl_access"

# Linux's format, in linux/posix_acl_xattr.h: a version, then a tag, permissions and an id each.
_HEADER = struct.Struct("<I")
_ENTRY = struct.Struct("<HHI")
_OWNER, _NAMED_USER, _GROUP, _NAMED_GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20

_HAS_XATTR = hasattr(os, "getxattr")
_NONE = frozenset({errno.ENODATA, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOENT, errno.ENOSYS})

# The labels of SELinux and Smack: by default, a new file gets the label of its folder.
_LABELS = tuple(
    name
    for name, place in (
        ("security.selinux", "/sys/fs/selinux"),
        ("security.SMACK64", "/sys/fs/smackfs"),
    )
    if _HAS_XATTR and os.path.isdir(place)
)


@final
@dataclass(frozen=True, slots=True)
class Access:
    """The permissions of a file.

    Attributes:
        uid: the owner.
        gid: the group.
        mode: the permission bits.
        acl: the access control list, as the kernel has it; None if there is none.
        labels: the names and values of security labels.
    """

    uid: int
    gid: int
    mode: int
    acl: bytes | None
    labels: tuple[tuple[str, bytes], ...]


def access_of(status: os.stat_result, path: str) -> Access:
    """Return the permissions of the file with this status and path; a link is not followed.

    Raises:
        OSError: if its access control list cannot be read.
    """
    labels = [(name, _attribute(path, name)) for name in _LABELS]
    return Access(
        status.st_uid,
        status.st_gid,
        status.st_mode & PERMISSIONS,
        _attribute(path, ACL),
        tuple((name, value) for name, value in labels if value is not None),
    )


def give_access(descriptor: int, old: Access) -> None:
    """Set the permissions of the old file, or fewer if they cannot be kept."""
    made = os.fstat(descriptor)
    has_acl = _attribute(descriptor, ACL) is not None
    is_same = made.st_uid == old.uid and made.st_gid == old.gid
    if has_acl or not is_same:
        # Until it has its owner and group, no other user may access it.
        os.fchmod(descriptor, stat.S_IRUSR | stat.S_IWUSR)
        if has_acl:
            os.removexattr(descriptor, ACL)
    keeps_owner = made.st_uid == old.uid or _chown(descriptor, old.uid, -1)
    keeps_group = made.st_gid == old.gid or _chown(descriptor, -1, old.gid)
    for name, value in old.labels:
        if _attribute(descriptor, name) != value:
            with suppress(OSError):  # the security policy may forbid it
                os.setxattr(descriptor, name, value)
    if old.acl is None:
        mode = _narrowed_mode(old.mode, keeps_owner=keeps_owner, keeps_group=keeps_group)
    else:
        acl = _narrowed_list(old.acl, keeps_owner=keeps_owner, keeps_group=keeps_group)
        if _set_list(descriptor, acl):
            return
        mode = old.mode & stat.S_IRWXU | mode_without_list(acl)
    if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:  # some file systems do not support it
        os.fchmod(descriptor, mode)


def mode_without_list(acl: bytes) -> int:
    """Return the bits of the group and of others that permit no more than a list does.

    Without the list, the rights of a user in the list are those of the group or of others.
    """
    entries = _entries(acl)
    mask = next((perm for tag, perm, _ in entries if tag == _MASK), 0o7)
    least = 0o7
    for tag, perm, _ in entries:
        if tag in (_NAMED_USER, _NAMED_GROUP):
            least &= perm & mask
    group = next((perm for tag, perm, _ in entries if tag == _GROUP), 0)
    other = next((perm for tag, perm, _ in entries if tag == _OTHER), 0)
    return (group & mask & least) << 3 | (other & least)


def _narrowed_mode(mode: int, *, keeps_owner: bool, keeps_group: bool) -> int:
    """Return the bits to set if the new file has another owner or group."""
    owner, group, other = mode >> 6, mode >> 3 & 0o7, mode & 0o7
    if not keeps_group:  # the bits would apply to members of another group
        group = other = group & other
    if not keeps_owner:
        group, other = group & owner, other & owner
    return owner << 6 | group << 3 | other


def _narrowed_list(acl: bytes, *, keeps_owner: bool, keeps_group: bool) -> bytes:
    """Return the list to set if the new file has another owner or group."""
    entries = _entries(acl)
    of = {tag: perm for tag, perm, _ in entries if tag not in (_NAMED_USER, _NAMED_GROUP)}
    owner = 0o7 if keeps_owner else of.get(_OWNER, 0)
    common = of.get(_GROUP, 0) & of.get(_MASK, 0o7) & of.get(_OTHER, 0)
    packed = [_HEADER.pack(2)]
    for tag, perm, number in entries:
        kept = common if not keeps_group and tag in (_GROUP, _OTHER) else perm
        packed.append(_ENTRY.pack(tag, kept if tag == _OWNER else kept & owner, number))
    return b"".join(packed)


def _entries(acl: bytes) -> list[tuple[int, int, int]]:
    return list(_ENTRY.iter_unpack(acl[_HEADER.size :]))


def _set_list(descriptor: int, acl: bytes) -> bool:
    try:
        os.setxattr(descriptor, ACL, acl)
    except OSError:
        return False
    return True


def _chown(descriptor: int, uid: int, gid: int) -> bool:
    """Change the owner and the group, which only root may, or a member of the group."""
    try:
        os.fchown(descriptor, uid, gid)
    except OSError:
        return False
    return True


def _attribute(file: int | str, name: str) -> bytes | None:
    if not _HAS_XATTR:
        return None
    try:
        return os.getxattr(file, name, follow_symlinks=isinstance(file, int))
    except OSError as error:
        if error.errno in _NONE:
            return None
        raise
