"""Formatting of amounts for people."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number of things.

    Example:
        >>> counted(1, "file"), counted(2000, "file")
        ('1 file', '2,000 files')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size(number: int) -> str:
    """Return a number of bytes in a suitable unit.

    Example:
        >>> size(1), size(1023), size(1536), size(8 << 20), size(3 << 40)
        ('1 byte', '1,023 bytes', '1.5 KiB', '8.0 MiB', '3,072.0 GiB')
    """
    if number < 1 << 10:
        return counted(number, "byte")
    shift, unit = next(
        each for each in ((30, "GiB"), (20, "MiB"), (10, "KiB")) if number >> each[0]
    )
    return f"{number / (1 << shift):,.1f} {unit}"


def seconds(number: float) -> str:
    """Return a time with milliseconds, so that times in a column are easy to compare.

    Example:
        >>> seconds(0.00042), seconds(1234.5)
        ('0.000 s', '1,234.500 s')
    """
    return f"{number:,.3f} s"
