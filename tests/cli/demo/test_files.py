"""The files of the demo are the same in every process, and of all sizes."""

from __future__ import annotations

import hashlib

from withal.cli.demo.files import BLOCK_BYTES, LARGEST_BYTES, Misbehaviour, demo_files


def test_sizes_range_from_nothing_to_the_largest() -> None:
    sizes = [file.size for file in demo_files(200)]
    assert min(sizes) == 0
    assert max(sizes) == LARGEST_BYTES == 8 << 20
    assert sizes.count(LARGEST_BYTES) == sizes.count(0) == 1
    assert 150 << 20 <= sum(sizes) <= 250 << 20


def test_each_misbehaviour_meets_a_file_that_is_not_empty() -> None:
    met = {file.misbehaviour: file for file in reversed(demo_files(12))}
    assert met.keys() == set(Misbehaviour)
    assert all(file.size for sort, file in met.items() if sort is not Misbehaviour.NONE)


def test_fewer_files_are_the_first_of_more() -> None:
    assert demo_files(7) == demo_files(30)[:7]


def test_a_file_has_as_many_bytes_as_it_says_in_blocks() -> None:
    for file in demo_files(12):
        sizes = [len(block) for block in file.blocks()]
        assert sum(sizes) == file.size
        assert all(size == BLOCK_BYTES for size in sizes[:-1])


def test_no_two_blocks_are_the_same() -> None:
    blocks = [block for file in demo_files(12) for block in file.blocks()]
    assert len(set(blocks)) == len(blocks)


def test_the_digest_is_of_what_is_in_it() -> None:
    empty, large = demo_files(2)
    assert empty.sha256() == hashlib.sha256(b"").hexdigest()
    assert large.sha256() == hashlib.sha256(b"".join(large.blocks())).hexdigest()


def test_what_is_in_a_file_never_changes() -> None:
    digest = "cddf3d2fe486031b4a49085ac0a1407c6a3c43722f18e57249a00a0d833947ff"
    assert demo_files(3)[2].sha256() == digest
