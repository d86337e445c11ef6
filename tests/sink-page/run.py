"""run.py NAME MODULE…: the tests of these modules whose name has NAME in it; an error if there are none."""

import sys
import unittest


def main(name, modules):
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f"*{name}*"]
    suite = loader.loadTestsFromNames(modules)
    if suite.countTestCases() == 0:
        sys.exit(f"no test has {name!r} in its name")
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    sys.exit(0 if result.wasSuccessful() else 1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
