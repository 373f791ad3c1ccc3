// What is wrong with a file, one line per mistake, in the words of the one who wrote it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace pando::controller {

class Mistakes {
 public:
  static constexpr size_t kMaxTold = 20;

  explicit Mistakes(std::string filename) : filenames_{std::move(filename)} {}

  // What is added from here on is of another file.
  void BeginFile(std::string filename) { filenames_.push_back(std::move(filename)); }
  // `line` from 1. `field` is the path of the key ("health.interval"), or empty.
  void Add(int line, std::string_view field, std::string_view text);
  bool empty() const { return mistakes_.empty(); }
  // By file and line; at most kMaxTold of them, and how many more there are.
  absl::Status ToStatus() const;

 private:
  struct Mistake {
    size_t file = 0;
    int line = 0;
    std::string text;
  };
  std::vector<std::string> filenames_;
  std::vector<Mistake> mistakes_;
  size_t untold_ = 0;
};

// The value as it may appear in a message: in quotes, control characters escaped, cut when long.
std::string Quoted(std::string_view value);

// Needs no quotes in a message: a short word of letters, digits, _, - and dots.
bool IsPlainKey(std::string_view key);

}  // namespace pando::controller
