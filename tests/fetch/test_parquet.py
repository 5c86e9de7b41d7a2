"""Requests from Parquet, and results in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from withal.fetch import Request, RequestFile, RequestLineError
from withal.fetch.cluster.result_lines import result_row
from withal.fetch.report import Result
from withal.fetch.requests.parquet import RequestRows, rows_of_dataset, write_parquet

arrow: Any = pytest.importorskip("pyarrow")
parquet: Any = pytest.importorskip("pyarrow.parquet")


def write(path: Path, **columns: list[Any]) -> Path:
    path.parent.mkdir(exist_ok=True)
    parquet.write_table(arrow.table(columns), path)
    return path


async def requests_of(path: Path, most: int = 1000) -> list[str | Request]:
    found: list[str | Request] = []
    async with RequestFile(path) as requests:
        while some := await requests.take(most):
            assert len(some) <= most
            found += some
    return found


async def test_the_columns_are_those_of_csv_and_others_are_passed_over(tmp_path: Path) -> None:
    path = write(
        tmp_path / "list.parquet",
        url=["http://host.example/a", "http://host.example/b"],
        name=["a.csv", None],
        size=[3, None],
        score=[0.5, 0.7],
    )
    first, second = await requests_of(path)
    assert first == Request("http://host.example/a", path="a.csv", size=3)
    assert second == Request("http://host.example/b")


@pytest.mark.parametrize("count", [0, 1, 4095, 4096, 4097])
async def test_all_rows_come_in_order(tmp_path: Path, count: int) -> None:
    urls = [f"http://host.example/{number}" for number in range(count)]
    column = arrow.array(urls, arrow.string())
    parquet.write_table(arrow.table({"url": column}), tmp_path / "list.parquet")
    assert await requests_of(tmp_path / "list.parquet", 7) == [Request(url) for url in urls]


async def test_a_folder_is_read_in_the_order_of_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "list.parquet"
    write(folder / "2.parquet", url=["http://host.example/c"])
    write(folder / "1.parquet", url=["http://host.example/a", "http://host.example/b"])
    (folder / "_SUCCESS").touch()
    found = await requests_of(folder)
    assert [Request(f"http://host.example/{name}") for name in "abc"] == found


async def test_a_row_that_is_not_a_request_is_said_with_its_number(tmp_path: Path) -> None:
    path = write(tmp_path / "list.parquet", url=["http://host.example/a", None])
    with pytest.raises(RequestLineError, match="line 2: the URL is missing"):
        await requests_of(path)
    errors: list[RequestLineError] = []
    async with RequestFile(path, on_error=errors.append) as requests:
        assert await requests.take(10) == [Request("http://host.example/a")]
    assert [error.number for error in errors] == [2]


async def test_what_is_missing_or_is_not_parquet_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.parquet"):
        await requests_of(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("http://host.example/a\n")
    with pytest.raises(RequestLineError, match=r"text\.parquet is not a Parquet file"):
        await requests_of(tmp_path / "text.parquet")


async def test_the_rows_are_closed_though_not_read_to_the_end() -> None:
    closed = []

    def rows() -> Iterator[Mapping[str, Any]]:
        try:
            for number in range(100_000):
                yield {"url": f"http://host.example/{number}"}
        finally:
            closed.append(True)

    source = RequestRows(rows)
    assert len(await source.take(3)) == 3
    await source.aclose()
    assert closed == [True]


async def test_a_dataset_of_ray_is_read_by_batches() -> None:
    class Dataset:
        def iter_batches(self, *, batch_size: int, batch_format: str) -> Iterator[Any]:
            assert batch_format == "pyarrow"
            for number in range(2):
                yield arrow.table({"url": [f"http://host.example/{number}"]})

    rows = RequestRows(lambda: rows_of_dataset(Dataset()))
    found = await rows.take(10)
    assert found == [Request("http://host.example/0"), Request("http://host.example/1")]


def test_results_are_a_table_with_the_columns_of_the_lines(tmp_path: Path) -> None:
    good = Result("http://host.example/a", Path("a"), 3, "00", 1, None)
    bad = Result.failed("http://host.example/b", "404 Not Found", 2)
    write_parquet(tmp_path / "found.parquet", [result_row(good), result_row(bad)])
    rows = parquet.read_table(tmp_path / "found.parquet").to_pylist()
    assert rows == [result_row(good), result_row(bad)]
    write_parquet(tmp_path / "none.parquet", [])
    assert parquet.read_table(tmp_path / "none.parquet").num_rows == 0
