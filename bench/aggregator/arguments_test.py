"""Wrong arguments of ./run: one line on stderr, exit status 2, nothing measured."""
import pathlib
import subprocess
import unittest

RUN = pathlib.Path(__file__).parent / "run"


class Arguments(unittest.TestCase):
    def test_each_wrong_one_is_one_line(self):
        for arguments in (["--only", "nothing"], ["--rounds", "0"], ["--rounds", "many"], ["--seconds", "-1"], ["--bogus"],
                          ["--foz", "/no/such/program"], ["--server-core", "100000"]):
            with self.subTest(arguments=arguments):
                done = subprocess.run([RUN, *arguments], capture_output=True, text=True, timeout=30)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main()
