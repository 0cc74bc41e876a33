from pathlib import Path

import pytest

from accounting.errors import LoadError
from accounting.record_examples import failed, record
from loadtest.request_store import convert_to_parquet, read_records, write_json_lines


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


def test_no_request_at_all_is_an_empty_table(tmp_path: Path) -> None:
    write_json_lines([], tmp_path / "a.jsonl")
    convert_to_parquet(tmp_path / "a.jsonl", tmp_path / "a.parquet")
    assert read_records(tmp_path / "a.parquet") == []


def test_missing_and_damaged_files_are_load_errors(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="no records"):
        convert_to_parquet(tmp_path / "missing.jsonl", tmp_path / "x.parquet")
    (tmp_path / "bad.jsonl").write_text('{"request_id": ')
    with pytest.raises(LoadError, match="cannot be read"):
        convert_to_parquet(tmp_path / "bad.jsonl", tmp_path / "x.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(LoadError, match="cannot be read"):
        read_records(tmp_path / "bad.parquet")
