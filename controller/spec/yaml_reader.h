// YAML text as a small immutable tree with line numbers. What could make a reader work without end
// is bounded: size of the text, depth, number of documents; an alias refers to its node instead of
// copying it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "controller/spec/mistakes.h"

namespace pando::controller {

inline constexpr size_t kMaxYamlBytes = 1 << 20;
inline constexpr int kMaxYamlDepth = 20;
inline constexpr size_t kMaxYamlDocuments = 1'000;

struct YamlNode;
using YamlPtr = std::shared_ptr<const YamlNode>;

struct YamlNode {
  enum class Kind { kNothing, kText, kList, kMap };
  struct Entry {
    YamlPtr key;
    YamlPtr value;
  };

  Kind kind = Kind::kNothing;
  int line = 1;  // from 1; where it is written, so an alias has the line of its anchor
  // kText: as written, without quotes; UTF-8 without NUL.
  std::string text;
  bool quoted = false;         // "5" is not a number
  std::vector<YamlPtr> items;  // kList
  std::vector<Entry> entries;  // kMap, as written: keys may repeat
};

// The documents that are not empty. Stops at the first mistake, which it adds to `mistakes`.
std::vector<YamlPtr> ReadYaml(const std::string& text, Mistakes& mistakes);

}  // namespace pando::controller
