"""The live page of phc-sink in a headless Chromium: `make test-sink-page`, NAME=test_pause for one test."""

import json
import sys
import time
import unittest

from programs import run_program
from support import Client, Sink, event
from webdriver import Browser

ROWS = "return [...document.querySelectorAll('#list-{0} .row:not([hidden])')].filter((row) => row.row)"
HOSTILE = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"


def setUpModule():
    global sink, browser
    sink = Sink()
    unittest.addModuleCleanup(sink.close)
    browser = Browser()
    unittest.addModuleCleanup(browser.close)


def names():
    """The names of the events in view, from the top."""
    script = ROWS.format("events") + ".map((row) => [row.dataset.position * 1, row.querySelector('.name').textContent])"
    return [name for _, name in sorted(browser.run(script + ".sort((a, b) => a[0] - b[0])"))]


def wait_for_names(*expected):
    end = time.monotonic() + 20
    while names() != list(expected):
        if time.monotonic() > end:
            shown = browser.text("main")[:2000]
            raise AssertionError(f"{names()} is shown, not {list(expected)}; the page: {shown}")
        time.sleep(0.03)


def wait_for_count(name, expected):
    browser.wait("return document.getElementById(arguments[0]).textContent === arguments[1]", f"count-{name}", expected)


class Page(unittest.TestCase):
    def setUp(self):
        self.prefix = f"/t/{self.id().rsplit('.', 1)[-1]}"
        self.client = Client(sink, self.prefix)

    def tearDown(self):
        browser.colours("")
        browser.size(1280, 800)
        noise = [message for message in browser.messages() if "net::ERR" not in message]
        self.assertEqual(noise, [], "the browser's console")

    def open(self):
        browser.open(f"{sink.url}{self.prefix}/")
        browser.wait("return document.getElementById('live').textContent === 'Live'")

    def script(self, script):
        sink.post(f"{self.prefix}/_script", script)

    def test_what_arrives_is_shown_without_a_reload(self):
        self.open()
        self.assertIn("No events yet", browser.text("#view-events"))
        self.assertIn(f'"host", "{sink.url}{self.prefix}"', browser.text("#view-events pre"))
        browser.run("window.isTheSamePage = true")
        self.client.send([event("first")])
        wait_for_names("first")
        self.client.send([event("second"), event("third")])
        wait_for_names("third", "second", "first")
        wait_for_count("events", "3")
        wait_for_count("requests", "2")
        wait_for_count("accepted", "3")
        self.assertIn("in two minutes", browser.text("#chart-text"))
        self.assertTrue(browser.run("return document.querySelectorAll('#chart rect.bar').length > 0"))
        self.assertTrue(browser.run("return window.isTheSamePage"))

    def test_search_and_filters(self):
        self.script({"then": {"verdicts": {"cart": "retry", "login": {"result": "drop", "details": "no"}, "*": "ok"}}})
        one = event("login", "anna", properties={"browser": "Firefox"})
        two = event("cart", "ben", properties={"note": "100% Firefox & more"})
        three = event("cart closed", "anna", properties={"browser": "Safari"})
        self.client.send([one, two, three])
        self.open()
        wait_for_names("cart closed", "cart", "login")
        for field, text, expected in [
            ("text", "fireFOX", ["cart", "login"]),
            ("text", "100% firefox &", ["cart"]),
            ("name", "CART", ["cart closed", "cart"]),
            ("id", "ann", ["cart closed", "login"]),
            ("id", two["uuid"][:13], ["cart"]),
            ("text", "no such text", []),
        ]:
            with self.subTest(field=field, text=text):
                browser.click(f"#filters-events input[name={field}]")
                browser.keys(text)
                wait_for_names(*expected)
                found = f"{len(expected)} of 3"
                browser.wait("return document.getElementById('found-events').textContent === arguments[0]", found)
                if not expected:
                    self.assertIn("None of the events fits", browser.text("#view-events"))
                    browser.click("#view-events .empty button")
                else:
                    browser.keys(*["Backspace"] * len(text))
                wait_for_names("cart closed", "cart", "login")
        for verdict, expected in [("ok", ["cart closed"]), ("retry", ["cart"]), ("drop", ["login"]), ("none", [])]:
            with self.subTest(verdict=verdict):
                script = "const it = document.querySelector('#filters-events select'); it.value = arguments[0];"
                browser.run(script + "it.dispatchEvent(new Event('input', {bubbles: true}))", verdict)
                wait_for_names(*expected)
        self.client.send([event("another")])
        wait_for_count("events", "4")
        wait_for_names()

    def test_pause_holds_the_page_and_clear_empties_it(self):
        self.client.send([event("before")])
        self.open()
        wait_for_names("before")
        browser.click("#pause")
        browser.wait("return document.getElementById('live').textContent === 'Paused · 0 new'")
        self.client.send([event("during"), event("during")])
        browser.wait("return document.getElementById('live').textContent === 'Paused · 2 new'")
        self.assertEqual(names(), ["before"])
        self.assertEqual(browser.text("#count-events"), "1")
        browser.click("#pause")
        wait_for_names("during", "during", "before")
        self.script({"steps": [{"status": 503}]})
        browser.click("#clear")
        wait_for_count("events", "0")
        browser.wait("return document.getElementById('view-events').innerText.includes('No events yet')")
        self.assertEqual(self.client.send([event("after")]), 503, "the script stays")
        wait_for_names("after")

    def test_a_scripted_503_with_the_keyboard_alone_and_the_client_that_retries(self):
        self.open()
        browser.keys("n")
        browser.wait("return document.activeElement.value === 'status'")
        browser.keys("Tab", "Tab")
        browser.wait("return document.activeElement.name === 'after'")
        browser.keys("Backspace", "1", "Enter")
        browser.wait("return document.getElementById('next-state').textContent === 'status 503, Retry-After: 1 — 1 request'")
        program = run_program(sink, "C", f"{sink.url}{self.prefix}")
        self.assertEqual(program.returncode, 0, program.stderr)
        browser.wait("return document.getElementById('next-state').textContent.startsWith('The sink responds as')")
        wait_for_names("order placed", "order placed")
        browser.run("document.activeElement.blur()")
        browser.keys("2")
        script = ROWS.format("requests") + ".map((row) => row.innerText.replaceAll(/\\s+/g, ' '))"
        browser.wait(f"return (() => {{ {script} }})().length === 2")
        last, first = browser.run(script)
        self.assertIn("503", first)
        self.assertIn("attempt 1", first)
        self.assertIn("200", last)
        self.assertIn("attempt 2", last)
        self.assertIn("ok 1", last)
        # Into the list, to the first attempt, and into its details.
        browser.run("document.getElementById('list-requests').focus()")
        browser.keys("End", "Enter")
        browser.wait("return document.activeElement.id === 'detail'")
        detail = browser.text("#detail")
        self.assertIn("scripted: status 503, Retry-After: 1", detail)
        self.assertIn("2 attempts", detail)
        wait = float(detail.split(" s later")[0].rsplit(" ", 1)[-1])
        self.assertGreaterEqual(wait, 1.0, "the client waited as long as Retry-After says")
        self.assertEqual(browser.text("#count-violations"), "0")

    def test_the_form_scripts_every_kind_of_response(self):
        self.open()
        browser.keys("n")
        for kind, words, outcome in [
            ("retry", "verdict retry", (200, "retry")),
            ("drop", "verdict drop", (200, "drop")),
            ("delay", "after 1500 ms", (200, "ok")),
            ("cut", "stored, and cut in the body", None),
        ]:
            with self.subTest(kind=kind):
                browser.click(f"#next-form input[value={kind}]")
                browser.click("#next-form button.primary")
                browser.wait("return document.getElementById('next-state').textContent.startsWith(arguments[0])", words)
                begun = time.monotonic()
                if outcome is None:
                    with self.assertRaises(Exception):
                        self.client.send([event(kind)])
                else:
                    self.assertEqual(self.client.send([event(kind)]), outcome[0])
                    self.assertEqual(sink.get(f"{self.prefix}/_events?tail=1")[0]["verdict"], outcome[1])
                if kind == "delay":
                    self.assertGreaterEqual(time.monotonic() - begun, 1.4)
        browser.click("#next-form input[value=status]")
        browser.run("document.querySelector('#next-form [name=times]').value = '1000'")
        browser.click("#next-form button.primary")
        browser.wait("return document.getElementById('next-state').textContent.includes('1,000 requests')")
        browser.click("#next-stop")
        browser.wait("return document.getElementById('next-state').textContent.startsWith('The sink responds as')")
        self.assertEqual(self.client.send([event("last")]), 200)

    def test_hostile_text_stays_text(self):
        self.script({"then": {"verdicts": {"*": {"result": HOSTILE, "details": HOSTILE}}}})
        hostile = event(HOSTILE, HOSTILE, properties={HOSTILE: HOSTILE, "a\ufffd": [HOSTILE]}, session_id=HOSTILE)
        hostile[HOSTILE] = HOSTILE
        self.client.send([hostile], **{"User-Agent": HOSTILE, "X-More": HOSTILE, "Content-Encoding": HOSTILE})
        self.client.send([hostile], **{"X-More": HOSTILE})
        self.open()
        wait_for_names(HOSTILE)
        elements = "return [...document.querySelectorAll('main *')].map((it) => it.localName)"
        for view, opened in [("events", "#list-events .row:not([hidden])"), ("requests", "#list-requests .row:not([hidden])"),
                             ("violations", None), ("connect", None)]:
            with self.subTest(view=view):
                browser.click(f"#tab-{view}")
                if opened:
                    browser.click(opened)
                    browser.wait("return document.getElementById('detail').innerText.includes(arguments[0])", HOSTILE)
                if view == "violations":
                    browser.wait("return document.getElementById('view-violations').innerText.includes(arguments[0])", HOSTILE[:9])
                kinds = set(browser.run(elements))
                self.assertFalse(kinds & {"img", "script", "iframe", "object", "style", "link"}, kinds)
                self.assertEqual(browser.run("return document.title"), f"phc-sink {self.prefix}")
        # Should a mistake let markup in, the policy is there as well.
        blocked = "const it = document.createElement('div'); it.innerHTML = arguments[0]; document.body.append(it);"
        browser.run(blocked + "it.querySelector('img').onerror?.(); it.remove()", "<img src=data:, onerror=\"document.title='run'\">")
        self.assertNotEqual(browser.run("return document.title"), "run")
        self.assertTrue(any("Content Security Policy" in message for message in browser.messages()))

    def test_the_details_of_an_event(self):
        lifted = event("order placed", "null", session_id="s-1", options={"process_person_profile": True})
        lifted["properties"] = {"big": 0, "text": "a\ufffd", "list": [], "nested": {"deep": [1, {"x": None}]}}
        lifted["$set"] = {}
        self.client.send([lifted])
        self.open()
        wait_for_names("order placed")
        browser.click("#list-events .row:not([hidden])")
        browser.wait("return document.activeElement.id === 'detail'")
        detail = browser.text("#detail")
        for words in [
            "person_processing_disabled", "the property $session_id", "the property $process_person_profile",
            "options.process_person_profile", "properties.text", "unknown-event-key", "Broken by", "✕ refused",
            "✎ repaired", "↥ lifted",
        ]:
            self.assertIn(words, detail)
        layout = browser.run("return document.querySelector('#detail .json').textContent")
        self.assertIn('"list": []', layout)
        self.assertIn('      "deep": [\n        1,\n        {\n          "x": null\n        }\n      ]', layout)
        self.assertIn('"session_id": "s-1" ↥ lifted', layout)
        browser.keys("Escape")
        browser.wait("return document.getElementById('detail').hidden")
        browser.keys("3")
        browser.wait("return document.getElementById('view-violations').innerText.includes('unknown-event-key')")
        self.assertIn("Broken by for example $set outside properties.", browser.text("#view-violations"))

    def test_a_broken_rule_says_what_it_costs(self):
        self.client.send([event(options={"cookieless_mode": "yes"})])
        self.client.send([event(session_id=5)])
        self.client.send([event(unknown=1)])
        self.open()
        browser.keys("3")
        browser.wait("return document.querySelectorAll('#view-violations .rule').length === 3")
        text = browser.run("return document.getElementById('view-violations').textContent")
        for words in ["The server drops the event.", "The server refuses the request with 400.", "It is recorded only"]:
            self.assertIn(words, text)

    def ask_for_flags(self, distinct_id, *keys):
        """As a client asks for values. Returns those that are enabled."""
        body = {"token": "phc_key", "distinct_id": distinct_id, **({"flag_keys_to_evaluate": keys} if keys else {})}
        status, text = sink.request("POST", f"{self.prefix}/flags?v=2", json.dumps(body), {"Content-Type": "application/json"})
        self.assertEqual(status, 200)
        return [key for key, record in json.loads(text)["flags"].items() if record["enabled"]]

    def definitions(self, etag=None):
        headers = {"Authorization": "Bearer phs_secret", **({"If-None-Match": etag} if etag else {})}
        return sink.request("GET", f"{self.prefix}/flags/definitions?token=phc_key", None, headers)

    def type_into(self, form, text):
        browser.run("document.querySelector(arguments[0]).elements.text.select()", f"#{form}")
        browser.click(f"#{form} textarea")
        browser.run("document.querySelector(arguments[0]).elements.text.select()", f"#{form}")
        browser.keys(*text)

    def test_flags_can_be_served_and_who_asks_is_shown(self):
        self.open()
        browser.keys("4")
        self.assertIn("No client has asked for flags yet", browser.text("#view-flags"))
        said = "return document.querySelector(arguments[0] + ' [role=status]').textContent.includes(arguments[1])"
        self.type_into("flag-values", '{"new-checkout":true,"layout":"compact","off":false}')
        browser.click("#flag-values [name=serve]")
        browser.wait(said, "#flag-values", "Served from now on")
        self.assertEqual(self.ask_for_flags(HOSTILE), ["layout", "new-checkout"])
        self.assertEqual(self.ask_for_flags("ben", "layout"), ["layout"])
        summaries = "return [...document.querySelectorAll('#flag-requests summary')].map((it) => it.innerText)"
        browser.wait(summaries + ".length === 2")
        second, first = browser.run(summaries)
        self.assertRegex(second, r"200\s+Values #2 ben · 1 flag · ")
        self.assertRegex(first, r"200\s+Values #1 .* · all flags · ")
        self.assertIn(HOSTILE, first)
        self.assertNotEqual(browser.run("return document.title"), "run")

        self.type_into("flag-definitions", "{")
        browser.click("#flag-definitions [name=serve]")
        browser.wait(said, "#flag-definitions", "They are not JSON")
        self.assertEqual(self.definitions(), (200, b"{"))
        etag = 'W/"2"'
        browser.wait("return document.getElementById('flag-etag').textContent === arguments[0]", etag)
        self.assertEqual(self.definitions(etag), (304, b""))
        browser.wait(summaries + ".some((it) => it.includes('304') && it.includes(arguments[0]))", f"has {etag}")

        # What is refused stays in the field, and a reader keeps their text and place while requests arrive.
        self.type_into("flag-values", "[]")
        browser.click("#flag-values [name=serve]")
        browser.wait(said, "#flag-values", "an object of flags is expected")
        self.assertEqual(len([message for message in browser.messages() if "400 (Bad Request)" in message]), 1)
        browser.click("#flag-requests details:last-of-type summary")
        self.ask_for_flags("carla")
        browser.wait(summaries + ".length === 5")
        self.assertEqual(browser.run("return document.querySelector('#flag-values textarea').value"), "[]")
        self.assertIn('"token"', browser.text("#flag-requests details[data-id='flags 1']"))
        browser.click("#flag-values [type=reset]")
        self.assertIn("new-checkout", browser.run("return document.querySelector('#flag-values textarea').value"))
        browser.click("#clear")
        browser.wait("return document.querySelectorAll('#flag-requests details').length === 0")
        self.assertEqual(self.ask_for_flags("ben"), ["layout", "new-checkout"])
        headers = {"Authorization": "Bearer phs_secret"}
        address = f"{self.prefix}/api/projects/@current/feature_flags/a%3Cb/remote_config?token=phc_key"
        self.assertEqual(sink.request("GET", address, None, headers)[0], 404)
        browser.wait(summaries + ".some((it) => it.includes('404') && it.includes(arguments[0]))", "Remote config #1 · a%3Cb · ")

    def test_the_keyboard_reaches_everything(self):
        self.client.send([event(f"e{n}") for n in range(200)])
        self.open()
        browser.wait(ROWS.format("events") + ".length > 10")
        reached = set()
        for _ in range(30):
            browser.keys("Tab")
            reached.add(browser.run("const it = document.activeElement; return it.id || it.name || it.className || it.localName"))
        expected = {"skip", "copy-address", "pause", "clear", "tab-events", "text", "name", "id", "verdict", "list-events"}
        self.assertLessEqual(expected, reached)
        browser.keys("/")
        browser.wait("return document.activeElement.name === 'text'")
        browser.keys("Escape")
        browser.wait("return document.activeElement.id === 'list-events'")
        chosen = "return document.querySelector('[aria-selected=true].row')?.innerText.includes(arguments[0])"
        for key, name in [("Down", "e199"), ("Down", "e198"), ("Up", "e199"), ("End", "e0"), ("Home", "e199")]:
            browser.keys(key)
            browser.wait(chosen, name + "\n", what=f"{key}: {name}")
        self.assertEqual(browser.run("return document.querySelector('[aria-selected=true].row').id"),
                         browser.run("return document.activeElement.getAttribute('aria-activedescendant')"))
        browser.keys("Enter")
        browser.wait("return document.activeElement.id === 'detail'")
        browser.keys("Tab")
        self.assertEqual(browser.run("return document.activeElement.textContent"), "Close")
        browser.keys("Escape")
        browser.wait("return document.activeElement.id === 'list-events'")
        browser.keys("5", "Left", "Left", "Left")
        browser.wait("return document.activeElement.id === 'tab-requests'")
        browser.keys("p")
        browser.wait("return document.getElementById('pause').getAttribute('aria-pressed') === 'true'")

    def test_light_and_dark_can_be_read(self):
        self.script({"then": {"verdicts": ["ok", "warning", "retry", "drop", "new"]}})
        bad = event("bad")
        bad["$set"] = {}
        self.client.send([event("a"), event("b"), event("c", session_id="s"), event("d\ufffd"), bad])
        self.client.send([event("e")], request_id="1")
        self.ask_for_flags("user")
        self.open()
        browser.wait(ROWS.format("events") + ".length > 4")
        browser.click("#list-events .row:nth-of-type(3)")
        browser.wait("return document.activeElement.id === 'detail'")
        browser.keys("n")
        backgrounds = set()
        for scheme in ["light", "dark"]:
            with self.subTest(scheme=scheme):
                browser.colours(scheme)
                backgrounds.add(browser.run("return getComputedStyle(document.body).backgroundColor"))
                for view in ["events", "violations", "flags", "connect"]:
                    browser.click(f"#tab-{view}")
                    self.assertEqual(browser.run(CONTRAST), [], view)
        self.assertEqual(len(backgrounds), 2)

    def test_a_phone_shows_everything_without_scrolling_sideways(self):
        wide = "w" * 200
        self.client.send([event()], request_id="1")
        self.client.send([event(wide, wide, properties={wide: wide * 5}, **{wide: wide})], **{"X-Wide": wide})
        self.ask_for_flags(wide, wide)
        browser.size(360, 740, is_phone=True)
        self.open()
        wait_for_names(wide, "order placed")
        browser.keys("n")
        fits = "return Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
        for view in ["events", "requests", "violations", "flags", "connect"]:
            with self.subTest(view=view):
                browser.click(f"#tab-{view}")
                self.assertLessEqual(browser.run(fits), 360)
                if view in ["events", "requests"]:
                    browser.click(f"#list-{view} .row:not([hidden])")
                    browser.wait("return !document.getElementById('detail').hidden")
                    self.assertLessEqual(browser.run(fits), 360, "its details")
                    self.assertLessEqual(browser.run("const it = document.getElementById('detail'); return it.scrollWidth - it.clientWidth"), 0)
                    browser.keys("Escape")
        browser.click("#tab-events")
        small = "return [...document.querySelectorAll('button, summary, #list-events .row:not([hidden])')]" \
            ".filter((it) => it.offsetParent && it.getBoundingClientRect().height < 24 && !it.matches('.link'))" \
            ".map((it) => it.textContent)"
        self.assertEqual(browser.run(small), [], "too small for a finger")

    def test_every_state_says_what_to_do(self):
        self.open()
        browser.click("#tab-violations")
        self.assertIn("No rule is broken", browser.text("#view-violations"))
        browser.click("#tab-connect")
        for language in ["C", "C++", "Go", "Ruby", "PHP"]:
            script = "[...document.querySelectorAll('#view-connect .chips button')].find((it) => it.textContent === arguments[0]).click();"
            browser.run(script, language)
            self.assertIn(f"{sink.url}{self.prefix}", browser.text("#view-connect pre"), language)


