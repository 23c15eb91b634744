"""The user's mistakes and a machine's troubles: one clear line, exit code 2, nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.apart import Result, Running

Run = Callable[..., Result]
Begin = Callable[..., Running]
COMMANDS = ["setup", "record", "import", "sessions", "train", "drive", "race", "demo", "doctor", "plugins"]


def line(done: Result, code: int = 2) -> str:
    """Return the one line of an error."""
    assert done.code == code, done.err
    assert done.out == ""
    assert done.err.startswith("autopilot: ")
    assert done.err.count("\n") == 1, done.err
    return done.err


def tree(home: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(home.rglob("*")) if p.is_file()}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ("record --game nowhere", "unknown game 'nowhere'"),
        ("record --game pit:pit", "unknown game 'pit:pit'"),
        ("record --game ribbon --driver demonstrator --track moon", "no track 'moon'"),
        ("record --game ribbon --driver demonstrator --track ../1", "no track '../1'"),
        ("record --game ribbon --driver demonstrator --mode ../A", "no mode '../A'"),
        ("record --game pit --driver ../anna", "'../anna' cannot be part of a name"),
        ("record --game ribbon", "cannot be played by a human"),
        ("record --game wild --driver demonstrator", "ships no demonstrator"),
        ("record --game pit --noise 0.1", "--noise disturbs a demonstrator"),
        ("record --game pit --driver demonstrator --noise 1", "--noise 1.0 must be"),
        ("record --game pit --driver demonstrator --noise nan", "nan is not a finite number"),
        ("record --game pit --hz 0", "--hz"),
        ("record --game pit --hz nan", "--hz"),
        ("record --game pit --seconds nan --driver demonstrator", "--seconds"),
        ("record --game pit --seconds inf --driver demonstrator", "--seconds"),
        ("record --game pit --region 1,2,3", "--region"),
        ("record --game pit --region 0,0,0,5", "--region"),
        ("record --game gone --driver demonstrator", "cannot load game 'gone'"),
        ("record", "--game"),
        ("recrod --game pit", "did you mean record?"),
        ("sessions ../x", "session name '../x' cannot be used"),
        ("sessions nope", "no session 'nope'"),
        ("sessions --delete 1-2", "name the session"),
        ("sessions nope --delete 5-1", "'nope'"),
        ("train --model tiny --game ribbon --name ../x", "bundle name '../x' cannot be used"),
        ("train --model nope --game ribbon", "unknown model 'nope'"),
        ("train --model tiny --game nope", "unknown game 'nope'"),
        ("train --model tiny --batch-size 100000", "--batch-size 100000 is larger"),
        ("train --model tiny --session ../x", "session name '../x' cannot be used"),
        ("train --model tiny --set depth=3 --batch-size 8", "no setting 'depth'"),
        ("train --model tiny --set depth --batch-size 8", "NAME=VALUE"),
        ("train --model tiny --set width=wide --batch-size 8", "setting width is 'wide'"),
        ("train --model tiny --epochs 0", "--epochs"),
        ("train --model tiny --learning-rate nan", "--learning-rate"),
        ("train --model tiny --validation 2", "--validation"),
        ("train --model tiny --seed 99999999999", "--seed"),
        ("train --model tiny --balance luck", "--balance"),
        ("plugins --home", "--home"),
        ("doctor extra", "extra"),
    ],
)
def test_a_mistake_is_one_line_and_changes_nothing(run: Run, home: Path, args: str, says: str) -> None:
    before = tree(home)
    assert says in line(run(*args.split(), home=home))
    after = {k: v for k, v in tree(home).items() if "/cache/" not in k}
    assert after == {k: v for k, v in before.items() if "/cache/" not in k}


def test_no_sessions_at_all(run: Run, tmp_path: Path) -> None:
    assert "no sessions in" in line(run("train", "--model", "tiny"))
    assert "autopilot record" in line(run("train", "--model", "tiny", "--game", "ribbon"))
    done = run("sessions")
    assert done.code == 0
    assert "make one with `autopilot record`" in done.out
    assert json.loads(run("sessions", "--json").out) == {"sessions": [], "broken": []}


def test_all_labels_the_same(run: Run) -> None:
    args = "record --game pit --driver demonstrator --track endless --seconds 0.6 --hz 120"
    for _ in range(2):
        assert run(*args.split(), PITLANE='{"held": ["left"]}').code == 0
    done = run("train", "--model", "tiny", "--batch-size", "8")
    assert "are labelled 'left': nothing to learn" in line(done)


def test_sessions_of_several_games(run: Run, home: Path) -> None:
    args = "record --game pit --driver demonstrator --track endless --seconds 0.2"
    assert run(*args.split(), home=home).code == 0
    assert "sessions of pit, ribbon: choose with --game" in line(run("train", "--model", "tiny", home=home))


def test_a_broken_session_is_named_and_the_others_are_used(run: Run, home: Path) -> None:
    first, second, third = sorted((home / "sessions").iterdir())
    info = first / "session.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"format": 99}))
    (segment,) = second.glob("seg-*")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    (segment,) = third.glob("seg-*")
    segment.write_bytes(segment.read_bytes()[:-20000])
    done = run("sessions", "--json", home=home)
    assert done.code == 0
    listed = json.loads(done.out)
    assert [b["id"] for b in listed["broken"]] == [first.name]
    assert "newer autopilot" in listed["broken"][0]["error"]
    assert "damaged frames: 1" in listed["sessions"][0]["health"]
    assert "damaged frames" in listed["sessions"][1]["health"]
    plain = run("sessions", home=home)
    assert first.name in plain.err
    assert "newer autopilot" in plain.err
    assert "newer autopilot" in line(run("sessions", first.name, home=home))
    only = line(run("train", "--model", "tiny", "--session", first.name, home=home))
    assert "newer autopilot" in only
    trained = run(*"train --model tiny --batch-size 32 --epochs 1 --json".split(), home=home)
    assert trained.code == 0, trained.err
    assert "newer autopilot" in trained.err, "what is left out is named"


def test_two_recorders_at_once_take_two_folders(begin: Begin, tmp_path: Path) -> None:
    args = "record --game pit --driver demonstrator --seconds 0.3 --track".split()
    both = [begin(*args, "endless"), begin(*args, "oval")]
    assert [r.wait().code for r in both] == [0, 0]
    assert len(list((tmp_path / "home/sessions").iterdir())) == 2


def test_a_disk_that_is_full_keeps_what_was_recorded(begin: Begin, tmp_path: Path, site: Path) -> None:
    home = tmp_path / "full"
    program = (
        "import resource, sys\n"
        "from autopilot.cli import main\n"
        "import signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))\n"
        "sys.argv = ['autopilot', *sys.argv[1:]]\n"
        "main()\n"
    )
    args = "record --game pit --driver demonstrator --track endless --seconds 20".split()
    env = {**os.environ, "PYTHONPATH": str(site), "AUTOPILOT_HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", program, *args], capture_output=True, text=True, env=env, timeout=120)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("autopilot: disk full: ")
    assert done.stderr.count("\n") == 1
    kept = int(done.stderr.split("disk full: ")[1].split()[0])
    listed = begin("sessions", "--json", home=home).wait()
    assert json.loads(listed.out)["sessions"][0]["frames"] == kept > 10


def test_a_disk_that_fills_up_in_training_costs_nothing(
    begin: Begin, tmp_path: Path, site: Path, trained: Path
) -> None:
    home = Path(shutil.copytree(trained, tmp_path / "home"))
    args = "train --model tiny --name tiny --epochs 8 --batch-size 64 --set width=8".split()
    assert begin(*args, home=home).wait().code == 0
    for path in (home / "runs/tiny/checkpoints").iterdir():
        path.unlink()
    program = (
        "import resource, signal, sys\n"
        "import autopilot.learn.train\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (33_000, 33_000))\n"
        "from autopilot.cli import main\n"
        "sys.argv = ['autopilot', *sys.argv[1:]]\n"
        "main()\n"
    )
    env = {**os.environ, "PYTHONPATH": str(site), "AUTOPILOT_HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", program, *args], capture_output=True, text=True, env=env, timeout=240)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("autopilot: cannot write a checkpoint in ")
    assert begin(*args, home=home).wait().code == 0
    for name in ("manifest.json", "weights.safetensors"):
        wanted = (trained / "bundles/tiny" / name).read_bytes()
        assert (home / "bundles/tiny" / name).read_bytes() == wanted


def test_a_home_that_is_a_file(run: Run, trained: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    args = "record --game ribbon --driver demonstrator".split()
    assert "cannot record into" in line(run(*args, home=file))
    assert "no sessions" in line(run("train", "--model", "tiny", home=file))
    home = Path(shutil.copytree(trained, tmp_path / "home"))
    (home / "races").write_text("mine")
    race = "race --game ribbon --drivers demonstrator --tracks 1 --laps 1".split()
    assert "Not a directory" in line(run(*race, home=home), code=1)
    assert file.read_text() == (home / "races").read_text() == "mine"


def test_a_home_of_nobody_is_one_line(run: Run) -> None:
    for args in ("sessions --home ~nosuchuser/x", "train --model tiny --home ~nosuchuser"):
        assert "there is no user's folder for ~nosuchuser" in line(run(*args.split()))


def test_home_is_the_option_before_the_variable(run: Run, tmp_path: Path) -> None:
    args = "record --game pit --driver demonstrator --track endless --seconds 0.1".split()
    assert run(*args, "--home", str(tmp_path / "given"), home=tmp_path / "variable").code == 0
    assert (tmp_path / "given/sessions").is_dir()
    assert not (tmp_path / "variable").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json_home_and_examples(run: Run, name: str) -> None:
    done = run(name, "--help")
    assert done.code == 0
    assert done.err == ""
    for option in ("--json", "--home", "--safe-mode", "--debug"):
        assert option in done.out
    assert f"  autopilot {name}" in done.out.split("Examples:")[1]


def test_doctor_prints_each_probe_with_its_fix(run: Run) -> None:
    done = run("doctor", "--patience", "50", "--json")
    report = json.loads(done.out)
    found = {p["name"]: p for p in report["probes"]}
    assert {"Python", "disk", "clock", "JAX"} <= set(found)
    assert found["pit wheel"]["ok"]
    assert found["pit pedal"]["fix"] == "find it"
    assert "probed too hard" in found["pit-eye"]["detail"]
    assert "autopilot-pitlane" in found["pit-eye"]["fix"]
    assert done.code == (not report["ok"])
    assert "find it" in run("doctor", "--patience", "50").out
    assert json.loads(run("doctor", "--json").out)["seconds"] < 10


def test_a_closed_pipe_is_no_traceback(site: Path, recorded: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(site), "AUTOPILOT_HOME": str(recorded)}
    command = f"{sys.executable} -m autopilot sessions --json | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=env, timeout=120)
    assert done.stdout == "{"
    assert done.stderr == ""


def test_the_installed_script_itself(site: Path, tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("autopilot")
    env = {**os.environ, "PYTHONPATH": str(site), "AUTOPILOT_HOME": str(tmp_path)}
    ok = subprocess.run([script, "plugins", "--json"], capture_output=True, text=True, env=env, timeout=120)
    rows = {r["distribution"]: r for r in json.loads(ok.stdout)}
    assert rows["autopilot-ribbon"]["provides"] == {"game": ["ribbon"], "label map": ["ribbon"], "model": ["tiny"]}
    bad = subprocess.run(
        [script, "drive", "--game", "ribbon", "--bundle", "x"], capture_output=True, text=True, env=env, timeout=120
    )
    assert (bad.returncode, bad.stdout, bad.stderr.count("\n")) == (2, "", 1)
