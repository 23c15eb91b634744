"""The studio in a real browser: open, play, delete, restore, approve, compare, by the keyboard alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from autopilot.sessions.home import Home
from autopilot.sessions.store import SessionStore
from selenium import webdriver
from selenium.webdriver import Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from support.studio import ROWS, Client

A = "20260101-000000-a"


@pytest.fixture
def chrome(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip("missing: Chromium (Debian packages chromium and chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    # Root has no sandbox; a small /dev/shm is no reason to crash.
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "window-size=1280,720"):
        options.add_argument(f"--{argument}")
    options.add_argument(f"--user-data-dir={tmp_path / 'browser'}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=Service(driver)) as found:
        yield found


class Hands:
    """Presses keys and looks at the page."""

    def __init__(self, chrome: webdriver.Chrome) -> None:
        self.chrome = chrome

    def until(self, what: Callable[[], object]) -> None:
        WebDriverWait(self.chrome, 60, 0.05).until(lambda _: what())

    def press(self, *keys: str) -> None:
        for key in keys:
            self.chrome.switch_to.active_element.send_keys(key)

    def js(self, code: str) -> object:
        return self.chrome.execute_script(f"return {code}")

    def text(self, query: str) -> str:
        return self.chrome.find_element(By.CSS_SELECTOR, query).text

    def place(self) -> int:
        return int(self.text("#place").split()[1])


def test_the_whole_way_by_keyboard(client: Client, home: Home, chrome: webdriver.Chrome) -> None:
    hands = Hands(chrome)

    def edits():
        return SessionStore(home.sessions).open(A).edits()

    # Open: the list, with pictures; the second one is A.
    chrome.get(client.server.url)
    hands.until(lambda: hands.js("document.querySelectorAll('#list a.open').length") == 2)
    hands.until(lambda: hands.js("[...document.querySelectorAll('.strip')].every((i) => i.naturalWidth > 400)"))
    assert "token" not in chrome.current_url
    hands.press("j", "j")
    assert A in str(hands.js("document.activeElement.href"))
    assert hands.js("getComputedStyle(document.activeElement).outlineStyle") == "solid", "the focus is seen"
    hands.press("a")
    hands.until(lambda: edits().review == "approved")
    hands.until(lambda: hands.js(f"document.querySelector('#s-{A} .approved').getAttribute('aria-pressed')") == "true")
    assert hands.js("document.activeElement.closest('tr').dataset.id") == A, "the focus stays"
    hands.press(Keys.ENTER)

    # Play: frames go by, at the speed that is chosen.
    hands.until(lambda: chrome.current_url.endswith(f"/sessions/{A}"))
    hands.until(lambda: hands.js("document.querySelector('#frame')?.naturalWidth") == 64)
    assert hands.place() == 0
    hands.press("+", "-", "-", "-", " ")  # a quarter of the speed: the rest must not be over before it is paused
    hands.until(lambda: hands.place() > 3)
    hands.press(" ")
    here = hands.place()
    hands.press(Keys.ARROW_RIGHT)
    assert hands.place() in (here + 1, here + 2), "a frame on from where it stopped"
    hands.press(Keys.HOME)
    assert hands.text(".keys .on") == "▲ gas"
    assert hands.text("#is") == "forward+gas"

    # Delete and restore a marked range, and undo.
    hands.press("i", *[Keys.ARROW_RIGHT] * 4, "o")
    assert hands.text("#marked") == "0 to 4 marked"
    hands.press("d")
    hands.until(lambda: edits().deleted == [(0, 5)])
    hands.until(lambda: hands.text("#gone") == "deleted")
    hands.press(Keys.HOME, "r")
    hands.until(lambda: edits().deleted == [(1, 5)])
    hands.until(lambda: hands.text("#undo") == "undo: restore 0")
    hands.press("u")
    hands.until(lambda: edits().deleted == [(0, 5)])
    hands.until(lambda: hands.text("#undo") == "undo: delete 0 to 4")
    hands.press("u")
    hands.until(lambda: edits().deleted == [])
    hands.press("U")
    hands.until(lambda: edits().deleted == [(0, 5)])

    # Relabel, reject, split.
    hands.press(Keys.END, "9")
    hands.until(lambda: SessionStore(home.sessions).open(A).row(ROWS - 1).action == (2, 2))
    hands.until(lambda: hands.text("#is") == "right+brake")
    assert hands.text("#was") == "(recorded: left+gas)"
    hands.press("x")
    hands.until(lambda: edits().review == "rejected")
    hands.until(lambda: hands.text("#state") == "rejected")
    hands.press(*[Keys.ARROW_LEFT] * 9, "s")
    hands.until((home.sessions / f"{A}-50").is_dir)
    hands.until(lambda: hands.js("typeof rows === 'object' && rows?.index.length") == 50)
    hands.until(lambda: hands.place() == 49)

    # Compare two trainings.
    hands.press("g", "t")
    hands.until(lambda: chrome.current_url.endswith("/runs"))
    for name in ("one", "two"):
        chrome.find_element(By.ID, f"r-{name}").send_keys(" ")
    chrome.find_element(By.ID, "r-two").send_keys(Keys.ENTER)
    hands.until(lambda: len(chrome.find_elements(By.CSS_SELECTOR, ".confusion")) == 2)
    assert len(chrome.find_elements(By.CSS_SELECTOR, ".chart polyline")) == 6

    # Light and dark; the shortcuts; a window that a small laptop has.
    for scheme, page in (("light", "rgb(246, 246, 243)"), ("dark", "rgb(21, 23, 26)")):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        hands.until(lambda page=page: hands.js("getComputedStyle(document.body).backgroundColor") == page)
    hands.press("t")
    assert hands.js("document.documentElement.dataset.theme") == "light"
    hands.press("?")
    assert hands.js("document.querySelector('#shortcuts').open")
    hands.press(Keys.ESCAPE)
    assert not hands.js("document.querySelector('#shortcuts').open")
    for path in ("/", f"/sessions/{A}", "/policy", "/data", "/races", "/races/cup"):
        chrome.get(f"http://{client.host}{path}")
        assert hands.js("document.documentElement.scrollWidth <= innerWidth"), f"{path} is too wide"

    # Nothing that the page's own rules forbid, no script that failed.
    said = [e["message"] for e in chrome.get_log("browser") if e["level"] == "SEVERE"]
    assert [line for line in said if ".mp4" not in line] == []
