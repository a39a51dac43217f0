"""Medians, paired ratios and their intervals are what they should be."""
import math
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import figures  # noqa: E402


class Figures(unittest.TestCase):
    def test_a_round_that_failed_is_left_out(self):
        self.assertEqual(figures.spread([3, None, 1, 2]), {"median": 2, "min": 1, "max": 3, "rounds": 3})
        self.assertIsNone(figures.spread([None]))

    def test_ratios_are_paired_by_round(self):
        self.assertEqual(figures.paired_ratios([10, None, 30], [5, 7, 10]), [2, 3])
        self.assertEqual(figures.paired_ratios([1], [0]), [])

    def test_the_interval_is_students(self):
        # logs 0, ln 2, ln 4: mean ln 2, deviation ln 2; t(2) = 4.303
        found = figures.ratio([1, 2, 4], [1, 1, 1])
        half = 4.303 * math.log(2) / math.sqrt(3)
        self.assertAlmostEqual(found["low"], math.exp(math.log(2) - half), places=12)
        self.assertAlmostEqual(found["high"], math.exp(math.log(2) + half), places=12)
        self.assertEqual(found["median"], 2)

    def test_an_interval_turns_round_with_the_ratio(self):
        ours, theirs = [3, 5, 4, 6], [2, 2, 3, 5]
        there, back = figures.ratio(ours, theirs), figures.ratio(theirs, ours)
        self.assertAlmostEqual(there["low"], 1 / back["high"], places=12)

    def test_one_round_has_no_interval(self):
        self.assertNotIn("low", figures.ratio([2], [1]))
        self.assertIsNone(figures.ratio([], []))


if __name__ == "__main__":
    unittest.main()
