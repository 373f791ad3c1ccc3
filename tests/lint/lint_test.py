"""Every lint script can fail: each rule is shown one file that breaks it and one that does not."""

import contextlib
import io
import pathlib
import tempfile
import unittest

import check_docs
import check_format
import check_layers
import check_scripts
import clang_tidy


class LintTest(unittest.TestCase):

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def assert_found(self, check, cases):
        """cases: (file, text, part of the expected problem or None)."""
        for name, text, want in cases:
            with self.subTest(name=name, text=text):
                self.write(name, text)
                problems = check(self.root)
                (self.root / name).unlink()
                if want is None:
                    self.assertEqual(problems, [])
                else:
                    self.assertTrue(any(want in problem for problem in problems), problems)

    def test_layers_of_ours(self):
        self.assert_found(check_layers.check, [
            ("controller/core/a.h", '#include "common/base/time.h"\n', None),
            ("controller/core/a.h", '#include "common/runtime/log.h"\n', "may not include"),
            ("controller/core/a.h", '#include "pando/v1/spec.pb.h"\n', "may not include"),
            ("controller/core/a.h", '#include "agent/core/b.h"\n', "may not include"),
            ("common/base/a.h", '#include "common/runtime/log.h"\n', "may not include"),
            ("proxy/net/a.cc", '#include "proxy/control/b.h"\n', "may not include"),
            ("proxy/control/a.cc", '#include "proxy/net/worker.h"\n', "may not include"),
            ("proxy/control/a.cc", '#include "proxy/net/data_plane.h"\n', None),
            ("controller/service/a.cc", '#include "controller/store/sqlite_store.h"\n', "may not"),
            ("controller/service/a.cc", '#include "controller/store/store.h"\n', None),
            ("controller/service/a_test.cc", '#include "controller/store/memory_store.h"\n', None),
            ("ctl/a.cc", '#include "controller/spec/parse.h"\n', "ctl/ may not include"),
            ("agent/shim/a.cc", '#include "common/runtime/log.h"\n', "may not include"),
            ("agent/main.cc", '#include "agent/core/b.h"\n', None),
        ])

    def test_layers_of_others(self):
        self.assert_found(check_layers.check, [
            ("agent/core/a.h", "#include <vector>\n", None),
            ("agent/core/a.h", "#include <thread>\n", "pure layer"),
            ("agent/core/a.h", "#include <unistd.h>\n", "pure layer"),
            ("agent/core/a.h", "#include <grpcpp/grpcpp.h>\n", "pure layer"),
            ("agent/core/a.h", '#include "absl/strings/str_cat.h"\n', None),
            ("agent/core/a.h", '#include "absl/synchronization/mutex.h"\n', "pure layer"),
            ("proxy/core/h1_parser.h", "#include <boost/beast/http/basic_parser.hpp>\n", None),
            ("proxy/core/route.h", "#include <boost/beast/http/verb.hpp>\n", "pure layer"),
        ])

    def test_time_and_chance(self):
        self.assert_found(check_layers.check, [
            ("agent/a.cc", "auto t = std::chrono::steady_clock::now();\n", "reads a clock"),
            ("agent/a.cc", "// steady_clock::now() is for the loop\n", None),
            ("common/runtime/event_loop.cc", "return std::chrono::steady_clock::now();\n", None),
            ("agent/a_test.cc", "auto t = std::chrono::steady_clock::now();\n", None),
            ("agent/core/a_test.cc", "auto t = std::chrono::steady_clock::now();\n", "a clock"),
            ("agent/a_test.cc", "std::this_thread::sleep_for(1s);\n", "sleeps"),
            ("controller/core/a.cc", "std::random_device device;\n", "random"),
        ])

    def test_own_header_first(self):
        self.write("ctl/a.h", "#pragma once\n")
        self.assert_found(check_layers.check, [
            ("ctl/a.cc", '#include "ctl/a.h"\n\n#include <string>\n', None),
            ("ctl/a.cc", '#include <string>\n#include "ctl/a.h"\n', "must be the first include"),
        ])

    def test_docs(self):
        self.write("deploy/examples/app.yaml", "name: a\n")
        self.write("ctl/a.h", "")
        self.assert_found(check_docs.check, [
            ("docs/a.md", "[spec](../deploy/examples/app.yaml#top) [web](https://x.example)\n", None),
            ("docs/a.md", "[gone](gone.md)\n", "link to nothing: gone.md"),
            ("docs/a.md", "See `deploy/examples/app.yaml`, `ctl/{a}.h`, `ctl/a`.\n", None),
            ("docs/a.md", "See `ctl/gone.h`.\n", "no such path: ctl/gone.h"),
            ("docs/a.md", "See `ctl/{a,gone}.h`.\n", "no such path: ctl/gone.h"),
            ("docs/a.md", "`build/release/bin/ctl` and `a/b` are not ours\n", None),
            ("docs/a.md", "```sh\nctl apply -f deploy/examples/gone.yaml\n```\n", "gone.yaml"),
            ("docs/a.md", "```sh\nif true\n```\n", "does not parse"),
            ("docs/a.md", "```sh\nctl status\n```\n", None),
        ])

    def test_scripts(self):
        self.assert_found(check_scripts.check, [
            ("deploy/run", "#!/usr/bin/env bash\necho ok\n", None),
            ("deploy/run", "#!/usr/bin/env bash\nif true\n", "syntax error"),
            ("deploy/lib.sh", "done\n", "syntax error"),
            ("deploy/data", "if true\n", None),
        ])

    def test_format(self):
        self.write(".clang-format", "BasedOnStyle: Google\n")
        self.assert_found(check_format.check, [
            ("a.cc", "int x = 1;\n", None),
            ("a.cc", "int  x=1;\n", "not formatted"),
            ("a.cc", "int x = 1;  // TO" "DO: more\n", "left for later"),
            ("a.md", "FIX" "ME\n", "left for later"),
        ])

    def tidy(self, unit):
        """What clang-tidy says of files that are compiled together."""
        self.write("build/Unity/unit.cc",
                   "".join(f'#include "{self.root}/{name}"\n' for name in unit))
        file = str(self.root / "build/Unity/unit.cc")
        database = [{"directory": str(self.root), "file": file,
                     "command": f"c++ -std=c++20 -c {file}"}]
        # The second time from the cache: the same.
        first, again = (clang_tidy.check(clang_tidy.units(database, self.root), self.root,
                                         self.root / "build/cache", jobs=1) for _ in range(2))
        self.assertEqual(first, again)
        return first

    def test_clang_tidy(self):
        self.write(".clang-tidy", "Checks: '-*,bugprone-*'\nWarningsAsErrors: '*'\n")
        bad = "{ if (x) return 1; else return 1; }\n"
        for one, other, runs, want in (
                ("int F(int x) { return x; }\n", "int G();\n", 1, []),
                ("int F(int x) " + bad, "int H();\n", 3, ["a.cc"]),
                ("int I(int x) " + bad, "int J(int x) " + bad, 3, ["a.cc", "b.cc"]),
                # Each compiles, both together do not.
                ("static int x = 1;\n", "static int x = 2;\n", 3, [])):
            with self.subTest(one=one, other=other):
                self.write("agent/a.cc", one)
                self.write("agent/b.cc", other)
                said = io.StringIO()
                with contextlib.redirect_stdout(said):
                    problems = self.tidy(["agent/a.cc", "agent/b.cc"])
                self.assertEqual(len(said.getvalue().splitlines()), runs, said.getvalue())
                self.assertEqual(len(problems), len(want), problems)
                for problem, file in zip(problems, want):
                    self.assertIn("bugprone", problem)
                    self.assertIn(file, problem)

    def test_clang_tidy_analyzes_each_file_of_a_core(self):
        self.write(".clang-tidy", "Checks: '-*,bugprone-*,clang-analyzer-*'\nWarningsAsErrors: '*'\n")
        self.write("agent/core/a.cc", "int F(int x) { return x; }\n")
        self.write("agent/core/b.cc", "int G(int x) { int* p = nullptr; return x > 3 ? *p : 0; }\n")
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            problems = self.tidy(["agent/core/a.cc", "agent/core/b.cc"])
        self.assertEqual(len(said.getvalue().splitlines()), 3, said.getvalue())
        self.assertEqual(len(problems), 1, problems)
        self.assertIn("clang-analyzer-core.NullDereference", problems[0])


if __name__ == "__main__":
    unittest.main()