class ManyEvents(unittest.TestCase):
    """100,000 events in one namespace."""

    EVENTS = 100_000

    @classmethod
    def setUpClass(cls):
        cls.prefix = "/t/many"
        client = Client(sink, cls.prefix)
        size = 2000
        for first in range(0, cls.EVENTS, size):
            batch = [event(f"event {n}", f"user-{n % 997}") for n in range(first, first + size)]
            assert client.send(batch) == 200

    def open(self):
        browser.open(f"{sink.url}{self.prefix}/")
        browser.wait(ROWS.format("events") + ".length > 10")

    def load(self):
        browser.open("about:blank")
        browser.open(f"{sink.url}{self.prefix}/")
        return browser.wait("return window.rowsAreThere")

    def scroll(self):
        return browser.cdp("Runtime.evaluate", expression=SCROLL, awaitPromise=True, returnByValue=True)["result"]["value"]["p99"]

    @staticmethod
    def best(measure, bound):
        """Of five measurements at most: others that run on the machine make one longer, and none shorter."""
        measured = []
        while len(measured) < 5 and min(measured, default=bound) >= bound:
            measured.append(measure())
        return min(measured)

    def test_they_load_within_a_second_and_scroll(self):
        self.open()  # The browser's own caches and fonts
        browser.run("window.name = ''")
        browser.open("about:blank")
        browser.cdp("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        loaded = self.best(self.load, 1000)
        print(f"\n100,000 events: rows after {loaded:.0f} ms", file=sys.stderr)
        self.assertLess(loaded, 1000)
        self.assertGreaterEqual(int(browser.text("#found-events").replace(",", "")), self.EVENTS)
        slowest = self.best(self.scroll, 100)
        print(f"scrolling through them: 99 of 100 frames within {slowest:.0f} ms", file=sys.stderr)
        self.assertLess(slowest, 100)
        for place, name in [(0.5, "event "), (1, "event 0")]:
            browser.run("const it = document.getElementById('list-events'); it.scrollTop = (it.scrollHeight - it.clientHeight) * arguments[0]", place)
            script = ROWS.format("events") + ".some((row) => row.querySelector('.name').textContent.startsWith(arguments[0]))"
            browser.wait(script, name)
        self.assertLess(browser.run("return document.querySelectorAll('*').length"), 1500)
        browser.cdp("HeapProfiler.collectGarbage")
        heap = browser.run("return performance.memory.usedJSHeapSize")
        print(f"the page's heap: {heap / 1e6:.1f} MB", file=sys.stderr)
        self.assertLess(heap, 30e6)

    def test_a_search_looks_at_all_of_them(self):
        self.open()
        browser.keys("/")
        begun = time.monotonic()
        browser.keys("event 777")
        browser.wait("return document.getElementById('found-events').textContent.startsWith('111 of ')")
        print(f"\na search in 100,000 events: {time.monotonic() - begun:.2f} s", file=sys.stderr)

    def test_a_reader_keeps_their_place_while_events_arrive(self):
        self.open()
        browser.run("document.getElementById('list-events').scrollTop = 32000")
        top = "return [...document.querySelectorAll('#list-events .row:not([hidden])')].filter((row) => row.row && " \
            "row.getBoundingClientRect().top >= document.getElementById('list-events').getBoundingClientRect().top)" \
            ".sort((a, b) => a.dataset.position - b.dataset.position)[0]?.row.name"
        before = browser.wait(top)
        total = browser.text("#found-events")
        Client(sink, self.prefix).send([event(f"more {n}") for n in range(500)])
        browser.wait("return document.getElementById('found-events').textContent !== arguments[0]", total)
        browser.run("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        self.assertEqual(browser.run(top), before)


# When the first rows are in the document, in ms from the start of the navigation.
WATCH = """
new MutationObserver(() => {
  window.rowsAreThere ??= document.querySelector('#list-events .row .badge') ? performance.now() : undefined;
}).observe(document, {childList: true, subtree: true});
"""

SCROLL = """
new Promise((done) => {
  const list = document.getElementById('list-events');
  const times = [];
  let last = performance.now();
  const step = () => {
    const now = performance.now();
    times.push(now - last);
    last = now;
    list.scrollTop += 4000;
    if (times.length < 100) requestAnimationFrame(step);
    else {
      times.sort((a, b) => a - b);
      done({frames: times.length, p99: times[Math.floor(times.length * 0.99) - 1]});
    }
  };
  requestAnimationFrame(step);
})
"""

# Texts whose contrast with what is behind them is less than 4.5 : 1.
CONTRAST = """
const parse = (text) => (text.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
const light = (colour) => {
  const [r, g, b] = colour.map((value) => value / 255).map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (let it = element; it; it = it.parentElement) {
    const colour = parse(getComputedStyle(it).backgroundColor);
    if (colour.length === 3 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const poor = [];
for (const element of document.querySelectorAll('body *')) {
  const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join('');
  if (text === '' || element.getClientRects().length === 0) continue;
  const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
  if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(`${element.localName}.${element.className}: ${text.slice(0, 30)} ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
}
return poor;
"""
