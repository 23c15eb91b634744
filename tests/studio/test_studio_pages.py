"""What the pages say: frames, edits, what a training would see, runs, races, a policy beside the human."""

from __future__ import annotations

import os
import shutil
import threading
from typing import Any

import cv2
import numpy as np
import pytest
from autopilot.api.game import Game
from autopilot.api.registry import Registry
from autopilot.sessions.home import Home
from autopilot.sessions.store import SessionStore
from autopilot_studio.catalogue import Catalogue
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.studio import HEIGHT, LABELS, ROWS, WIDTH, Client, frame, make_race, make_scored_race, make_session

A, B = "20260101-000000-a", "20260101-000001-b"


def decode(body: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_a_frame_is_shown_as_it_was_recorded(client: Client) -> None:
    for i in (0, 31, ROWS - 1):
        assert np.array_equal(decode(client.get(f"/sessions/{A}/frames/{i}.png").body), frame(i))
    fine, coarse = (client.get(f"/sessions/{A}/frames/7.jpg", quality=q).body for q in ("95", "5"))
    assert len(coarse) < len(fine)
    assert np.abs(decode(fine).astype(int) - frame(7)).mean() < 6
    assert decode(client.get(f"/sessions/{A}/strip.jpg").body).shape == (36, 8 * 64, 3)


def test_a_renamed_or_copied_session_is_shown_and_reviewed_under_its_folders_name(client: Client, home: Home) -> None:
    (home.sessions / A).rename(home.sessions / "renamed")
    shutil.copytree(home.sessions / B, home.sessions / "copied")
    page = client.get("/").text
    assert "/sessions/renamed" in page
    assert "/sessions/copied" in page
    assert A not in page
    assert np.array_equal(decode(client.get("/sessions/renamed/frames/0.png").body), frame(0))
    assert client.get("/policy", session="renamed", bundle="x").headers["location"] == "/sessions/renamed?bundle=x"
    assert client.post("/sessions/copied/edit", what="review", verdict="rejected").status == 200
    store = SessionStore.of(home)
    assert {id: store.open(id).edits().review for id in store.ids()} == {
        B: "new",
        "copied": "rejected",
        "renamed": "new",
    }


def test_the_player_is_told_every_row(client: Client) -> None:
    rows = client.get(f"/sessions/{A}/rows.json").json()
    assert rows["index"] == list(range(ROWS))
    assert rows["t_ms"][:3] == [0, 100, 200]
    held = [frozenset(rows["sets"][h]) for h in rows["held"]]
    wanted = [LABELS.action(h) for h in held]
    assert rows["label"] == [-1 if a is None else LABELS.action_space.joint(a) for a in wanted]
    assert [i for i, f in enumerate(rows["flags"]) if f & 1] == [30, 31, 32]
    assert rows["race_time_s"][12] == pytest.approx(1.2)


RANGE = st.tuples(st.integers(0, ROWS), st.integers(0, ROWS)).map(sorted).filter(lambda r: r[0] < r[1])


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
@given(steps=st.lists(st.tuples(st.sampled_from(["delete", "restore", "relabel"]), RANGE), max_size=5))
def test_what_the_page_deletes_and_restores_is_as_before_to_the_byte(
    client: Client, home: Home, steps: list[tuple[str, list[int]]]
) -> None:
    folder = home.sessions / A
    (folder / "edits.json").unlink(missing_ok=True)
    before = {p.name: p.read_bytes() for p in folder.glob("s*")}
    pictures = [r.frame.image.tobytes() for r in SessionStore(home.sessions).open(A).rows()]
    deleted: set[int] = set()
    changes = 0
    for what, (start, stop) in steps:
        state = client.get(f"/sessions/{A}/rows.json").json()["edits"]
        after = client.post(f"/sessions/{A}/edit", what=what, start=start, stop=stop, label=4).json()
        changes += any(after[k] != state[k] for k in ("deleted", "relabelled"))
        deleted = {"delete": deleted | {*range(start, stop)}, "restore": deleted - {*range(start, stop)}}.get(
            what, deleted
        )
    session = SessionStore(home.sessions).open(A)
    assert {r.index for r in session.rows()} == {*range(ROWS)} - deleted
    for _ in range(changes):
        assert client.post(f"/sessions/{A}/edit", what="undo").status == 200
    assert client.post(f"/sessions/{A}/edit", what="undo").status == 400, "all is undone"
    assert [r.frame.image.tobytes() for r in SessionStore(home.sessions).open(A).rows()] == pictures
    assert SessionStore(home.sessions).open(A).edits().state() == {
        "deleted": [],
        "relabelled": [],
        "review": "new",
        "window": None,
    }
    assert {p.name: p.read_bytes() for p in folder.glob("s*")} == before


def test_a_relabelled_range_and_a_split_reach_the_disk(client: Client, home: Home) -> None:
    left = LABELS.action_space.joint((0, 0))
    client.post(f"/sessions/{A}/edit", what="relabel", start=10, stop=20, label=left)
    session = SessionStore(home.sessions).open(A)
    assert session.row(12).action == (0, 0)
    assert LABELS.action(session.row(12).held) == (0, 0), "training, which maps what was held, learns the new label"
    client.post(f"/sessions/{A}/edit", what="relabel", start=10, stop=20, label="recorded")
    assert SessionStore(home.sessions).open(A).edits().relabelled == []
    assert client.post(f"/sessions/{A}/edit", what="split", start=40).json()["said"] == f"{A}-40"
    assert f"{A}-40" in client.get("/").text
    assert client.get(f"/sessions/{A}-40/rows.json").json()["index"][0] == 40
    assert client.post(f"/sessions/{A}/edit", what="undo").json()["said"] == "split at 40"
    assert f"{A}-40" not in client.get("/").text


def test_the_list_filters_sorts_and_counts(client: Client, home: Home) -> None:
    make_session(home, "20260102-000000-c", 30, driver="bob", track="9")
    (home.sessions / "broken").mkdir()
    text = client.get("/").text
    assert text.index("20260102-000000-c") < text.index(B) < text.index(A)
    assert "broken" in text
    assert "cannot read" in text
    assert "2.50" in text, "a lap time"
    found = client.get("/", q="bob 9", sort="oldest").text
    assert "20260102-000000-c" in found
    assert A not in found
    assert client.post(f"/sessions/{A}/review", verdict="rejected").status == 200
    assert A in client.get("/", review="rejected").text
    assert B not in client.get("/", review="rejected").text


def test_a_session_is_read_again_only_when_it_changed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = Catalogue(home)
    assert [e.id for e in catalogue.entries()] == [A, B]
    first = catalogue.entries()[0]
    assert catalogue.entries()[0] is first, "not read again"
    catalogue.session(A).delete(0, 5)
    entry = catalogue.entries()[0]
    assert entry is not first
    summary = catalogue.count(entry)
    assert summary is not None
    assert (summary.frames, summary.deleted, summary.laps_s) == (ROWS - 5, 5, (2.5, 2.25))
    monkeypatch.setattr("autopilot_studio.catalogue.FIRST_S", 0)
    catalogue.count_all(threading.Event())
    assert all(e.summary for e in catalogue.entries())


def test_the_data_page_shows_what_training_would_take(client: Client, home: Home, registry: Registry) -> None:
    from autopilot.learn.data import balanced, load_dataset
    from autopilot.learn.options import TrainOptions

    client.post(f"/sessions/{A}/edit", what="delete", start=0, stop=10)
    make_session(home, "20260102-000000-c", 50)
    make_session(home, "20260102-000001-d", 50)
    client.post("/sessions/20260102-000001-d/edit", what="review", verdict="rejected")
    text = client.get("/data/content", game="carracing", balance="oversample", mirror="on", seed="3").text
    options = TrainOptions(model="", game="carracing", batch_size=1, balance="oversample", seed=3)
    data = load_dataset(Game(registry, "carracing"), home, options)
    assert data.sessions == [A, B, "20260102-000000-c"], "the rejected one is left out"
    rows, _ = balanced(data, options)
    assert "20260102-000001-d: was rejected" in text
    for part in (data.train, data.validation, rows):
        assert f'<td class="num">{len(part):,}</td>' in text
    assert "no sessions of carracing, track 99" in client.get("/data/content", game="carracing", tracks="99").text
    assert "is no number" in client.get("/data/content", game="carracing", seed="x").text
    page = client.get("/data").text
    assert "all sessions" in page
    assert "anna" in page


def test_runs_are_compared_side_by_side(client: Client) -> None:
    text = client.get("/runs").text
    assert "compare the ticked ones" in text
    assert "0.500" in text, "the best loss of the first"
    side = client.ask("GET", "/runs?run=one&run=two").text
    assert side.count("<polyline") == 6, "three curves for each"
    assert side.count("epoch 2</caption>") == 2
    assert f'href="/sessions/{A}"' in side


def test_a_race_is_shown_with_its_films(client: Client, home: Home) -> None:
    text = client.get("/races/cup").text
    assert "1:10.50*" in text
    assert text.index("human-7-1.mp4") < text.index("net-7-1.mp4"), "the human first"
    assert 'data-starts="0.0 33.0 103.5"' in text
    part = client.ask("GET", "/races/cup/films/net-7-1.mp4", {"Range": "bytes=100-199"})
    assert part.status == 206
    assert part.body == (bytes(range(256)) * 8)[100:200]
    (home.races / "bad").mkdir()
    (home.races / "bad" / "race.json").write_text("{}")
    assert "cannot be read" in client.get("/races").text


def test_a_race_without_laps_is_shown_by_its_scores(client: Client, home: Home) -> None:
    make_scored_race(home, "points")
    text = client.get("/races/points").text
    assert '<th class="num">median score</th>' in text
    assert '<td class="num">-0.25</td>' in text, "the ratio of the scores"
    assert "score -3.0" in text, "under its film"
    assert not [word for word in ("Incomplete", "finished", "median lap", "0 lap") if word in text]
    assert text.count("<circle") == 4, "a dot and a legend for each"
    listed = client.get("/races").text
    assert "mean score" in listed
    assert "median lap" in listed, "of the race with laps"


def test_the_leaderboard_compares_all_drivers_of_a_game(client: Client, home: Home) -> None:
    make_scored_race(home, "points")
    text = client.get("/board").text
    assert text.index("<td>human</td><td>human</td>") < text.index("<td>net</td><td>gone</td>")
    assert '<td class="num">1.676</td>' in text, "the ratio of the median laps"
    assert 'href="/board?game=enduro"' in text
    other = client.get("/board?game=enduro").text
    assert '<td class="num">-0.25</td>' in other
    assert "There are no races of it." in client.get("/board?game=%3Cnone%3E").text


def make_bundle(home: Home, registry: Registry) -> None:
    from autopilot.bundle.manifest import save_bundle
    from autopilot.bundle.preprocess import Preprocess
    from autopilot.learn import network

    space = LABELS.action_space
    module = network.build(registry, "nvidia", {}, (160, 90), space, seed=2)
    manifest: dict[str, Any] = {
        "name": "net",
        "game": "carracing",
        "label_map": "carracing",
        "model": "nvidia",
        "config": {},
        "action_space": space.to_json(),
        "preprocess": Preprocess((WIDTH, HEIGHT), (160, 90), masks=((0, 70, 160, 20),)).to_json(),
        "hz": 10.0,
        "sessions": [A],
        "options": {},
        "metrics": {"accuracy": 0.5, "epoch": 1},
        "versions": {},
    }
    save_bundle(home.bundles / "net", manifest, network.to_weights(network.split(module)[1]))


def test_a_policy_beside_the_human(home: Home, registry: Registry) -> None:
    from autopilot.learn.policy import Policy
    from autopilot_studio.beside import Beside
    from autopilot_studio.policy import agreement

    make_bundle(home, registry)
    beside = Beside(home, registry)
    session = SessionStore(home.sessions).open(A)
    scores = beside.scores("net", session)
    assert scores.ended.wait(120)
    assert (scores.done, scores.error) == (ROWS, "")
    policy = Policy.load(home.bundles / "net", registry)
    for i in (0, 33, ROWS - 1):
        wanted = policy.probabilities(policy.preprocess(session.row(i).frame.image))
        for axis, p in zip(scores.axes, wanted, strict=True):
            assert axis[i] == pytest.approx(p, abs=1e-5)
    session.delete(3, 5)
    agree = agreement(session, scores.axes)
    assert agree[3] is agree[4] is agree[22] is None, "deleted; without a label"
    action = session.row(7).action
    assert action is not None
    assert agree[7] == pytest.approx(scores.axes[0][7][action[0]] * scores.axes[1][7][action[1]], abs=1e-3)
    looks = beside.saliency("net", session, 5)
    assert looks.shape == (HEIGHT, WIDTH, 4)
    assert looks[:26, :, 3].max() > 150
    assert looks[32:, :, 3].max() < 60, "what is masked has no say"


def test_the_newest_policy_that_fits_and_the_only_one(client: Client, home: Home, registry: Registry) -> None:
    make_bundle(home, registry)
    shutil.copytree(home.bundles / "net", home.bundles / "old")
    os.utime(home.bundles / "old/manifest.json", (1, 1))
    page = client.get("/policy").text
    assert page.index("<h2>net</h2>") < page.index("<h2>old</h2>"), "the newest first"
    newest = SessionStore(home.sessions).ids()[-1]
    for query, target in (
        (f"session={A}", f"/sessions/{A}?bundle=net"),
        ("bundle=old", f"/sessions/{newest}?bundle=old"),
    ):
        answer = client.get(f"/policy?{query}")
        assert (answer.status, answer.headers["location"]) == (303, target)
    assert f"/policy?session={A}" in client.get(f"/sessions/{A}").text
    shutil.rmtree(home.bundles / "old")
    for id in SessionStore(home.sessions).ids():
        if id != A:
            shutil.rmtree(home.sessions / id)
    only = client.get("/policy")
    assert (only.status, only.headers["location"]) == (303, f"/sessions/{A}?bundle=net")


def test_a_bundle_that_does_not_fit_is_refused_in_words(client: Client, home: Home, registry: Registry) -> None:
    assert "No bundles yet" in client.get("/policy").text
    answer = client.get(f"/policy/net/{A}/scores.json")
    assert answer.status == 400
    assert "no bundle &#39;net&#39;" in answer.text or "no bundle 'net'" in answer.text


def test_a_race_without_films_says_so(client: Client, home: Home) -> None:
    make_race(home, "dry")
    for film in (home.races / "dry").glob("*.mp4"):
        film.unlink()
    assert "no films" in client.get("/races/dry").text
