// One value of a document together with the path that leads to it: reads it as what is wanted, or
// adds a mistake and gives nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "controller/spec/mistakes.h"
#include "controller/spec/syntax.h"
#include "controller/spec/yaml_reader.h"

namespace pando::controller {

class Input {
 public:
  // `node` and `mistakes` outlive the input; `line` is where the key is written.
  Input(const YamlNode& node, std::string field, int line, Mistakes& mistakes)
      : node_(node), field_(std::move(field)), line_(line), mistakes_(mistakes) {}

  const YamlNode& node() const { return node_; }
  const std::string& field() const { return field_; }
  int line() const { return line_; }
  bool IsText() const { return node_.kind == YamlNode::Kind::kText; }

  void Fail(std::string_view text) const { mistakes_.Add(line_, field_, text); }
  // This value's key is none of `known`, the keys of `map`.
  void FailUnknownKey(const Input& map, std::string_view key,
                      const std::vector<std::string>& known) const;

  // The value of a key of this map; nothing is told when there is none.
  std::optional<Input> Find(std::string_view key) const;
  void FailMissing(std::string_view key, std::string_view wanted) const;

  // Any scalar as it is written.
  std::optional<std::string> Text() const;
  std::optional<std::string> Text(Complaint (*check)(std::string_view)) const;
  std::optional<bool> Bool() const;
  std::optional<uint32_t> Whole(uint32_t min, uint32_t max) const;
  std::optional<uint32_t> Duration(uint32_t min_ms, uint32_t max_ms) const;
  std::optional<uint64_t> Size(uint64_t min, uint64_t max) const;
  std::optional<uint32_t> Cpu(uint32_t min_millis, uint32_t max_millis) const;
  // Index into `choices`.
  std::optional<size_t> OneOf(const std::vector<std::string>& choices) const;

  // Each item of a list of 1 to `max`; false when it is none.
  bool ForEachItem(size_t max, absl::FunctionRef<void(const Input& item)> visit) const;
  // Each entry of a map whose keys are texts, each key once; false when it is no map.
  bool ForEachEntry(
      size_t max, absl::FunctionRef<void(const std::string& key, const Input& value)> visit) const;

 private:
  void FailType(std::string_view wanted, std::string_view allowed) const;
  // The scalar, if it is one and not a quoted text.
  const std::string* Bare(std::string_view wanted, std::string_view allowed) const;
  std::string ChildField(std::string_view key) const;

  const YamlNode& node_;
  std::string field_;
  int line_;
  Mistakes& mistakes_;
};

// A key of a map that becomes a T.
template <class T>
struct Field {
  const char* key;
  void (*read)(const Input& value, T& into);
};

// Reads a map by its table of keys; each mistake is told and the other keys are read all the same.
template <class T>
void ReadFields(const Input& map, std::span<const Field<T>> fields, T& into) {
  map.ForEachEntry(SIZE_MAX, [&](const std::string& key, const Input& value) {
    for (const Field<T>& field : fields) {
      if (key == field.key) {
        field.read(value, into);
        return;
      }
    }
    std::vector<std::string> known;
    for (const Field<T>& field : fields) known.emplace_back(field.key);
    value.FailUnknownKey(map, key, known);
  });
}

}  // namespace pando::controller
