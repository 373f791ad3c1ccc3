// Machine-readable output: compact JSON is composed from protobuf messages (protobuf's own JSON
// mapping: fields keep their proto names, defaults are printed, 64-bit numbers are strings), then
// shown as it is, indented, or as YAML of the same structure.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pando::ctl {

std::string ToJson(const google::protobuf::Message& message);
std::string JsonString(std::string_view text);
std::string JsonArray(const std::vector<std::string>& items);

template <class Messages>
std::string ToJsonArray(const Messages& messages) {
  std::vector<std::string> items;
  for (const auto& message : messages) items.push_back(ToJson(message));
  return JsonArray(items);
}

class JsonObject {
 public:
  JsonObject& Raw(std::string_view name, std::string_view json);
  JsonObject& Text(std::string_view name, std::string_view text);
  JsonObject& Number(std::string_view name, uint64_t value);
  JsonObject& Bool(std::string_view name, bool value);
  std::string Str() const { return "{" + members_ + "}"; }

 private:
  std::string members_;
};

// Two spaces a level, members in the order given. `json` must be valid and compact.
std::string IndentJson(std::string_view json);
// Without the "---" line; strings that would read as something else are quoted.
std::string JsonToYaml(const std::string& json);

}  // namespace pando::ctl
