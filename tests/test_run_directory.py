"""Run directories: configuration, lock, numbered metrics, control, checkpoints, exit codes."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from models_zoo import store
from rlhf.trainers import knobs
from rlhf.trainers.command import execute
from rlhf.trainers.run_directory import BadRun, LockHeld, RunDirectory
from tests.runs import SFT, make_run, metrics, prompts


def open_run(folder, rows=({"prompt": []},), **settings):
    return make_run(folder, "ppo", rows=rows, inputs={}, **settings)


def edit(run, **changes):
    file = run.path / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"algorithm": "dpo"}, "algorithm: 'dpo' is unknown; choose one of pretrain"),
        ({"seed": "one"}, "seed must be a whole number"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"seed": 2**32}, "seed must be a whole number from 0"),
        ({"knobs": {"kll": 0.1}}, r"knobs\.kll: unknown to ppo; choose from updates"),
        ({"knobs": {"kl": "much"}}, r"knobs\.kl: must be a number"),
        ({"knobs": {"updates": 2.5}}, r"knobs\.updates: must be a whole number"),
        ({"knobs": {"updates": True}}, r"knobs\.updates: must be a whole number"),
        ({"knobs": {"clip": 0}}, r"knobs\.clip must be above 0"),
        ({"knobs": {"kl": float("nan")}}, r"knobs\.kl: must be a number"),
        ({"knobs": {"kl": float("inf")}}, r"knobs\.kl: must be a number"),
        ({"knobs": []}, None),
        ({"inputs": [1]}, "inputs must be an object"),
    ],
)
def test_broken_config_names_the_field(tmp_path, changes, said):
    run = open_run(tmp_path / "run")
    edit(run, **changes)
    if said is None:
        assert RunDirectory(run.path).knobs == knobs.Ppo()
        return
    with pytest.raises(BadRun, match=said):
        RunDirectory(run.path)


def test_config_that_is_no_json(tmp_path):
    run = open_run(tmp_path / "run")
    (run.path / "config.json").write_text("{")
    with pytest.raises(BadRun, match=r"config\.json cannot be read"):
        RunDirectory(run.path)
    (run.path / "config.json").unlink()
    with pytest.raises(BadRun, match=r"config\.json is missing"):
        RunDirectory(run.path)


def test_input_is_checked(tmp_path):
    run = open_run(tmp_path / "run")
    with pytest.raises(BadRun, match=r"inputs\.policy is missing"):
        run.input("policy")
    run.inputs["policy"] = {"path": str(SFT), "digest": "sha256:0"}
    with pytest.raises(BadRun, match=r"inputs\.policy: .* has changed"):
        run.input("policy")
    run.inputs["policy"] = {"path": "nowhere"}
    with pytest.raises(BadRun, match=r"inputs\.policy: .* is not a folder"):
        run.input("policy")


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "holds no rows"), ('{"a": 1}\n{', "line 2 is not JSON"), ("[1]\n", "line 1 is not an object")],
)
def test_broken_data_names_the_line(tmp_path, text, said):
    run = open_run(tmp_path / "run")
    (run.path / "data" / "train.jsonl").write_text(text)
    with pytest.raises(BadRun, match=said):
        run.rows()


def test_line_separator_inside_a_text_is_no_new_line(tmp_path):
    run = open_run(tmp_path / "run")
    (run.path / "data" / "train.jsonl").write_text('{"text": "a\u2028b"}\n', encoding="utf-8")
    assert run.rows() == [{"text": "a\u2028b"}]


def test_lock_admits_one(tmp_path):
    run = open_run(tmp_path / "run")
    with run.lock(), pytest.raises(LockHeld, match=str(os.getpid())), RunDirectory(run.path).lock():
        pass
    with RunDirectory(run.path).lock():
        pass


def test_metrics_number_on_after_a_resume(tmp_path):
    run = open_run(tmp_path / "run")
    with run.lock():
        run.resume()
        for step in range(1, 4):
            run.record(step, kl=step / 10)
            if step == 2:
                with run.checkpoint(step) as folder:
                    (folder / "state").write_text("two")
    with (run.path / "metrics.jsonl").open("a") as torn:
        torn.write('{"n": 3, "st')
    again = RunDirectory(run.path)
    with again.lock():
        newest, step = again.resume()
        assert (newest / "state").read_text() == "two"
        assert step == 2
        again.record(3, kl=float("nan"))
    lines = metrics(run)
    assert [line["n"] for line in lines] == [0, 1, 2, 3, 4]
    assert (lines[3]["superseded_from"], lines[3]["superseded_to"]) == (2, 2)
    assert lines[4]["kl"] is None
    third = RunDirectory(run.path)
    with third.lock():
        third.resume()
    assert (metrics(run)[5]["superseded_from"], metrics(run)[5]["superseded_to"]) == (4, 4)


def test_start_from_nothing_supersedes_all(tmp_path):
    run = open_run(tmp_path / "run")
    with run.lock():
        run.record(1, kl=0.1)
        run.record_rollouts([{"step": 1, "completion": "lost"}])
        assert run.resume() == (None, 0)
    assert metrics(run)[1]["superseded_from"] == 0
    assert (run.path / "rollouts.jsonl").read_text() == ""


def test_half_written_checkpoint_is_passed_over(tmp_path):
    run = open_run(tmp_path / "run")
    with run.checkpoint(4) as folder:
        (folder / "state").write_text("four")
    with pytest.raises(OSError, match="full"), run.checkpoint(8) as folder:
        raise OSError("disk full")
    assert run.resume()[1] == 4
    assert [each.name for each in (run.path / "checkpoints").iterdir()] == ["step-00000004"]


def test_control_changes_what_may_change(tmp_path):
    run = open_run(tmp_path / "run")

    def changed(**asked):
        (run.path / "control.json").write_text(json.dumps({"knobs": asked}))
        return run.changed(run.knobs, run.control(), allowed=("kl",))

    assert changed(kl=0.2).kl == 0.2
    assert changed(kl=-1) == run.knobs
    assert changed(updates=3) == run.knobs
    assert "cannot change" in (run.path / "log.txt").read_text()
    (run.path / "control.json").write_text('{"stop": tr')
    assert not run.control().stop


def test_failed_output_leaves_none(tmp_path):
    run = open_run(tmp_path / "run")
    with pytest.raises(OSError, match="full"), run.writing_output():
        raise OSError("disk full")
    assert not run.output.exists()
    assert not run.finished


def test_exit_codes(tmp_path, capsys):
    run = open_run(tmp_path / "run")
    asked = [str(run.path)]

    def bad(run):
        raise BadRun("data.train: line 3 is not JSON")

    def done(run):
        with run.writing_output():
            pass
        run.finish({"kl": 1.0})

    assert execute(bad, algorithm="ppo", arguments=asked) == 2
    assert capsys.readouterr().err == "data.train: line 3 is not JSON\n"
    assert execute(done, algorithm="sft", arguments=asked) == 2
    assert execute(done, algorithm="ppo", arguments=[str(tmp_path / "nowhere")]) == 2
    with run.lock():
        assert execute(done, algorithm="ppo", arguments=asked) == 4
    assert execute(done, algorithm="ppo", arguments=asked) == 0
    assert execute(bad, algorithm="ppo", arguments=asked) == 0


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (store.BrokenCheckpoint("policy: the tokenizer has no chat template"), 2),
        (OSError(28, "No space left on device"), 1),
        # As safetensors and torch say it.
        (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), 1),
        (RuntimeError("[enforce fail at inline_container.cc:664] .\n unexpected pos 576 vs 470"), 1),
    ],
    ids=["checkpoint", "write", "safetensors", "torch"],
)
def test_what_a_person_can_mend_is_one_line(tmp_path, capsys, error, status):
    run = open_run(tmp_path / "run")

    def fail(run):
        raise error

    assert execute(fail, algorithm="ppo", arguments=[str(run.path)]) == status
    assert capsys.readouterr().err.count("\n") == 1


def test_a_fault_of_ours_is_not_hidden(tmp_path):
    def fail(run):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes"):
        execute(fail, algorithm="ppo", arguments=[str(open_run(tmp_path / "run").path)])


def test_trainer_dies_with_its_parent(tmp_path):
    """A worker killed by force leaves a trainer behind, which must not train on beside the next one."""
    run = make_run(
        tmp_path / "run", "ppo", rows=prompts(4), inputs={"policy": SFT, "reward_model": SFT}, updates=10_000
    )
    (run.path / "control.json").write_text('{"pause": true}')
    script = (
        "import sys, time\n"
        "from rlhf.trainers.command import execute\n"
        "train = lambda run: [print('up', flush=True), time.sleep(60)]\n"
        "execute(train, algorithm='ppo', arguments=sys.argv[1:])\n"
    )
    spawn = (
        "import os, subprocess, sys, time\n"
        "os.environ['TUTELAGE_PARENT'] = str(os.getpid())\n"
        "child = subprocess.Popen([sys.executable, '-c', sys.argv[1], sys.argv[2]])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", spawn, script, str(run.path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        child = int(parent.stdout.readline())
        assert parent.stdout.readline() == "up\n"
        with pytest.raises(LockHeld), run.lock():
            pass
        parent.send_signal(signal.SIGKILL)
    for _ in range(200):
        try:
            with run.lock():
                return
        except LockHeld:
            time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the trainer lived on")
