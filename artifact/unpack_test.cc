#include "artifact/unpack.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <random>

#include "artifact/testing/test_archive.h"

namespace pando::artifact {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

bool Never() { return false; }

TEST(UnpackTest, RefusesWhatIsNotADirectoryPackedByUs) {
  struct Case {
    std::string name;
    std::vector<TestEntry> entries;
    std::string want;
  };
  const Case cases[] = {
      {"absolute path", {{"/tmp/pando-evil"}}, "is an absolute path"},
      {"parent", {{"../evil"}}, "has a .. in its path"},
      {"parent further down", {{"a/../../evil"}}, "has a .. in its path"},
      {"parent as a directory", {{"..", AE_IFDIR}}, "has a .. in its path"},
      {"link to an absolute path", {{"a", AE_IFLNK, "/etc"}}, "is a link to an absolute path"},
      {"link out", {{"a", AE_IFLNK, "../../etc"}}, "is a link that leads out"},
      {"link out by way of a link",
       {{"d", AE_IFDIR}, {"d/up", AE_IFLNK, ".."}, {"out", AE_IFLNK, "d/up/.."}},
       "is a link with a .. behind a name"},
      {"through a link",
       {{"d", AE_IFDIR}, {"link", AE_IFLNK, "d"}, {"link/evil", AE_IFREG, "x"}},
       "link"},
      {"hard link", {{"a", AE_IFREG, "x"}, {"b", AE_IFREG, "", "a"}}, "is a hard link"},
      {"hard link out", {{"b", AE_IFREG, "", "/etc/passwd"}}, "is a hard link"},
      {"character device", {{"null", AE_IFCHR}}, "is neither a file nor"},
      {"block device", {{"sda", AE_IFBLK}}, "is neither a file nor"},
      {"pipe", {{"pipe", AE_IFIFO}}, "is neither a file nor"},
      {"set-user-id", {{"su", AE_IFREG, "x", "", 04755}}, "has a set-user-id"},
      {"set-group-id directory", {{"d", AE_IFDIR, "", "", 02755}}, "has a set-user-id"},
      {"twice", {{"a", AE_IFREG, "x"}, {"a", AE_IFREG, "y"}}, "comes twice"},
      {"twice by another spelling", {{"a", AE_IFREG, "x"}, {"./a", AE_IFREG, "y"}}, "comes twice"},
      {"a file in place of a link", {{"a", AE_IFLNK, "b"}, {"a", AE_IFREG, "y"}}, "comes twice"},
      {"a link in place of a directory",
       {{"a/b", AE_IFREG, "x"}, {"a", AE_IFLNK, "c"}},
       "comes twice"},
      {"a directory in place of a file", {{"a", AE_IFREG, "x"}, {"a", AE_IFDIR}}, "comes twice"},
      {"no name", {{"", AE_IFREG, "x"}}, "no name"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const TestDir work;
    fs::create_directory(work / "in");
    WriteArchive(work / "evil", c.entries);
    const absl::Status status = Unpack(work / "evil", work / "in", {}, Never);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.want));
    // Nothing beside the archive and the directory.
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(work.path())) {
      names.push_back(entry.path().filename().string());
    }
    EXPECT_THAT(names, UnorderedElementsAre("evil", "in"));
    EXPECT_FALSE(fs::exists("/tmp/pando-evil"));
  }
}

