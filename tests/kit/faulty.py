"""What a plugin's author may do wrong: edits of what `plugins new` writes, and which check must say what of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

HANG = "__import__('time').sleep(99)"
THREAD = "__import__('threading').Thread(target=__import__('time').sleep, args=(9,), name='mine', daemon=True).start()"


@dataclass(frozen=True)
class Fault:
    """In `part`'s module (or plugin.py) `old` becomes `new`; `check` of the `kind` says `says`."""

    part: str
    check: str
    says: str
    old: str
    new: str
    kind: str = ""
    file: str = ""
    also: tuple[str, str] = ("", "")


def game(check: str, says: str, old: str, new: str, **other: Any) -> Fault:
    return Fault("game", check, says, old, new, **other)


def labels(check: str, says: str, old: str, new: str, **other: Any) -> Fault:
    return game(check, says, old, new, kind="label map", **other)


def spec(check: str, says: str, old: str, new: str, part: str = "game") -> Fault:
    return Fault(part, check, says, old, new, file="plugin")


def hooks(check: str, says: str, old: str, new: str, part: str = "model", file: str = "plugin") -> Fault:
    return Fault(part, check, says, old, new, kind="plugin", file=file)


def model(check: str, says: str, old: str, new: str) -> Fault:
    return Fault("model", check, says, old, new)


def device(check: str, says: str, old: str, new: str) -> Fault:
    return Fault("device", check, says, old, new)


def source(check: str, says: str, old: str, new: str, **other: Any) -> Fault:
    return Fault("source", check, says, old, new, kind="frame source", **other)


WIDE = """class Wide(ChoiceLabelMap):
    def action(self, held):
        return super().action(held) if held else (7,)


def labels("""
ROAD = "        self.steps, self.y, self.x = 0, 0.0, self.centre(0.0)\n"
CENTRED = "range(89, -1, -1)])\n"
DRAWN = "image = np.full((90, 160, 3), (40, 140, 50), np.uint8)"
READING = "Reading(len(times), times, self.steps / self.request.hz, incident=off, finished=done)"

X = "x = x.reshape(x.shape[0], -1)"
PRESS, RELEASE = "(FOLDER / name).touch()", "(FOLDER / name).unlink(missing_ok=True)"
NOW = "time.monotonic_ns()"
API = "AUTOPILOT_API = 2\n"

