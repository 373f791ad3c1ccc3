// Archives are users' own: whatever bytes one is made of, unpacking it ends with a directory that
// holds no more than the limits say, plain files, directories and links that stay inside, and
// nothing beside it.
//
// Each input is unpacked as it is, and once more with the checksums of its tar headers put right:
// a changed header would else be refused before anything of ours looks at it.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "artifact/seal.h"
#include "artifact/unpack.h"

namespace {

namespace fs = std::filesystem;
using pando::artifact::RemoveTree;
using pando::artifact::Unpack;
using pando::artifact::UnpackLimits;

constexpr UnpackLimits kLimits{.bytes = 64 << 10, .entries = 32};
// Where the corpus' absolute paths and its many ".." lead.
constexpr char kOutside[] = "/tmp/pando-archive-fuzz-outside";
constexpr size_t kBlock = 512;  // of tar

void Require(bool condition, const std::string& what) {
  if (condition) return;
  std::fprintf(stderr, "violated: %s\n", what.c_str());
  std::abort();
}

// A few directories deep, so that a ".." too many still ends where it is seen.
class Box {
 public:
  Box() {
    // Tens of thousands of small files: in memory where there is such a file system.
    const fs::path shm = "/dev/shm";
    top_ = fs::canonical(fs::is_directory(shm) ? shm : fs::temp_directory_path()) /
           "pando-archive-fuzz-XXXXXX";
    Require(mkdtemp(top_.data()) != nullptr, "a directory can be made");
    fs::create_directories(top_ + "/1/2/3");
    // What is unpacked relative to the working directory is seen as well.
    fs::current_path(top_ + "/1/2");
    std::atexit([] { RemoveTree(TheBox().top_).IgnoreError(); });
  }
  static Box& TheBox() {
    static auto* const box = new Box();
    return *box;
  }

  std::string dir() const { return top_ + "/1/2/3/in"; }

  void RequireNothingOutside() const {
    size_t found = 0;
    for (auto at = fs::recursive_directory_iterator(top_); at != fs::end(at); ++at) {
      if (at->path() == dir()) at.disable_recursion_pending();
      ++found;
    }
    Require(found == 4, "nothing is written outside");
    Require(access(kOutside, F_OK) != 0, "nothing is written to an absolute path");
  }

 private:
  std::string top_;
};

void RequireLinkInside(const fs::path& link, const fs::path& root) {
  const fs::path target = fs::read_symlink(link);
  Require(!target.is_absolute(), absl::StrCat("a relative link: ", link.string()));
  // Of links through links, too: where nothing is, the rest of the path counts as it is written.
  std::error_code error;
  const fs::path reached = fs::weakly_canonical(link.parent_path() / target, error);
  if (error) return;  // a loop, or a file where a directory was meant: it leads nowhere
  Require(reached == root || absl::StartsWith(reached.string(), root.string() + "/"),
          absl::StrCat("a link that stays inside: ", link.string(), " -> ", target.string()));
}

void RequireAllowed(const fs::path& root) {
  uint64_t entries = 0, bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    struct stat info {};
    Require(lstat(entry.path().c_str(), &info) == 0, "what is listed is there");
    ++entries;
    if (S_ISLNK(info.st_mode)) {
      RequireLinkInside(entry.path(), root);
      continue;
    }
    Require(S_ISREG(info.st_mode) || S_ISDIR(info.st_mode), "no device, pipe or socket");
    Require((info.st_mode & (S_ISUID | S_ISGID | S_ISVTX)) == 0, "no special bits");
    Require((info.st_mode & (S_IWGRP | S_IWOTH)) == 0, "nobody else may write");
    if (!S_ISREG(info.st_mode)) continue;
    Require(info.st_nlink == 1, "no hard link");
    bytes += static_cast<uint64_t>(info.st_size);
  }
  Require(entries <= kLimits.entries, "not more entries than allowed");
  Require(bytes <= kLimits.bytes, "not more bytes than allowed");
}

void Check(std::string_view archive) {
  const Box& box = Box::TheBox();
  const int file = memfd_create("archive", MFD_CLOEXEC);
  Require(file >= 0 &&
              write(file, archive.data(), archive.size()) == static_cast<ssize_t>(archive.size()),
          "the archive can be written");
  Require(mkdir(box.dir().c_str(), 0755) == 0, "the directory can be made");
  const absl::Status status =
      Unpack(absl::StrCat("/proc/self/fd/", file), box.dir(), kLimits, [] { return false; });
  close(file);
  Require(status.ok() || absl::IsInvalidArgument(status) || absl::IsResourceExhausted(status),
          status.ToString());
  RequireAllowed(box.dir());
  box.RequireNothingOutside();
  Require(RemoveTree(box.dir()).ok(), "it can be removed");
}

// Of every block that says "ustar", and of the first one.
std::string WithChecksums(std::string tar) {
  for (size_t at = 0; at + kBlock <= tar.size(); at += kBlock) {
    if (at > 0 && tar.compare(at + 257, 5, "ustar") != 0) continue;
    tar.replace(at + 148, 8, "        ");
    unsigned sum = 0;
    for (size_t i = at; i < at + kBlock; ++i) sum += static_cast<unsigned char>(tar[i]);
    char text[9];
    std::snprintf(text, sizeof(text), "%06o", sum);
    tar.replace(at + 148, 7, std::string(text, 6) + '\0');
  }
  return tar;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string archive(reinterpret_cast<const char*>(data), size);
  Check(archive);
  const std::string mended = WithChecksums(archive);
  if (mended != archive) Check(mended);
  return 0;
}
