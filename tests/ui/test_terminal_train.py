"""`train` and `runs` on the real program with a tiny model: bad rows, settings, Ctrl+C, resuming, what is listed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from core.finetune import dataset
from core.processes import python_module
from tests.running_app import APP, environment, run_app
from tests.tiny_model import make_tiny_model
from tests.ui.made_runs import run
from ui.i18n import plural, translate
from ui.terminal_train import ACCELERATE, Screen

SAMPLE = Path(dataset.__file__).parent / "samples" / "taller_es.jsonl"
PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def listed(folder: Path) -> list[dict[str, Any]]:
    return lines(run_app(folder, "runs", "--json").stdout)


def write_rows(folder: Path) -> Path:
    path = folder / "frases.csv"
    path.write_text("frase;traducción\n" + "hola;hello\nadiós;bye\n" * 4 + "sola;\n", encoding="utf-8")
    return path


def test_bad_rows_stop_the_start_and_are_named(folder: Path, tiny: Path) -> None:
    path = write_rows(folder)
    ran = run_app(folder, "train", str(path), "--model", str(tiny), language="es_ES.UTF-8")
    assert ran.returncode == 1
    assert translate("es", "error.dataset_columns_unknown", name=path.name, found="frase, traducción") in ran.stderr
    assert translate("es", "terminal.hint_dataset_columns_unknown") in ran.stderr
    columns = ("--columns", "instruction=frase,output=traducción")
    ran = run_app(folder, "train", str(path), "--model", str(tiny), *columns, language="es_ES.UTF-8")
    assert ran.returncode == 1
    assert translate("es", "error.dataset_line_empty_text", line=10, field="traducción") in ran.stderr
    assert translate("es", "error.dataset_bad_rows", name=path.name, count=1, line=10, good=8) in ran.stderr
    assert "--skip-bad-rows" in ran.stderr
    assert listed(folder) == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--set", "lora_rank"), "train_setting_not_assigned"),
        (("--set", "lora_rnak=8"), "train_setting_unknown"),
        (("--set", "epochs=0"), "train_setting_out_of_range"),
        (("--columns", "question=a"), "dataset_mapping_wrong"),
        (("--resume", "none"), "train_run_not_found"),
    ],
)
def test_wrong_arguments_are_told_before_anything_begins(folder: Path, arguments: tuple[str, ...], code: str) -> None:
    ran = run_app(folder, "train", *arguments)
    assert ran.returncode == 1
    beginning = translate("en", f"error.{code}").split("{")[0]
    assert ran.stderr.startswith(beginning) and "Traceback" not in ran.stderr


def test_a_run_by_json_lines_with_settings_and_columns(folder: Path, tiny: Path) -> None:
    ran = run_app(folder, "train", str(write_rows(folder)), "--model", str(tiny), "--json", "--skip-bad-rows",
                  "--columns", "instruction=frase,output=traducción", "--set", "lora-rank=8", "--set", "epochs=1")
    assert ran.returncode == 0, ran.stderr
    told = lines(ran.stdout)
    assert [event["event"] for event in told[:3]] == ["bad_row", "dataset", "run"]
    assert (told[0]["line"], told[0]["code"]) == (10, "dataset_line_empty_text")
    assert {"rows": 9, "examples": 8, "bad_rows": 1, "duplicates": 6}.items() <= told[1].items()
    assert [event["loss"] > 0 for event in told if event["event"] == "step"] == [True, True]
    assert told[-1]["event"] == "finished"
    (run,) = listed(folder)
    assert (run["name"], run["state"], run["step"], run["reason"]) == (told[2]["name"], "finished", 2, None)
    config = json.loads((Path(run["folder"]) / "config.json").read_text(encoding="utf-8"))
    assert (config["lora_rank"], config["epochs"]) == (8, 1)
    assert (Path(run["adapter"]) / "adapter_config.json").is_file()
    names = run_app(folder, "runs", language="es_ES.UTF-8").stdout
    assert run["name"] in names and translate("es", "finetune.state_finished") in names and "frases.csv" in names


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl+C cannot be sent to one process there")
def test_ctrl_c_stops_the_run_and_it_can_be_resumed(folder: Path, tiny: Path) -> None:
    command = [sys.executable, str(APP), "train", str(SAMPLE), "--model", str(tiny), "--set", "epochs=300",
               "--docs", str(folder / "docs"), "--data", str(folder / "data")]
    process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.STDOUT)
    assert process.stdout is not None
    told = []
    give_up = time.monotonic() + PATIENCE_SECONDS
    for line in process.stdout:
        told.append(line)
        if line.startswith("Step 2/") and "Stopping" not in "".join(told):
            process.send_signal(signal.SIGINT)
        assert time.monotonic() < give_up, told
    assert process.wait(timeout=30) == 0, told
    text = "".join(told)
    run = listed(folder)[0]
    assert run["state"] == "stopped"
    assert translate("en", "terminal.train_stopping") in text
    assert translate("en", "terminal.train_resume", name=run["name"]) in text
    refused = run_app(folder, "train", "--resume", run["name"], "--set", "lora_rank=4", language="es_ES.UTF-8")
    assert refused.returncode == 1 and "lora_rank: 16 → 4" in refused.stderr
    # One epoch less than it has done would end at once; a few more steps end by themselves.
    epochs = run["step"] * 4 // 24 + 1
    ran = run_app(folder, "train", "--resume", run["name"], "--set", f"epochs={epochs}", "--json")
    assert ran.returncode == 0, ran.stderr
    again = lines(ran.stdout)
    assert again[0]["event"] == "run"
    resumed = next(event for event in again if event["event"] == "resumed")
    assert resumed["step"] == run["step"]
    assert again[-1]["event"] == "finished"
    assert listed(folder)[0]["state"] == "finished"


def test_a_prepared_run_trains_in_two_processes_of_which_one_tells_the_events(folder: Path, tiny: Path) -> None:
    prepared = run_app(folder, "train", str(SAMPLE), "--model", str(tiny), "--set", "epochs=1", "--set", "batch_size=8",
                       "--prepare", "--json")
    told = lines(prepared.stdout)[-1]
    assert not (Path(told["folder"]) / "events.jsonl").exists()
    worker = told["command"][told["command"].index("core.finetune.worker"):]
    # As `accelerate launch` starts it on two GPUs; on a CPU it would start one process alone.
    two = python_module("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", *worker)
    ran = subprocess.run(two, cwd=APP.parent, env=environment(), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    events = lines((Path(told["folder"]) / "events.jsonl").read_text(encoding="utf-8"))
    steps = [event["step"] for event in events if event["event"] == "step"]
    start = next(event for event in events if event["event"] == "start")
    learnt = start["rows"] - start["held_out_rows"] - start["dropped_rows"]
    assert steps == list(range(1, -(-learnt // 16) + 1))
    assert [event["event"] for event in events].count("finished") == 1
    run = next(run for run in listed(folder) if run["name"] == told["name"])
    assert (run["state"], run["total"]) == ("finished", len(steps))


def test_the_config_file_of_accelerate_is_one_it_reads() -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(ACCELERATE))
    assert (config.distributed_type, config.num_processes) == ("MULTI_GPU", 2)


@pytest.mark.parametrize("verdict", ["helped", "no_change", "worse"])
def test_the_terminal_says_whether_a_run_helped(verdict: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = {"verdict": verdict, "base_loss": 2.0, "tuned_loss": 1.5, "rows": 6, "held_out": True}
    assert Screen("en", as_json=False).ended(run("finished", result=result)) == 0
    told = translate("en", f"finetune.verdict_{verdict}", base="2.000", tuned="1.500", percent="25")
    assert capsys.readouterr().out == f"{told} {plural('en', 'finetune.measured_on', 6)}\n"
