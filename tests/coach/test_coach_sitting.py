"""A whole sitting: play, lessons, the wheel handed over, corrections, the bundle; and what may go wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import autopilot
import filelock
import pytest
from autopilot.api.errors import UserError
from autopilot.sessions.session import Session
from autopilot_coach import display
from autopilot_coach.state import State, Stint
from support.sitting import OPTIONS, Heard, Held, hold

pytestmark = pytest.mark.timeout(1800)  # three trainings, each in a process of its own, perhaps on a busy machine


def session(root: Path, stint: Stint) -> Session:
    return Session.open(root / "sessions" / stint.session)


def test_the_network_learns_and_drives(held: Held) -> None:
    state = held.state
    assert state.over
    assert state.stints[0].by_human == state.stints[0].frames, "nobody else can drive at first"
    assert state.first_network is not None
    assert state.first_network["game_s"] >= OPTIONS.first_s + 5, "a lesson's time passes by in the game"
    driven = [stint for stint in state.stints if stint.network is not None]
    assert driven
    assert sum(stint.frames - stint.by_human for stint in driven) > 100
    assert sum(stint.frames for stint in state.stints) == round(1.2 * 60 * state.hz)
    assert any("drives from now on" in line for line in held.heard.lines)
    assert held.heard.shown


def test_sessions_label_what_the_person_drove(held: Held) -> None:
    for stint in held.state.stints:
        rows = session(held.root, stint)
        labelled = int((rows.index.action >= 0).sum())
        assert rows.info.policy
        assert (len(rows), labelled) == (stint.frames, stint.by_human)


def test_what_led_to_a_correction_is_labelled_as_it_began(held: Held) -> None:
    corrected = [s for s in held.state.stints if s.corrected and session(held.root, s).info.human[-1][0] > 2]
    assert corrected, "the first network of all is corrected"
    its = session(held.root, corrected[0])
    start = next(start for start, _ in its.info.human if start > 2)
    before = its.edits().relabelled[0]
    assert (before.start, before.stop) == (start - 2, start)
    assert frozenset(before.held) == its.row(start).held


def test_the_best_network_becomes_a_bundle_that_drives(held: Held) -> None:
    reports = autopilot.open(held.root).drive("learner", "ribbon", laps=1, track="7", select="argmax", max_s=60)
    assert reports[0].reading is not None
    assert reports[0].reading.finished
    lessons = [lesson for lesson in held.state.lessons if lesson["adopted"]]
    assert lessons[-1]["mark"] == max((lesson["mark"] for lesson in lessons), key=lambda m: (m["finished"], m["pace"]))
    rejected = [lesson["name"] for lesson in held.state.lessons if not lesson["adopted"]]
    assert not [name for name in rejected if (held.root / "bundles" / name).exists()]


def test_the_report_adds_up(held: Held) -> None:
    data = json.loads(json.dumps(display.report(held.state), allow_nan=False))
    assert data["laps"] == sum(len(stint.laps_s) for stint in held.state.stints) >= 2
    assert data["pieces"][-1]["game_s"] == pytest.approx(60 * 1.2, abs=0.2)
    words = display.text("learner", data, str(held.state.mark))
    assert "1.2 minutes played" in words
    assert "autopilot drive --bundle learner" in words


def test_the_same_name_goes_on(held: Held, home: Path) -> None:
    assert held.again(home).go().lessons == held.state.lessons, "where the time is up, nothing more is taught"
    before = len(held.state.stints)
    sitting = held.again(home, minutes=1.4)
    sitting._resume()
    sitting._play()
    stints = sitting.state.stints
    assert [s.session for s in stints[:before]] == [s.session for s in held.state.stints]
    assert len(stints) > before
    assert stints[before].network is not None, "its network drives from the first frame on"


def test_a_session_that_no_lesson_can_use_is_left_out(held: Held, home: Path) -> None:
    lost = held.state.stints[0].session
    shutil.rmtree(home / "sessions" / lost)
    sitting = held.again(home)
    sitting._resume()
    sitting._begin(sitting._task(10, None))
    lesson = sitting._wait()
    assert lesson is not None
    sitting._judge(lesson)
    assert lost in lesson.fault
    assert sitting.state.champion == held.state.champion, "the last good network drives on"
    assert sitting.state.left_out == [lost]
    assert sitting._task(10, None).sessions == held.state.taught()[1:]
    assert any("came to nothing" in line for line in held.heard.lines)


def test_what_a_killed_process_recorded_counts(held: Held, home: Path) -> None:
    path = home / "coach/learner/sitting.json"
    data = json.loads(path.read_bytes())
    lost = data["stints"].pop()
    data["open"], data["over"] = [lost["session"], lost["track"]], False
    path.write_text(json.dumps(data))
    sitting = held.again(home, minutes=0.1)
    sitting._resume()
    found = sitting.state.stints[-1]
    assert (found.session, found.frames) == (lost["session"], lost["frames"])
    assert sitting.state.open is None


def test_a_session_that_was_deleted_meanwhile_is_no_obstacle(held: Held, home: Path) -> None:
    path = home / "coach/learner/sitting.json"
    data = json.loads(path.read_bytes())
    data["open"] = ["gone", "1"]
    path.write_text(json.dumps(data))
    sitting = held.again(home)
    sitting._resume()
    assert len(sitting.state.stints) == len(held.state.stints)


def test_a_second_one_of_the_name_is_refused(held: Held, home: Path) -> None:
    with (
        filelock.FileLock(home / "coach/learner/.lock"),
        pytest.raises(UserError, match=r"is being held: end it, or choose another --name"),
    ):
        held.again(home).go()


def test_another_game_or_network_of_the_name_is_refused(held: Held, home: Path) -> None:
    with pytest.raises(UserError, match="is of ribbon with tiny: choose another --name"):
        held.again(home, model="nvidia").go()


def test_a_damaged_file_is_named(held: Held, home: Path) -> None:
    (home / "coach/learner/sitting.json").write_text("{}")
    with pytest.raises(UserError, match="cannot be read"):
        held.again(home).go()


def test_a_network_that_needs_more_corrections_is_taken_back(held: Held, home: Path) -> None:
    first, mark = held.state.networks[-1]
    last = f"{first}-again"
    shutil.copytree(home / "bundles" / first, home / "bundles" / last)
    sitting = held.again(home)
    sitting._resume()
    sitting.state.networks = [(first, mark), (last, mark)]
    much = round(OPTIONS.trial_s * sitting.state.hz)
    sitting.state.stints += [
        Stint("a", "1", much, 0, network=first, trusted=much, corrected=much // 20),
        Stint("b", "1", much, 0, network=last, trusted=much, corrected=much // 10),
    ]
    sitting._take_back()
    assert sitting.state.champion == last, "a little more may be chance"
    sitting.state.stints[-1].corrected = much // 4
    sitting._take_back()
    assert sitting.state.champion == first
    assert sitting.state.taken_back == [last]
    assert "it was corrected 25 % of the time" in held.heard.lines[-1]
    assert sitting._policy is not None
    assert sitting._policy[0] == first


def test_one_who_never_lets_it_drive_plays_all_the_time(held: Held, home: Path) -> None:
    before = len(held.state.stints)
    sitting = held.again(home, corrects=False, minutes=1.4)
    sitting._resume()
    sitting._play()
    new = sitting.state.stints[before:]
    assert new
    assert {stint.network for stint in new} == {None}
    assert all(stint.by_human == stint.frames for stint in new)


def test_a_stand_in_needs_a_game_with_a_demonstrator(site: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ships no demonstrator to play in a person's place: play yourself"):
        hold(tmp_path, Heard(), game="ctr")


def test_a_state_reads_as_it_was_written(held: Held, tmp_path: Path) -> None:
    held.state.save(tmp_path / "sitting.json")
    assert State.load(tmp_path / "sitting.json") == held.state
    assert State.load(tmp_path / "no.json") is None