LABELS = {
    "mirror left out": labels("mirror", "'left' mirrored is 'left'; say mirror=", ', mirror={"left": "right"}', ""),
    "mirror of another value": labels(
        "mirror", "'left' mirrored is 'forward'", '{"left": "right"}', '{"left": "forward"}'
    ),
    "mirror misspelt": labels("round_trip", "mirror names 'rigth'", '{"left": "right"}', '{"left": "rigth"}'),
    "mirror forgets what is held": labels(
        "mirror",
        "its controls mirrored, ['accelerate', 'right'], mean east",
        '"left", left), Choice("forward"), Choice("right", right)]',
        '"west", left), Choice("forward"), Choice("east", right)]',
        also=(', mirror={"left": "right"}', ""),
    ),
    "an action that is lost": labels(
        "round_trip", "which means left; let", 'Choice("right", right)', 'Choice("right", left)'
    ),
    "a control that the game has not": labels("round_trip", "'gas' is no control of", '{"accelerate"})', '{"gas"})'),
    "an action out of range": labels(
        "anything_held",
        "which is no action of steer",
        "def labels(",
        WIDE,
        also=("return ChoiceLabelMap(", "return Wide("),
    ),
}
GAMES = {
    "frames of floats": game(
        "runs", "must be uint8 (H, W, 3), not float32", "(40, 140, 50), np.uint8", "9, np.float32"
    ),
    "frames of four channels": game(
        "runs", "not uint8 (90, 160, 4)", "Frame(image,", "Frame(np.dstack([image, image[..., :1]]),"
    ),
    "frames that shrink": game("runs", "is 160x89 now", "Frame(image,", "Frame(image[: 90 - self.steps // 5],"),
    "frames that stand": game("frames", "frames are 90x160", "Frame(image,", "Frame(image.transpose(1, 0, 2),"),
    "black frames": game("frames", "all frames are black", "Frame(image,", "Frame(image * 0,"),
    "frames that stay": game("frames", "no frame changes in", "Frame(image,", "Frame(image // 250 + 1,"),
    "a buffer that is reused": game(
        "frames", "return a copy", DRAWN, "image = vars(self).setdefault('buffer', np.zeros((90, 160, 3), np.uint8))"
    ),
    "a clock that runs back": game("clock", "t_ns goes backwards", "int(self.steps", "int(-self.steps"),
    "a clock in microseconds": game("clock", "t_ns moves on by 0.00 s", "* 1e9", "* 1e3"),
    "a clock that drifts": game("clock", "t_ns moves on by", "* 1e9", "* 1.2e9"),
    "a game that goes on alone": game("clock", "two reads without a tick", CENTRED, CENTRED + "        self.y += 1\n"),
    "lock-step that is none": game("clock", "its clock's lockstep is False", "lockstep = True", "lockstep = False"),
    "a tick that raises": game("runs", "tick: KeyError: 'physics'", "self.steps += 1", "raise KeyError('physics')"),
    "a tick that hangs": game("runs", "tick: no answer for", "self.steps += 1", HANG),
    "a race that is over at once": game(
        "runs", "is over after 3 frames", "rows = ", "if self.steps > 2:\n            raise EOFError\n        rows = "
    ),
    "laps that fall": game("referee", "lap falls from", READING, "Reading(99 - self.steps)"),
    "a lap without an end": game("referee", "a lap took 0 s", READING, "Reading(1, (0.0,))"),
    "more times than laps": game("referee", "lap is 0 with 1 lap times", READING, "Reading(0, (9.0,))"),
    "lap times that change": game(
        "referee", "changes times that were known", READING, "Reading(1, (9.0 + self.steps,))"
    ),
    "a race's clock below nought": game(
        "referee", "race_time_s is -", READING, "Reading(race_time_s=-1.0 - self.steps)"
    ),
    "a race's clock in milliseconds": game(
        "referee", "race_time_s grows by", READING, "Reading(race_time_s=self.steps * 100)"
    ),
    "a race that is finished and is not": game(
        "referee", "finished becomes", READING, "Reading(finished=self.steps % 2 == 1)"
    ),
    "confidence above 1": game("referee", "confidence is 2", READING, "Reading(confidence=2.0)"),
    "a score that is no number": game("runs", "score: must be a finite number", READING, "Reading(score=float('nan'))"),
    "no referee": game("referee", "says referee=True", "referee=road, ", ""),
    "a demonstrator's strange control": game("demonstrator", "it holds 'gas'", '{"accelerate"} |', '{"gas"} |'),
    "a demonstrator's list": game("runs", "decide: must be a frozenset", 'return frozenset({"acc', 'return list({"acc'),
    "a demonstrator of no meaning": game(
        "demonstrator", "means nothing to label map", '{"accelerate"} |', '{"left", "right"} |'
    ),
    "no demonstrator": game("demonstrator", "the World has none", ", demonstrator=road", ""),
    "chance without a seed": game(
        "repeats", "opened again with one seed", "default_rng(int(request.track))", "default_rng()"
    ),
    "closing twice": game("closes", "close: AttributeError", "self.release_all()\n", "del self.bends\n"),
    "a thread that goes on": game("leaves_nothing", "thread 'mine' goes on", ROAD, f"{ROAD}        {THREAD}\n"),
    "a process that goes on": game(
        "leaves_nothing", "goes on 2 s", ROAD, f"{ROAD}        __import__('subprocess').Popen(['sleep', '5'])\n"
    ),
    "a print": game("prints_nothing", "prints 'tick'", "self.steps += 1", "self.steps += 1\n        print('tick')"),
    "an unknown label map": spec("descriptor", "unknown label map", 'label_map="', 'label_map="no'),
    "a strange control in the bindings": spec(
        "descriptor",
        "'gas' is no control of the game, but bound",
        "            hz=10,\n",
        "            hz=10,\n            bindings={'keyboard': {'default': {'gas': 'up'}}},\n",
    ),
    "a hidden part outside": spec(
        "descriptor",
        "is not in the picture",
        "            hz=10,\n",
        "            hz=10,\n            hidden=((0.9, 0, 0.3, 0.1),),\n",
    ),
}
MODELS = {
    "heads of fixed sizes": model("shapes", "return a tuple, a head for each size", "in outputs]", "in (3, 2, 5)]"),
    "heads in another order": model("shapes", "in its order", "for head in self.heads", "for head in self.heads[::-1]"),
    "heads sorted by size": model("shapes", "in its order", "in outputs]", "in sorted(outputs)]"),
    "logits of whole numbers": model("shapes", "int32", "tuple(head(x) for", "tuple(head(x).astype(int) for"),
    "no tuple": model("shapes", "no tuple", "tuple(head(x) for head in self.heads)", "self.heads[0](x)"),
    "one size of picture": model("shapes", "cannot be run", "flat = ", "flat = 6 * 10 * channels or "),
    "an array in no variable": model("shapes", "wrap it", "flat = ", "self.mean = jax.numpy.zeros(3)\n        flat = "),
    "a loss that is no number": model(
        "learns", "the loss is nan", "images / 127.5 - 1", "jax.numpy.sqrt(images - 255)"
    ),
    "weights out of reach": model(
        "learns", "no gradient reaches spare", "flat = ", "self.spare = nnx.Linear(3, 3, rngs=rngs)\n        flat = "
    ),
    "a black picture": model(
        "finite",
        "of a black picture are no numbers",
        "images / 127.5 - 1",
        "images / images.max((1, 2, 3), keepdims=True)",
    ),
    "dropout that goes on": Fault(
        *("model", "decides", "draw chance in training alone", X),
        "x = self.drop(x.reshape(x.shape[0], -1), deterministic=False)",
        also=("flat = ", "self.drop = nnx.Dropout(0.5, rngs=rngs)\n        flat = "),
    ),
    "a batch's own mean": model(
        "decides", "depend on those beside", X, "x = x.reshape(len(x), -1) - x.reshape(len(x), -1).mean(0)"
    ),
    "a picture that is not looked at": model(
        "decides", "all pictures get the same", X, "x = x.reshape(len(x), -1) * 0 + 1"
    ),
    "a rate that is too low": Fault(
        "model",
        "learns",
        "the loss does not fall",
        '{"channels": 16}',
        '{"channels": 16}, learning_rate=1e-7',
        file="plugin",
    ),
}
DEVICES = {
    "any name is taken": device(
        "names", "raise a UserError that says which there are", "set(names) - set(BUTTONS)", "set()"
    ),
    "a press that is lost": device("presses", "its reader does not see it", PRESS, "pass"),
    "a key that stays down": device("presses", "stays down after it was released", RELEASE, "pass"),
    "ours taken for the human's": device("not_the_humans", "leave out what ours() says", " - self.ours()", ""),
    "a key that is left at the end": device(
        "closes",
        "stays down after close()",
        "def close(self) -> None: ...\n\n\nclass",
        "def close(self) -> None:\n        (FOLDER / 'test').touch()\n\n\nclass",
    ),
    "a key that outlives the killed": device("killed", "say sticky = True", "= True, ()", "= False, ()"),
    "a press that hangs": device("presses", "hangs", PRESS, HANG),
    "a print by the emitter": device("prints_nothing", "prints 'pressed'", PRESS, f"{PRESS}\n        print('pressed')"),
    "a method that lacks": device("opens", "must be a Backend, with flush()", "def flush", "def flash"),
    "opening that raises": device("opens", "KeyError: 'usb'", "FOLDER.mkdir(exist_ok=True)", "raise KeyError('usb')"),
    "a reader's list": device("presses", "held: must be a frozenset", "frozenset(control for", "list(control for"),
    "a hotkey that repeats": device("hotkeys", "again and again", "self.last - before", "self.last"),
    "a hotkey that is lost": device("hotkeys", "is not told", "self.last - before", "before - before"),
    "closing the reader twice": device(
        "opens",
        "close: AttributeError",
        "def close(self) -> None: ...\n\n\ndef",
        "def close(self) -> None:\n        del self.keys\n\n\ndef",
    ),
}
SOURCES = {
    "a buffer that is reused": source(
        "frames",
        "return a copy",
        "np.broadcast_to(stripes[:, None], (180, 320, 3)).astype(np.uint8)",
        "np.copyto(self.buffer, stripes[:, None], 'unsafe') or self.buffer",
        also=("    def draw", "    buffer = np.zeros((180, 320, 3), np.uint8)\n\n    def draw"),
    ),
    "a clock in microseconds": source("clock", "t_ns moves on by 0.00 s", "width], now)", "width], now // 1000)"),
    "a clock that drifts": source("clock", "count nanoseconds", "width], now)", "width], now * 2)"),
    "a clock that runs back": source("clock", "t_ns goes backwards", "width], now)", "width], -now)"),
    "frames that shrink": source(
        *("runs", "is 320x179 now, it was 320x180", "y + height,", "y + height - self.n,"),
        also=("now, (x", "self.n = getattr(self, 'n', -1) + 1\n        now, (x"),
    ),
    "a read that waits": source("runs", "return the newest frame", "now, (x", "time.sleep(0.6)\n        now, (x"),
    "a read that hangs": source("runs", "read: no answer for", "now, (x", f"{HANG}\n        now, (x"),
    "closing twice": source("closes", "close: AttributeError", "self.open = False", "del self.open"),
    "a frame after the end": source("closes", "read() after close(): gives a frame", "if not self.open", "if not self"),
    "a thread that goes on": source(
        "leaves_nothing", "thread 'mine' goes on", "        self.region,", f"        {THREAD}\n        self.region,"
    ),
    "a print": source("prints_nothing", "prints 'read'", "now, (x", "print('read')\n        now, (x"),
}
HOOKS = {
    "a heavy import": hooks("quick", "importing its module imports numpy", API, f"import numpy\n\n{API}"),
    "a heavy hook": hooks(
        "quick", "autopilot_models() imports numpy", "    return [Model", "    import numpy\n\n    return [Model"
    ),
    "a slow import": hooks("quick", "importing its module takes", API, f"__import__('time').sleep(0.7)\n{API}"),
    "a hook that prints": hooks("quiet", "prints 'hello'", API, f"print('hello')\n{API}"),
    "a command's plugin that prints": hooks("quiet", "prints 'hello'", API, f"print('hello')\n{API}", part="command"),
    "a hook that raises": hooks(
        "loads",
        "autopilot_models: KeyError: 'net'",
        "    return [Model",
        "    raise KeyError('net')\n    return [Model",
    ),
    "a hook that returns nothing": hooks("loads", "returned nothing", "    return [Model", "    [Model"),
    "a hook that returns words": hooks(
        "loads", "must return ModelSpec objects", "    return [Model", "    return ['net']\n    return [Model"
    ),
    "another API": hooks("loads", "was built for hook API 1", API, "AUTOPILOT_API = 1\n"),
    "a hook that is misspelt": hooks("loads", "autopilot_model", "def autopilot_models", "def autopilot_model"),
    "a field of another type": hooks("loads", "hz: must be a finite number", "hz=10", "hz='10'", part="game"),
    "a string that leads nowhere": hooks("descriptors", "has no attribute 'Net'", "model:Network", "model:Net"),
    "a module that is missing": hooks("descriptors", "No module named", ".model:Network", ".nets:Network"),
    "a command that imports much": hooks(
        "help", "imports numpy", "import click\n", "import click\nimport numpy\n", "command", "command"
    ),
    "a command that cannot be imported": hooks(
        "help", "raises", "import click\n", "import clack\n", "command", "command"
    ),
}
FAULTS = {
    f"{where}: {name}": fault
    for where, faults in {
        "label map": LABELS, "game": GAMES, "network": MODELS, "device": DEVICES, "source": SOURCES, "hooks": HOOKS
    }.items()
    for name, fault in faults.items()
}  # fmt: skip
