"""The loop and its parts: clock, timing, noise, hotkeys, and release whatever happens."""

from __future__ import annotations

import signal
import time
from collections import Counter
from typing import Any

import numpy as np
import pytest
from autopilot.api.errors import Away, DeviceError
from autopilot.api.labels import Choice, ChoiceAxis, ChoiceLabelMap
from autopilot.api.specs import Recovery
from autopilot.api.types import NOTHING, Decision, Frame, Held, Image, Reading, Step
from autopilot.drive.drivers import DemonstratorDriver, Driver, HumanDriver, NoisyDriver, RandomDriver
from autopilot.drive.recovery import RecoveringDriver, Restart
from autopilot.drive.run import Ending, Observer, Run
from autopilot.drive.takeover import TakeoverDriver, TakeoverMode
from autopilot.drive.timing import Timing
from autopilot.drive.world import OpenWorld, SimulatorClock, WallClock

LEFT, RIGHT = frozenset({"left"}), frozenset({"right"})
LABELS = ChoiceLabelMap(
    [ChoiceAxis("steer", [Choice("left", LEFT), Choice("forward"), Choice("right", RIGHT)], mirror={"left": "right"})]
)
FRAME = Frame(np.zeros((9, 16, 3), np.uint8), 0)


class Bench:
    """A source, device, clock, reader and referee that write down what happens."""

    lockstep = True
    wrong_way = False

    def __init__(self, frames: int = 10**6, keys: dict[int, str] | None = None) -> None:
        self.log: list[Any] = []
        self.frames, self.keys, self.asked, self.ticks = frames, keys or {}, 0, 0
        self.finish_at = -1

    def read(self) -> Frame:
        if self.frames == 0:
            raise EOFError
        self.frames -= 1
        return Frame(np.full((18, 32, 3), self.ticks, np.uint8), self.ticks)

    def hold(self, controls: Held) -> None:
        self.log.append(controls)

    def release_all(self) -> None:
        self.log.append("released")

    def close(self) -> None:
        self.log.append("closed")

    def tick(self) -> None:
        self.ticks += 1

    def held(self) -> Held:
        return NOTHING

    def hotkeys(self) -> tuple[str, ...]:
        self.asked += 1
        key = self.keys.get(self.asked)
        return () if key is None else (key,)

    def reading(self) -> Reading:
        return Reading(finished=self.ticks == self.finish_at, wrong_way=self.wrong_way)

    def world(self) -> OpenWorld:
        return OpenWorld(self, self, SimulatorClock(self), self, self)


