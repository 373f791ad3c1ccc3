// Archives as an attacker, or a broken disk, would make them, for the tests; and directories to
// unpack them in.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "artifact/seal.h"
#include "common/runtime/data_dir.h"

namespace pando::artifact {

class TestDir {
 public:
  TestDir() : path_(testing::TempDir() + "artifact-" + RandomHexId()) {
    std::filesystem::create_directory(path_);
  }
  ~TestDir() { RemoveTree(path_).IgnoreError(); }
  TestDir(const TestDir&) = delete;
  TestDir& operator=(const TestDir&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

  void Write(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = *this / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  std::string Read(const std::string& name) const {
    std::ifstream in(*this / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

 private:
  const std::string path_;
};

struct TestEntry {
  std::string path;
  unsigned type = AE_IFREG;
  std::string text = "";  // a file's contents, a symbolic link's target
  std::string hardlink = "";
  unsigned mode = 0644;
  uint64_t said_size = 0;  // not 0: what the header says, whatever follows
};

inline void WriteArchive(const std::string& path, const std::vector<TestEntry>& entries) {
  struct archive* const out = archive_write_new();
  archive_write_set_format_gnutar(out);
  archive_write_add_filter_zstd(out);
  ASSERT_EQ(archive_write_open_filename(out, path.c_str()), ARCHIVE_OK);
  for (const TestEntry& from : entries) {
    archive_entry* const entry = archive_entry_new();
    archive_entry_set_pathname(entry, from.path.c_str());
    archive_entry_set_filetype(entry, from.type);
    archive_entry_set_perm(entry, from.mode);
    if (from.type == AE_IFLNK) {
      archive_entry_set_symlink(entry, from.text.c_str());
    } else if (!from.hardlink.empty()) {
      archive_entry_set_hardlink(entry, from.hardlink.c_str());
    } else {
      archive_entry_set_size(
          entry, static_cast<la_int64_t>(from.said_size > 0 ? from.said_size : from.text.size()));
    }
    archive_write_header(out, entry);
    if (from.type == AE_IFREG) archive_write_data(out, from.text.data(), from.text.size());
    archive_entry_free(entry);
  }
  archive_write_close(out);
  archive_write_free(out);
}

}  // namespace pando::artifact