TEST(UnpackTest, BombsEndAtTheLimits) {
  const TestDir work;
  fs::create_directory(work / "in");
  WriteArchive(work / "zeros", {{"a", AE_IFREG, std::string(4 << 20, '\0')},
                                {"b", AE_IFREG, std::string(4 << 20, '\0')}});
  ASSERT_LT(fs::file_size(work / "zeros"), 4'000u);
  const absl::Status large = Unpack(work / "zeros", work / "in", {.bytes = 6 << 20}, Never);
  EXPECT_EQ(large.code(), absl::StatusCode::kResourceExhausted) << large;
  EXPECT_FALSE(fs::exists(work / "in/b"));  // its size was known before it was written

  fs::create_directory(work / "in2");
  std::vector<TestEntry> many;
  for (int i = 0; i < 20; ++i) many.push_back({"f" + std::to_string(i)});
  WriteArchive(work / "many", many);
  const absl::Status number = Unpack(work / "many", work / "in2", {.entries = 10}, Never);
  EXPECT_EQ(number.code(), absl::StatusCode::kResourceExhausted) << number;

  // One entry that is many directories.
  fs::create_directory(work / "in3");
  std::string deep = "0";
  for (int i = 1; i < 20; ++i) deep += "/" + std::to_string(i);
  WriteArchive(work / "deep", {{deep}});
  const absl::Status depth = Unpack(work / "deep", work / "in3", {.entries = 10}, Never);
  EXPECT_EQ(depth.code(), absl::StatusCode::kResourceExhausted) << depth;
  EXPECT_TRUE(fs::is_empty(work / "in3"));
  EXPECT_EQ(Unpack(work / "deep", work / "in3", {.entries = 20}, Never), absl::OkStatus());
}

TEST(UnpackTest, ArchivesThatAreCutShortOrSpoiltAreErrors) {
  const TestDir work;
  std::string noise;
  std::mt19937 random(7);
  for (int i = 0; i < 40'000; ++i) noise.push_back(static_cast<char>(random()));
  WriteArchive(work / "whole", {{"d", AE_IFDIR}, {"d/a", AE_IFREG, noise}, {"b", AE_IFREG, "b"}});
  const std::string bytes = work.Read("whole");
  ASSERT_GT(bytes.size(), 40'000u);
  for (const size_t kept :
       {size_t{0}, size_t{3}, size_t{100}, bytes.size() / 2, bytes.size() - 9}) {
    SCOPED_TRACE(kept);
    const TestDir in;
    work.Write("cut", bytes.substr(0, kept));
    EXPECT_FALSE(Unpack(work / "cut", in.path(), {}, Never).ok());
  }
  // Whatever a flipped bit makes of it: it ends, and nothing is outside.
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE(round);
    std::string spoilt = bytes;
    char& byte = spoilt[random() % spoilt.size()];
    byte = static_cast<char>(byte ^ (1 << random() % 8));
    work.Write("spoilt", spoilt);
    fs::create_directories(work / "box/in");
    Unpack(work / "spoilt", work / "box/in", {.bytes = 1 << 20}, Never).IgnoreError();
    EXPECT_EQ(std::distance(fs::directory_iterator(work / "box"), fs::directory_iterator{}), 1);
    ASSERT_EQ(RemoveTree(work / "box"), absl::OkStatus());
  }
}

TEST(UnpackTest, HeadersThatLieAboutSizesAreErrors) {
  const TestDir work;
  fs::create_directory(work / "in");
  // libarchive's own writer pads what is missing with zeros, so the lie is written by hand: an old
  // tar header with a size of 8 GiB - 1 and nothing behind it.
  std::string header(512, '\0');
  header.replace(0, 1, "a");
  header.replace(100, 7, "0000644");
  header.replace(108, 7, "0000000");
  header.replace(116, 7, "0000000");
  header.replace(124, 11, "77777777777");
  header.replace(136, 11, "00000000000");
  header.replace(148, 8, "        ");
  header[156] = '0';
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  char text[9];
  snprintf(text, sizeof(text), "%06o", sum);
  header.replace(148, 7, std::string(text, 6) + '\0');
  work.Write("lie", header + std::string(1'024, '\0'));
  EXPECT_EQ(Unpack(work / "lie", work / "in", {.bytes = 1 << 30}, Never).code(),
            absl::StatusCode::kResourceExhausted);
  fs::create_directory(work / "in2");
  EXPECT_EQ(Unpack(work / "lie", work / "in2", {}, Never).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(UnpackTest, StopsWhenTold) {
  const TestDir work;
  fs::create_directory(work / "in");
  WriteArchive(work / "packed", {{"a", AE_IFREG, "x"}});
  EXPECT_EQ(Unpack(work / "packed", work / "in", {}, [] { return true; }).code(),
            absl::StatusCode::kCancelled);
}

TEST(SealTest, ASealedTreeIsReadOnlyAndCanBeRemoved) {
  const TestDir work;
  work.Write("tree/d/file", "x");
  chmod((work / "tree/d/file").c_str(), 0755);
  fs::create_symlink("d/file", work / "tree/link");
  work.Write("outside", "x");
  ASSERT_EQ(SealTree(work / "tree"), absl::OkStatus());
  EXPECT_EQ(fs::status(work / "tree").permissions(), fs::perms{0555});
  EXPECT_EQ(fs::status(work / "tree/d").permissions(), fs::perms{0555});
  EXPECT_EQ(fs::status(work / "tree/d/file").permissions(), fs::perms{0555});
  EXPECT_EQ(RemoveTree(work / "tree"), absl::OkStatus());
  EXPECT_FALSE(fs::exists(work / "tree"));
  EXPECT_EQ(RemoveTree(work / "tree"), absl::OkStatus());
  EXPECT_TRUE(fs::exists(work / "outside"));
}

}  // namespace
}  // namespace pando::artifact
