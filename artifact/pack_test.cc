#include "artifact/pack.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "artifact/core/source_name.h"
#include "artifact/sha256.h"
#include "artifact/testing/test_archive.h"
#include "artifact/unpack.h"

namespace pando::artifact {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

bool GoOn(const Packed&) { return true; }

absl::StatusOr<Packed> Pack(const std::string& dir, const std::string& out) {
  return PackDirectory(dir, out, GoOn);
}

// Everything that comes out of the packed file, sorted.
std::vector<std::string> Contents(const std::string& packed) {
  const TestDir out;
  EXPECT_EQ(Unpack(packed, out.path(), {}, [] { return false; }), absl::OkStatus());
  std::vector<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator(out.path())) {
    paths.push_back(fs::relative(entry.path(), out.path()).string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

TEST(PackTest, WhatIsUnpackedIsWhatWasPacked) {
  const TestDir from, work, to;
  from.Write("server.js", "listen()");
  from.Write("bin/run", "#!/bin/sh\n");
  from.Write("big", std::string(3 << 20, 'x'));
  from.Write("empty", "");
  from.Write("n\xc3\xa4me \xff", "bytes");  // not text in any encoding
  from.Write(std::string(120, 'd') + "/" + std::string(120, 'f'), "long");
  fs::create_directory(from / "nothing");
  fs::create_symlink("../server.js", from / "bin/link");
  chmod((from / "bin/run").c_str(), 0700);
  const auto packed = Pack(from.path(), work / "out");
  ASSERT_EQ(packed.status(), absl::OkStatus());
  EXPECT_TRUE(IsDigest(packed->digest));
  EXPECT_EQ(packed->digest, *Sha256OfFile(work / "out"));
  EXPECT_EQ(packed->packed_bytes, fs::file_size(work / "out"));
  EXPECT_EQ(packed->entries, 10u);

  ASSERT_EQ(Unpack(work / "out", to.path(), {}, [] { return false; }), absl::OkStatus());
  EXPECT_EQ(to.Read("server.js"), "listen()");
  EXPECT_EQ(to.Read("big"), std::string(3 << 20, 'x'));
  EXPECT_EQ(to.Read("n\xc3\xa4me \xff"), "bytes");
  EXPECT_EQ(to.Read(std::string(120, 'd') + "/" + std::string(120, 'f')), "long");
  EXPECT_TRUE(fs::is_directory(to / "nothing"));
  EXPECT_EQ(fs::read_symlink(to / "bin/link"), "../server.js");
  EXPECT_EQ(fs::status(to / "bin/run").permissions(), fs::perms{0755});
  EXPECT_EQ(fs::status(to / "server.js").permissions(), fs::perms{0644});
}

TEST(PackTest, TheSameTreeHasTheSameDigestWhoeverMadeItWhenever) {
  const TestDir a, b, work;
  a.Write("x/1", "one");
  a.Write("x/2", "two");
  b.Write("x/2", "two");
  b.Write("x/1", "one");
  chmod((b / "x/1").c_str(), 0600);
  fs::last_write_time(b / "x/2", fs::file_time_type::clock::now() - std::chrono::hours(9));
  const auto first = Pack(a.path(), work / "a");
  const auto second = Pack(b.path(), work / "b");
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->digest, second->digest);
  b.Write("x/1", "One");
  EXPECT_NE(Pack(b.path(), work / "b")->digest, first->digest);
}

TEST(PackTest, LeavesOutWhatIgnoreFilesSay) {
  const TestDir from, work;
  from.Write(".gitignore", "node_modules/\n*.log\n");
  from.Write(".git/config", "");
  from.Write("a.js", "");
  from.Write("a.log", "");
  from.Write("node_modules/x/index.js", "");
  from.Write("sub/.gitignore", "!keep.log\n/only-here\n");
  from.Write("sub/keep.log", "");
  from.Write("sub/only-here", "");
  from.Write("sub/deeper/only-here", "");
  ASSERT_TRUE(Pack(from.path(), work / "out").ok());
  EXPECT_THAT(Contents(work / "out"),
              ElementsAre(".gitignore", "a.js", "sub", "sub/.gitignore", "sub/deeper",
                          "sub/deeper/only-here", "sub/keep.log"));
}

TEST(PackTest, APandoignoreReplacesTheGitignores) {
  const TestDir from, work;
  from.Write(".gitignore", "dist\n");
  from.Write(".pandoignore", "src\n.*ignore\n");
  from.Write("dist/app.js", "");
  from.Write("src/app.ts", "");
  ASSERT_TRUE(Pack(from.path(), work / "out").ok());
  EXPECT_THAT(Contents(work / "out"), ElementsAre("dist", "dist/app.js"));
}

TEST(PackTest, WhatCannotBePackedIsNamed) {
  const TestDir work;
  struct Case {
    std::string name;
    std::function<void(const TestDir&)> make;
    std::string want;
  };
  const Case cases[] = {
      {"a link out",
       [](const TestDir& dir) { fs::create_symlink("/usr/bin/python3", dir / "python"); },
       "python -> /usr/bin/python3 is a link to an absolute path (leave it out by a line in "
       ".pandoignore)"},
      {"a pipe", [](const TestDir& dir) { mkfifo((dir / "pipe").c_str(), 0600); },
       "pipe is neither a file nor a directory nor a link"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const TestDir from;
    c.make(from);
    const auto packed = Pack(from.path(), work / "out");
    EXPECT_EQ(packed.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(packed.status().message()), HasSubstr(c.want));
  }
  EXPECT_EQ(Pack(work / "none", work / "out").status().code(), absl::StatusCode::kNotFound);
  work.Write("file", "");
  EXPECT_THAT(std::string(Pack(work / "file", work / "out").status().message()),
              HasSubstr("is not a directory"));
}

TEST(PackTest, AnEmptyDirectoryIsNoMistake) {
  const TestDir from, work;
  ASSERT_TRUE(Pack(from.path(), work / "out").ok());
  EXPECT_THAT(Contents(work / "out"), IsEmpty());
}

TEST(PackTest, StopsWhenTold) {
  const TestDir from, work;
  from.Write("a", "a");
  const auto packed = PackDirectory(from.path(), work / "out", [](const Packed&) { return false; });
  EXPECT_EQ(packed.status().code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace pando::artifact