class Notes(Observer):
    """Writes down every moment that a run names."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.pauses: list[bool] = []
        self.aways: list[str | None] = []
        self.discards: list[int] = []
        self.closed: list[tuple[Ending | None, str]] = []

    def step(self, step: Step) -> None:
        self.steps.append(step)

    def pause(self, paused: bool) -> None:
        self.pauses.append(paused)

    def away(self, reason: str | None) -> None:
        self.aways.append(reason)

    def discard(self) -> None:
        self.discards.append(len(self.steps))

    def close(self, ending: Ending | None, error: BaseException | None) -> None:
        self.closed.append((ending, type(error).__name__))


class Always(Driver):
    def __init__(self, held: Held = LEFT) -> None:
        self._held = held
        self.seen: list[tuple[int, ...]] = []

    def decide(self, frame: Frame) -> Decision:
        self.seen.append(frame.image.shape)
        return Decision(self._held, self._held)


def drive(bench: Bench, driver: Driver | None = None, max_steps: int | None = None) -> tuple[Ending, Notes, Timing]:
    notes, timing = Notes(), Timing(10, True)
    return Run(bench.world(), driver or Always(), timing, (16, 9), [notes], max_steps).go(), notes, timing


def taken_over(bench: Bench, mode: TakeoverMode = "handback", driver: Driver | None = None) -> TakeoverDriver:
    return TakeoverDriver(driver or Always(), bench, mode, bench.lockstep)


def test_a_limit_an_end_and_a_finish() -> None:
    bench = Bench()
    ending, notes, timing = drive(bench, max_steps=5)
    steps = notes.steps
    assert ending == "limit"
    assert notes.closed == [("limit", "NoneType")]
    assert [s.index for s in steps] == list(range(5))
    assert [int(s.native[0, 0, 0]) for s in steps] == list(range(5))
    assert steps[0].frame.image.shape == (9, 16, 3)
    assert steps[0].native.shape == (18, 32, 3)
    assert bench.log == [LEFT] * 5 + ["released"]
    assert timing.report()["steps"] == 5
    assert drive(Bench(frames=3))[0] == "ended"
    with pytest.raises(DeviceError, match="over before it gave a picture"):
        drive(Bench(frames=0))
    bench = Bench()
    bench.finish_at = 2
    assert drive(bench)[0] == "finished"
    assert bench.ticks == 2, "the finishing frame is seen, then nothing moves any more"


@pytest.mark.parametrize(("key", "ending"), [("save", "saved"), ("quit", "quit")])
def test_hotkeys_end_it(key: str, ending: str) -> None:
    bench = Bench(keys={4: key})
    assert drive(bench)[0] == ending
    assert bench.log == [LEFT] * 3 + ["released"]


def test_a_pause_releases_everything_and_is_not_counted() -> None:
    bench = Bench(keys={3: "pause", 13: "pause"})
    ending, notes, timing = drive(bench, max_steps=4)
    assert ending == "limit"
    assert notes.pauses == [True, False]
    assert bench.log == [LEFT, LEFT, "released", "released", LEFT, LEFT, "released"]
    assert timing.report()["seconds"] < 0.1, "ten polls of 20 ms are left out"


def test_quitting_while_paused() -> None:
    bench = Bench(keys={2: "pause", 5: "quit"})
    assert drive(bench)[0] == "quit"
    assert bench.log[-2:] == ["released", "released"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_everything_is_released_whatever_is_raised(error: type[BaseException]) -> None:
    class FailingDriver(Driver):
        left = 3

        def decide(self, frame: Frame) -> Decision:
            self.left -= 1
            if self.left == 0:
                raise error("no")
            return Decision(LEFT, LEFT)

    class FailingObserver(Observer):
        def step(self, step: Step) -> None:
            raise error("no")

    for driver, observer in ((FailingDriver(), Observer()), (Always(), FailingObserver())):
        bench, notes = Bench(), Notes()
        with pytest.raises(error):
            Run(bench.world(), driver, Timing(10, True), (16, 9), [notes, observer]).go()
        assert bench.log[-1] == "released"
        assert notes.closed == [(None, error.__name__)]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_that_a_finaliser_swallows_is_heard_at_the_next_frame() -> None:
    class Swallows:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.01)

    class Drops(Always):
        def decide(self, frame: Frame) -> Decision:
            Swallows()
            return super().decide(frame)

    bench = Bench()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        drive(bench, Drops(), max_steps=9)
    assert bench.log == [LEFT, "released"]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_wall_clock_keeps_its_rate_and_never_bursts() -> None:
    clock = WallClock(50)
    begun = time.monotonic()
    for _ in range(10):
        clock.tick()
    assert 0.195 < time.monotonic() - begun < 2
    time.sleep(0.2)  # ten periods late
    clock.tick()
    gaps = []
    for _ in range(5):
        before = time.monotonic()
        clock.tick()
        gaps.append(time.monotonic() - before)
    assert min(gaps) > 0.005, "the ticks that were missed are not made up for"


def test_a_slow_driver_shows_in_the_report() -> None:
    class Slow(Driver):
        def __init__(self) -> None:
            self.n = 0

        def decide(self, frame: Frame) -> Decision:
            self.n += 1
            if self.n % 2:
                time.sleep(0.06)
            return Decision(LEFT, LEFT)

    bench = Bench()
    world = bench.world()
    world.clock = WallClock(40)
    timing = Timing(40, False)
    Run(world, Slow(), timing, (16, 9), max_steps=20).go()
    report = timing.report()
    assert report["clock"] == "wall"
    assert report["wanted_hz"] == 40
    assert report["steps"] == 20
    assert 10 <= report["overruns"] <= 20
    assert report["on_time"] == pytest.approx(1 - report["overruns"] / 20)
    assert report["achieved_hz"] < 30
    assert report["achieved_hz"] == pytest.approx(20 / report["seconds"], rel=0.01)
    for name in ("capture", "device", "observe"):
        assert 0 <= report["stages_ms"][name]["p50"] <= report["stages_ms"][name]["p99"]
    assert report["stages_ms"]["decide"]["p99"] >= 60, "every stage that takes time is named"


def test_an_empty_run_reports_zeros() -> None:
    report = Timing(10, False).report()
    assert report["steps"] == report["overruns"] == 0
    assert report["achieved_hz"] == 0


class Script:
    def __init__(self, *held: Held) -> None:
        self._held = held
        self._n = 0

    def decide(self) -> Held:
        self._n += 1
        return self._held[self._n % len(self._held)]


def test_noise_changes_what_is_sent_and_never_the_label() -> None:
    clean = DemonstratorDriver(Script(LEFT, RIGHT, NOTHING), LABELS)
    noisy = NoisyDriver(DemonstratorDriver(Script(LEFT, RIGHT, NOTHING), LABELS), LABELS, share=0.1, seed=3)
    pairs = [(clean.decide(FRAME), noisy.decide(FRAME)) for _ in range(2000)]
    assert all(n.held == c.held for c, n in pairs)
    disturbed = [n.sent != n.held for _, n in pairs]
    assert 0.1 < sum(disturbed) / len(pairs) < 0.35
    sent = Counter(n.sent for _, n in pairs)
    assert set(sent) == {LEFT, RIGHT, NOTHING}
    again = NoisyDriver(DemonstratorDriver(Script(LEFT, RIGHT, NOTHING), LABELS), LABELS, share=0.1, seed=3)
    assert [again.decide(FRAME).sent for _ in range(2000)] == [n.sent for _, n in pairs]


def test_a_car_that_stands_still_is_got_going_again() -> None:
    rng = np.random.default_rng(1)
    moving = [Frame(rng.integers(0, 255, (9, 16, 3), np.uint8), n * 10**8) for n in range(100)]
    rescue = frozenset({"rescue"})
    recovery = Recovery(manoeuvres=(((rescue, 0.4),),))
    driver = RecoveringDriver(Always(LEFT), recovery)
    assert {driver.decide(frame).sent for frame in moving} == {LEFT}
    wall = [Frame(moving[-1].image.copy(), n * 10**8) for n in range(100, 150)]
    for n, frame in enumerate(wall):
        frame.image[0, :2] = n  # a clock goes on: two pixels of 144
    sent = [driver.decide(frame) for frame in wall]
    presses = [i for i, d in enumerate(sent) if d.sent == rescue]
    assert presses == [*range(19, 23), *range(43, 47)], "after 2 s without motion, for 0.4 s, and again"
    assert {d.held for d in sent} == {LEFT}
    assert all(RecoveringDriver(Always(NOTHING), recovery).decide(frame).sent == NOTHING for frame in wall)


def test_what_wobbles_in_one_place_stands_and_what_creeps_moves() -> None:
    rng = np.random.default_rng(1)
    recovery = Recovery(manoeuvres=(((frozenset({"rescue"}), 0.4),),))
    still = rng.integers(0, 255, (10, 20, 3), np.uint8)

    def presses(images: list[Image]) -> list[int]:
        driver = RecoveringDriver(Always(LEFT), recovery)
        sent = [driver.decide(Frame(image, n * 10**8)).sent for n, image in enumerate(images)]
        return [n for n, held in enumerate(sent) if held != LEFT]

    wobbles = [still.copy() for _ in range(50)]
    for image in wobbles:
        image[:1] = rng.integers(0, 255, (1, 20, 3), np.uint8)  # wheels and smoke: a tenth of it
    assert presses(wobbles) == [*range(20, 24), *range(44, 48)]
    creeps = [still.copy() for _ in range(50)]
    for n in range(50):
        for image in creeps[n:]:
            image.reshape(-1, 3)[4 * n % 200 : 4 * n % 200 + 4] ^= 128  # two hundredths, and they stay so
    assert not presses(creeps)


def test_a_nose_that_turns_slowly_along_a_rough_wall_stands() -> None:
    wall = np.random.default_rng(1).integers(60, 120, (90, 240, 1), np.uint8).repeat(3, axis=2)
    images = [np.ascontiguousarray(wall[:, n // 5 : n // 5 + 160]) for n in range(45)]
    assert (np.abs(images[0].astype(int) - images[5]).max(axis=2) > 8).mean() > 0.5, "pixel by pixel all is new"
    driver = RecoveringDriver(Always(LEFT), Recovery(manoeuvres=(((frozenset({"rescue"}), 0.4),),)))
    sent = [driver.decide(Frame(image, n * 10**8)).sent for n, image in enumerate(images)]
    assert [n for n, held in enumerate(sent) if held != LEFT] == [*range(20, 24), 44]


def test_a_pause_is_no_standing_still() -> None:
    recovery = Recovery(manoeuvres=(((frozenset({"rescue"}), 0.4),),), wrong_way=True)
    bench = Bench()
    driver = RecoveringDriver(Always(LEFT), recovery, bench)
    image = np.zeros((9, 16, 3), np.uint8)
    for n in (*range(15), *range(90, 105)):
        bench.wrong_way = n in (13, 14)
        assert driver.decide(Frame(image, n * 10**8)).sent == LEFT


def test_a_demonstrator_is_rounded_to_what_the_labels_can_say() -> None:
    driver = DemonstratorDriver(Script(frozenset({"left", "honk"})), LABELS)
    assert driver.decide(FRAME) == Decision(LEFT, LEFT)


def test_chance_is_seeded_fair_and_holds_for_a_while() -> None:
    def draw(seed: int) -> list[Held]:
        driver = RandomDriver(LABELS, seed)
        return [driver.decide(FRAME).sent for _ in range(3000)]

    first = draw(1)
    assert first == draw(1)
    assert first != draw(2)
    assert all(first[i] == first[i + 1] == first[i + 2] for i in range(0, 3000, 3))
    assert min(Counter(first).values()) > 800


def test_while_the_game_is_away_nothing_is_held_shown_or_counted() -> None:
    class Hidden(Bench):
        reads = 0

        def read(self) -> Frame:
            self.reads += 1
            if 3 <= self.reads < 13:
                raise Away("minimised" if self.reads < 8 else "covered")
            return super().read()

    bench = Hidden()
    ending, notes, timing = drive(bench, max_steps=4)
    assert ending == "limit"
    assert notes.aways == ["minimised", "covered", None]
    assert bench.log == [LEFT, LEFT, *["released"] * 10, LEFT, LEFT, "released"]
    assert [s.index for s in notes.steps] == [0, 1, 2, 3]
    assert timing.report()["seconds"] < 0.1, "ten polls of 20 ms are left out"
    assert len(timing.stages["capture"]) == 4


def test_a_hotkey_quits_while_the_game_is_away() -> None:
    class Hidden(Bench):
        def read(self) -> Frame:
            raise Away("minimised")

    assert drive(Hidden(keys={5: "quit"}))[0] == "quit"


class Hands(Bench):
    """A bench whose human holds, at each question, what `script` says; then nothing."""

    def __init__(self, *script: Held, lockstep: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.script, self.lockstep = list(script), lockstep

    def held(self) -> Held:
        return self.script.pop(0) if self.script else NOTHING


def test_a_key_of_the_human_stops_the_policy_in_the_same_tick_and_letting_go_hands_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # One look at the beginning; then each tick of the policy asks twice: before it thinks, and before anything is sent.
    bench = Hands(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, RIGHT, NOTHING, RIGHT, NOTHING)
    monkeypatch.setattr("autopilot.drive.takeover.GRACE_S", 0)
    steps = drive(bench, taken_over(bench), max_steps=6)[1].steps
    assert [s.decision.by_human for s in steps] == [False, False, True, True, False, False]
    assert [s.decision.held for s in steps] == [LEFT, LEFT, RIGHT, RIGHT, LEFT, LEFT]
    assert bench.log == [LEFT, LEFT, NOTHING, NOTHING, LEFT, LEFT, "released"]


def test_taps_with_gaps_between_them_are_one_takeover() -> None:
    class Moving(Hands):
        def read(self) -> Frame:
            self.tick()
            return super().read()

    bench, notes = Moving(NOTHING, RIGHT), Notes()  # the first look forgets what was held before
    world = bench.world()
    world.clock = WallClock(50)
    Run(world, taken_over(bench), Timing(50, True), (16, 9), [notes], 45).go()
    human = [s.decision.by_human for s in notes.steps]
    assert human.index(False) in range(23, 28), "500 ms at 50 Hz"
    assert not any(human[human.index(False) :])


def test_between_two_decisions_a_key_of_the_human_releases_at_once_and_a_tap_is_not_forgotten() -> None:
    # One look at the beginning, two of the first decision, then one every 10 ms.
    bench, notes = Hands(*[NOTHING] * 9, RIGHT), Notes()
    world = bench.world()
    world.clock = WallClock(2)
    times: list[float] = []
    bench.release_all = lambda: times.append(time.monotonic())  # type: ignore[method-assign]
    begun = time.monotonic()
    Run(world, taken_over(bench), Timing(2, False), (16, 9), [notes], 2).go()
    assert times[0] - begun < 0.4, "long before the next decision, after 0.5 s"
    assert bench.log == [LEFT, NOTHING]
    assert [s.decision.held for s in notes.steps] == [LEFT, RIGHT]
    assert [s.decision.by_human for s in notes.steps] == [False, True]


def test_in_mode_pause_the_human_keeps_the_wheel_until_the_pause_key() -> None:
    bench = Hands(NOTHING, NOTHING, RIGHT, keys={5: "pause"})
    steps = drive(bench, taken_over(bench, "pause"), max_steps=6)[1].steps
    assert [s.decision.by_human for s in steps] == [True] * 4 + [False] * 2


def test_the_pause_key_goes_on_after_a_panic_while_the_human_drove_and_leaves_them_the_wheel() -> None:
    bench = Hands(NOTHING, NOTHING, RIGHT, keys={5: "panic", 7: "pause"})
    notes = drive(bench, taken_over(bench, "pause"), max_steps=6)[1]
    assert notes.pauses == [True, False]
    assert [s.decision.by_human for s in notes.steps] == [True] * 6


class Remembering(Always):
    """Writes down for each decision how many frames have followed each other since the last interruption."""

    def __init__(self) -> None:
        super().__init__()
        self.row, self.rows = 0, list[int]()

    def decide(self, frame: Frame) -> Decision:
        self.row += 1
        self.rows.append(self.row)
        return super().decide(frame)

    def released(self) -> None:
        self.row = 0


def test_whoever_remembers_hears_of_every_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autopilot.drive.takeover.GRACE_S", 0)
    recovery = Recovery(manoeuvres=(((RIGHT, 0.4),),))

    def rows(bench: Bench) -> list[int]:
        driver = Remembering()
        drive(bench, taken_over(bench, driver=RecoveringDriver(driver, recovery)), max_steps=6)
        return driver.rows

    assert rows(Hands()) == [1, 2, 3, 4, 5, 6]
    assert rows(Bench(keys={4: "pause", 6: "pause"})) == [1, 2, 3, 1, 2, 3], "a pause"
    taken = Hands(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, RIGHT, NOTHING, NOTHING)
    assert rows(taken) == [1, 2, 1, 2, 3], "a human drove the third frame"

    class Covered(Bench):
        def read(self) -> Frame:
            if self.frames == 10**6 - 3:
                self.frames -= 1
                raise Away("covered")
            return super().read()

    assert rows(Covered()) == [1, 2, 3, 1, 2, 3], "the game was away"


def test_switched_off_nobody_takes_over() -> None:
    bench = Hands(*[RIGHT] * 9)
    steps = drive(bench, taken_over(bench, "off"), max_steps=3)[1].steps
    assert [s.decision.by_human for s in steps] == [False] * 3


def test_the_panic_key_releases_says_so_and_pauses(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(keys={3: "panic", 6: "panic", 9: "pause"})
    assert drive(bench, max_steps=4)[1].pauses == [True, True, False]
    assert bench.log == [LEFT, LEFT, "released", "released", "released", LEFT, LEFT, "released"]
    assert "panic key: everything is released" in caplog.text


class Frozen(Hands):
    """Its picture stands still from the third frame to the one at `wakes`, in seconds."""

    def __init__(self, wakes: float, *script: Held) -> None:
        super().__init__(*script, lockstep=False)
        self.begun, self.wakes = time.monotonic(), wakes

    def read(self) -> Frame:
        frame = super().read()
        still = self.ticks > 2 and time.monotonic() - self.begun < self.wakes
        return Frame(np.full((18, 32, 3), 2, np.uint8), self.ticks) if still else frame

    def tick(self) -> None:
        super().tick()
        time.sleep(0.02)


def test_a_picture_that_stands_still_releases_until_it_moves_again() -> None:
    bench = Frozen(0.9)
    told = drive(bench, taken_over(bench), max_steps=30)[1].aways
    assert told == ["the picture stands still: go on yourself, or wake the game", None]
    first = bench.log.index("released")
    assert 0.2 < first * 0.02 < 0.5, "0.25 s after the last new frame"
    assert set(bench.log[:first]) == {LEFT}
    assert bench.log[-2] == LEFT


def test_a_still_picture_is_no_fault_while_nothing_is_held_or_a_human_drives() -> None:
    for held, script in ((NOTHING, ()), (LEFT, [RIGHT] * 200)):
        bench = Frozen(0.6, *script)
        assert drive(bench, taken_over(bench, driver=Always(held)), max_steps=30)[1].aways == []


def test_a_car_that_faces_the_wrong_way_turns_in_three_by_turns() -> None:
    back, forth = frozenset({"brake", "left"}), frozenset({"accelerate", "right"})
    other = frozenset({"brake", "right"})
    recovery = Recovery(manoeuvres=(((back, 0.3), (forth, 0.2)), ((other, 0.3),)), wrong_way=True)
    rng = np.random.default_rng(1)

    def sent(recovery: Recovery, wrong: range) -> list[Held]:
        bench = Bench()
        driver, out = RecoveringDriver(Always(LEFT), recovery, bench), []
        for n in range(60):
            frame = Frame(rng.integers(0, 255, (9, 16, 3), np.uint8), n * 10**8)
            bench.wrong_way = n in wrong
            decision = driver.decide(frame)
            assert decision.held == LEFT, "the label stays the driver's"
            out.append(decision.sent)
        return out

    done = sent(recovery, range(10, 45))
    assert done[:19] == [LEFT] * 19, "a second of it"
    assert done[19:24] == [back] * 3 + [forth] * 2
    assert done[24:35] == [LEFT] * 10 + [other]
    assert done[37:] == [LEFT] * 23
    assert set(sent(recovery, range(10, 19))) == {LEFT}, "a spin is over sooner"
    assert set(sent(Recovery(recovery.manoeuvres), range(10, 45))) == {LEFT}, "where the game does not say so"


def test_a_tap_between_two_decisions_is_not_lost() -> None:
    class Keys(Bench):
        def __init__(self, *held: Held) -> None:
            super().__init__()
            self.script = list(held)

        def held(self) -> Held:
            return self.script.pop(0)

    steer, tap = frozenset({"left"}), frozenset({"left", "slide_right"})
    driver = HumanDriver(Keys(steer, tap, steer, steer, NOTHING, NOTHING))
    assert driver.decide(FRAME).held == steer
    assert not driver.meanwhile()
    assert driver.decide(FRAME).held == tap, "pressed and let go in between"
    assert not driver.meanwhile()
    assert driver.decide(FRAME).held == NOTHING, "what was held before and let go is let go"
    assert driver.decide(FRAME).held == NOTHING


def test_while_it_waits_for_the_wall_clock_the_loop_looks_for_taps() -> None:
    class Keys(Bench):
        def held(self) -> Held:
            self.ticks += 1
            return RIGHT if self.ticks == 3 else NOTHING

    bench, notes = Keys(), Notes()
    bench.ticks = -1  # one look at the beginning
    world = bench.world()
    world.clock = WallClock(20)
    Run(world, HumanDriver(bench), Timing(20, False), (16, 9), [notes], max_steps=3).go()
    assert [s.decision.held for s in notes.steps] == [NOTHING, RIGHT, NOTHING]


def test_the_discard_hotkey_is_passed_on() -> None:
    ending, notes, _ = drive(Bench(keys={3: "discard", 5: "quit"}))
    assert ending == "quit"
    assert notes.discards == [2]


def test_what_starts_another_race_is_held_while_the_game_is_there_and_then_nothing() -> None:
    class Hidden(Bench):
        def read(self) -> Frame:
            frame = super().read()
            if 3 <= (count := 10**6 - self.frames) < 6:
                raise Away(f"covered at {count}")
            return frame

    bench, notes = Hidden(), Notes()
    run = Run(bench.world(), Always(), Timing(10, True), (16, 9), [notes])
    Restart(((LEFT, 0.2), (NOTHING, 0.1), (RIGHT, 0.1))).prepare(run)
    assert notes.aways == ["covered at 3", "covered at 4", "covered at 5", None]
    assert bench.log == [*[LEFT] * 2, *["released"] * 3, *[LEFT] * 2, *[NOTHING] * 2, *[RIGHT] * 2, "released"]


def test_all_are_prepared_before_any_begins_and_that_is_not_the_run_s_time() -> None:
    class Counts(Observer):
        def prepare(self, run: Run) -> None:
            seen.append("prepare")
            time.sleep(0.3)

        def begin(self, run: Run) -> None:
            seen.append("begin")

    seen: list[str] = []
    timing = Timing(10, True)
    Run(Bench().world(), Always(), timing, (16, 9), [Counts(), Counts()], max_steps=2).go()
    assert seen == ["prepare", "prepare", "begin", "begin"]
    assert timing.report()["seconds"] < 0.3


def test_ctrl_c_in_a_countdown_closes_every_observer_though_none_has_begun() -> None:
    class Stops(Observer):
        def prepare(self, run: Run) -> None:
            raise KeyboardInterrupt

    bench, notes = Bench(), Notes()
    with pytest.raises(KeyboardInterrupt):
        Run(bench.world(), Always(), Timing(10, True), (16, 9), [notes, Stops()]).go()
    assert (notes.steps, notes.closed) == ([], [(None, "KeyboardInterrupt")])
    assert bench.log == ["released"]
