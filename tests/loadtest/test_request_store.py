import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from accounting.errors import LoadError
from accounting.record_columns import as_columns
from accounting.record_examples import failed, record
from accounting.records import Chunk, Chunks, RequestRecord
from loadtest.record_spool import RecordSpool
from loadtest.request_columns import read_columns
from loadtest.request_store import convert_to_parquet, merge_parquets, read_records
from tests.accounting.test_record_columns import equal, mixed


def write_json_lines(records: list[RequestRecord], path: Path) -> None:
    spool = RecordSpool(path)
    for one in records:
        spool.append(one)
    spool.close()


def test_records_survive_the_way_through_json_lines_and_parquet(tmp_path: Path) -> None:
    records = [
        record([(0.1, 1), (0.2, 5)], request_id="000001", error=""),
        failed(request_id="000002", error="reset \"by\" peer, 'quoted' ü", intended_send_s=101.0),
        record([(0.1, 1)], request_id="000003", token_ids_count=1, intended_send_s=102.0),
    ]
    lines, parquet = tmp_path / "it's.jsonl", tmp_path / "it's.parquet"
    write_json_lines(records, lines)
    convert_to_parquet(lines, parquet)
    assert read_records(parquet) == records
    assert not lines.exists()


def test_columns_are_the_records_in_the_order_of_sending(tmp_path: Path) -> None:
    write_json_lines(mixed(3, 2500), tmp_path / "a.jsonl")
    convert_to_parquet(tmp_path / "a.jsonl", tmp_path / "a.parquet")
    columns = read_columns(tmp_path / "a.parquet")
    assert equal(columns, as_columns(read_records(tmp_path / "a.parquet")))
    assert len(columns) == 2500
    assert (columns.intended_send_s[1:] >= columns.intended_send_s[:-1]).all()


def test_what_is_unknown_or_missing_is_an_error_and_no_other_value(tmp_path: Path) -> None:
    write_json_lines(mixed(3), tmp_path / "a.jsonl")
    for number, (name, value) in enumerate((("outcome", "'no such'"), ("chunk_tokens", "chunk_tokens[2:]"))):
        whole, bent = tmp_path / f"whole{number}.parquet", tmp_path / f"bent{number}.parquet"
        shutil.copy(tmp_path / "a.jsonl", tmp_path / "b.jsonl")
        convert_to_parquet(tmp_path / "b.jsonl", whole)
        with duckdb.connect() as connection:
            query = f"SELECT * REPLACE ({value} AS {name}) FROM read_parquet('{whole}')"
            connection.execute(f"COPY ({query}) TO '{bent}' (FORMAT parquet)")
        with pytest.raises(LoadError, match=f"missing values in {name.removeprefix('chunk_')}"):
            read_columns(bent)


def test_no_request_at_all_is_an_empty_table(tmp_path: Path) -> None:
    write_json_lines([], tmp_path / "a.jsonl")
    convert_to_parquet(tmp_path / "a.jsonl", tmp_path / "a.parquet")
    assert read_records(tmp_path / "a.parquet") == []
    assert len(read_columns(tmp_path / "a.parquet")) == 0


def test_missing_and_damaged_files_are_load_errors(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="no records"):
        convert_to_parquet(tmp_path / "missing.jsonl", tmp_path / "x.parquet")
    (tmp_path / "bad.jsonl").write_text('{"request_id": ')
    with pytest.raises(LoadError, match="cannot be read"):
        convert_to_parquet(tmp_path / "bad.jsonl", tmp_path / "x.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    for read in (read_records, read_columns):
        with pytest.raises(LoadError, match="cannot be read"):
            read(tmp_path / "bad.parquet")


def test_lags_censoring_and_unknown_counts_survive(tmp_path: Path) -> None:
    chunks = Chunks.of([Chunk(100.1, None, True, None), Chunk(100.2, 7, False, 0.0005)])
    before = replace(
        record([(0.1, 1)], worker=3, session="s", turn=1, expected_tokens=7, retry_after_s=2.5), chunks=chunks
    )
    write_json_lines([before], tmp_path / "a.jsonl")
    convert_to_parquet(tmp_path / "a.jsonl", tmp_path / "a.parquet")
    (after,) = read_records(tmp_path / "a.parquet")
    assert after == before
    assert [c.tokens for c in after.chunks] == [None, 7]
    assert after.chunks[0].lag_s is None


def test_several_processes_files_become_one_on_one_clock(tmp_path: Path) -> None:
    """The second process's clock is 50 s ahead: its request was meant to be sent between the first one's two."""
    first = [
        record([(0.1, 1)], request_id="a", intended_send_s=100.0),
        record([(0.1, 1)], request_id="c", intended_send_s=102.0),
    ]
    second = [
        record(
            [(51.1, 1)], request_id="b", intended_send_s=151.0, sent_s=151.0, end_s=151.2, first_text_s=151.1
        )
    ]
    for name, records in (("one", first), ("two", second)):
        write_json_lines(records, tmp_path / f"{name}.jsonl")
        convert_to_parquet(tmp_path / f"{name}.jsonl", tmp_path / f"{name}.parquet")
    merge_parquets(
        [(tmp_path / "one.parquet", 0.0), (tmp_path / "two.parquet", 50.0)], tmp_path / "all.parquet"
    )
    merged = read_records(tmp_path / "all.parquet")
    assert [r.request_id for r in merged] == ["a", "b", "c"]
    moved = merged[1]
    assert (moved.intended_send_s, moved.sent_s, moved.end_s, moved.first_text_s) == pytest.approx(
        (101.0, 101.0, 101.2, 101.1)
    )
    assert moved.chunks.at_s[0] == pytest.approx(second[0].chunks.at_s[0] - 50.0)
