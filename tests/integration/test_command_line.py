"""The command as a new user types it, mistakes included."""

import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]
FIRST_LIGHT = Path(__file__).parents[2] / "experiments" / "first-light.yaml"


def test_a_dry_run_shows_cells_minutes_and_dollars_and_starts_nothing(
    tmp_path: Path, kilotoken: Command
) -> None:
    done = kilotoken("run", FIRST_LIGHT, "--dry-run")
    assert done.returncode == 0, done.stderr
    for words in ("16 cells in 4 server lives", "min", "$", "per hour", "nothing was started", "r1-ngram"):
        assert words in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_init_writes_an_experiment_that_is_valid_and_refuses_to_overwrite(
    tmp_path: Path, kilotoken: Command
) -> None:
    assert kilotoken("init").returncode == 0
    assert kilotoken("validate", "experiment.yaml").returncode == 0
    assert kilotoken("run", "experiment.yaml", "--dry-run").returncode == 0
    json.loads((tmp_path / "experiment.schema.json").read_text())
    again = kilotoken("init")
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert kilotoken("init", "--force").returncode == 0


def test_doctor_examines_and_tells_what_to_do(kilotoken: Command) -> None:
    found = kilotoken("doctor", "--json")
    findings = {f["subject"]: f for f in json.loads(found.stdout)}
    assert {"machine", "engine", "devices", "preload tcmalloc", "ports", "disk here", "clock"} <= set(
        findings
    )
    for finding in findings.values():
        assert finding["health"] == "ok" or finding["remedy"], finding
    assert "engine" in kilotoken("doctor").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["rnu"], 2, ["No such command 'rnu'", "run"]),
        (["run"], 2, ["which experiment"]),
        (["run", "missing.yaml"], 2, ["missing.yaml does not exist", "kilotoken init"]),
        (["run", FIRST_LIGHT, "--dryrun"], 2, ["--dryrun", "--dry-run"]),
        (["run", FIRST_LIGHT, "--out", "/dev/null/x"], 3, ["/dev/null/x", "cannot be written", "--out"]),
        (["run", "--resume", "nowhere"], 7, ["nowhere is not a run directory"]),
        (["run", "--resume", "nowhere", "--dry-run"], 2, ["--resume"]),
        (["show", "nowhere"], 7, ["nowhere is not a run directory"]),
        (["report", "nowhere"], 7, ["nowhere is not a run directory"]),
        (["validate", "missing.yaml"], 2, ["missing.yaml does not exist"]),
        (["serve", "missing.yaml"], 2, ["missing.yaml does not exist"]),
        (["serve", "--port", "99999"], 2, ["--port", "65535"]),
    ],
)
def test_each_mistake_is_one_paragraph_and_an_exit_code(
    arguments: list[object], code: int, words: list[str], kilotoken: Command
) -> None:
    done = kilotoken(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr.startswith("Error:")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in done.stderr


SERVER = "model: {name: %s}\nengine: {device: %s}\n"


@pytest.mark.parametrize(
    ("name", "device", "code", "words"),
    [
        ("smollm2-135m-instrukt", "auto", 4, "smollm2-135m-instruct"),
        ("./not-here", "auto", 4, "not-here"),
        ("./no-tokenizer", "auto", 4, "tokenizer"),
        ("./no-weights", "auto", 4, "weights"),
        ("fake", "fpga", 2, "device"),
    ],
)
def test_models_that_cannot_be_served_are_refused_before_a_start(
    name: str, device: str, code: int, words: str, tmp_path: Path, kilotoken: Command
) -> None:
    for folder, files in {"no-tokenizer": ["model.safetensors"], "no-weights": ["tokenizer.json"]}.items():
        (tmp_path / folder).mkdir()
        for file in ["config.json", *files]:
            (tmp_path / folder / file).write_text("{}")
    (tmp_path / "server.yaml").write_text(SERVER % (name, device))
    done = kilotoken("serve", "server.yaml", "--print-command")
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_told(tmp_path: Path, kilotoken: Command) -> None:
    (tmp_path / "server.yaml").write_text(SERVER % ("fake", "fake"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = kilotoken("serve", "server.yaml", "--port", port)
    assert done.returncode == 3
    assert f"port {port} on 127.0.0.1 cannot be used" in done.stderr


def test_print_command_prints_a_line_that_a_shell_can_run(tmp_path: Path, kilotoken: Command) -> None:
    (tmp_path / "server.yaml").write_text(
        "model: fake\nengine: {device: fake}\nspeculation: {method: ngram, num_speculative_tokens: 2}\n"
    )
    done = kilotoken("serve", "server.yaml", "--print-command", "--port", "0")
    assert done.returncode == 0, done.stderr
    checked = subprocess.run(["bash", "-n", "-c", done.stdout], check=False)
    assert checked.returncode == 0
    assert "--speculative-config" in done.stdout


def test_help_and_validate(tmp_path: Path, kilotoken: Command) -> None:
    assert "validate" in kilotoken("--help").stdout
    assert "valid experiment: 2 arms, 4 server lives, 16 cells" in kilotoken("validate", FIRST_LIGHT).stdout
    (tmp_path / "server.yaml").write_text("modle: x\n")
    wrong = kilotoken("validate", "server.yaml")
    assert wrong.returncode == 2
    assert "did you mean 'model'" in wrong.stderr


def test_a_directory_with_something_in_it_is_no_place_for_a_run(tmp_path: Path, kilotoken: Command) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    done = kilotoken("run", FIRST_LIGHT, "--out", "mine")
    assert done.returncode == 7
    assert "mine is not empty" in done.stderr
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_an_existing_command_line_becomes_a_file_that_validates(tmp_path: Path, kilotoken: Command) -> None:
    line = "vllm serve org/name --max-num-seqs 8 --port 9000"
    done = kilotoken("import-command", line, "--out", "server.yaml")
    assert done.returncode == 0, done.stderr
    assert "left out: --port" in done.stderr
    assert kilotoken("validate", "server.yaml").returncode == 0
    again = kilotoken("import-command", line, "--out", "server.yaml")
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_a_file_that_names_a_running_server_is_valid_and_cannot_be_started(
    tmp_path: Path, kilotoken: Command
) -> None:
    (tmp_path / "running.yaml").write_text('url: "http://127.0.0.1:8000"\n')
    assert kilotoken("validate", "running.yaml").returncode == 0
    refused = kilotoken("serve", "running.yaml")
    assert refused.returncode == 2
    assert "already runs" in refused.stderr


def test_a_configuration_the_engine_would_not_obey_is_refused_with_the_way_out(
    tmp_path: Path, kilotoken: Command
) -> None:
    """Only where an engine is installed is it known on which device it would run."""
    (tmp_path / "wrong.yaml").write_text(
        "engine: {device: cpu}\nspeculation: {method: ngram_gpu, num_speculative_tokens: 3}\n"
        "kv_cache: {block_size: 16}\n"
    )
    done = kilotoken("validate", "wrong.yaml")
    assert done.returncode == 2
    for words in (
        "ngram_gpu needs CUDA",
        "Write `method: ngram`",
        "no multiple of 32",
        "Nothing was started",
    ):
        assert words in done.stderr
