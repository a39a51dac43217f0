"""The layering check finds what it is there for: each planted violation is reported, and a good tree is not."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import layering  # noqa: E402


class Layering(unittest.TestCase):
    def violations(self, files):
        with tempfile.TemporaryDirectory() as root:
            for name, text in files.items():
                path = pathlib.Path(root) / "src" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return layering.check(root)

    def test_a_good_tree_has_none(self):
        self.assertEqual(self.violations({"net/a.hpp": '#pragma once\n#include "base/b.hpp"\n#include <boost/asio.hpp>\n',
                                          "base/b.hpp": "#pragma once\n"}), [])

    def test_an_upward_include(self):
        self.assertIn("base must not include net", self.violations({"base/b.cpp": '#include "net/a.hpp"\n'})[0])

    def test_neighbours_that_must_not_meet(self):
        self.assertIn("service must not include aggregator",
                      self.violations({"service/s.cpp": '#include "aggregator/hub.hpp"\n'})[0])

    def test_a_codec_with_sockets(self):
        found = self.violations({"ws/codec/p.cpp": "#include <boost/asio/post.hpp>\n"})
        self.assertIn("ws/codec does no I/O, but reaches boost/asio/post.hpp", found[0])

    def test_sockets_behind_a_header_that_may_be_included(self):
        found = self.violations({"aggregator/channel/a.hpp": '#pragma once\n#include "contract/t.hpp"\n',
                                 "contract/t.hpp": '#pragma once\n#include "amqp/conn/c.hpp"\n',
                                 "amqp/conn/c.hpp": "#pragma once\n#include <boost/asio.hpp>\n"})
        self.assertEqual(len(found), 1)
        self.assertIn("reaches contract/t.hpp → amqp/conn/c.hpp → boost/asio.hpp", found[0])

    def test_missing_guard_long_file_and_stray_file(self):
        self.assertIn("no #pragma once", self.violations({"base/b.hpp": "int x;\n"})[0])
        self.assertIn("more than 500 lines", self.violations({"base/b.cpp": "\n" * 501})[0])
        self.assertIn("belongs to no module", self.violations({"utils/u.cpp": "\n"})[0])

    def test_a_cycle_in_the_table(self):
        layering.ALLOWED["base"].add("net")
        try:
            self.assertTrue(any("cycle" in v for v in self.violations({})))
        finally:
            layering.ALLOWED["base"].clear()


if __name__ == "__main__":
    unittest.main()
