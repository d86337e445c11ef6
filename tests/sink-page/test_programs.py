"""The programs that the page shows, and `make sink-up` prints, work."""

import unittest

from programs import run_program
from support import Sink


class Programs(unittest.TestCase):
    def test_each_delivers_an_event(self):
        sink = Sink()
        self.addCleanup(sink.close)
        for language in ["C", "C++", "Go", "Ruby", "PHP"]:
            with self.subTest(language=language):
                prefix = f"/{language.replace('+', 'p')}"
                program = run_program(sink, language, sink.url + prefix)
                self.assertEqual((program.returncode, program.stderr), (0, ""))
                arrived = [(one["event"]["event"], one["event"]["properties"]["total"]) for one in sink.get(f"{prefix}/_events")]
                self.assertEqual(arrived, [("order placed", 99.9)])
                self.assertEqual(sink.get(f"{prefix}/_violations"), [])
