#include "controller/spec/diff.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controller/spec/mistakes.h"
#include "controller/spec/parse.h"
#include "controller/spec/yaml_reader.h"

namespace pando::controller {
namespace {

using Fields = std::map<std::string, std::string>;

// Quoted only where it could be read as something else.
std::string ShownText(const YamlNode& node) {
  const bool plain =
      !node.text.empty() && node.text.find_first_of(" ,[]{}\"\n\t") == std::string::npos;
  return plain ? node.text : absl::StrCat("\"", node.text, "\"");
}

bool IsListOfTexts(const YamlNode& node) {
  for (const YamlPtr& item : node.items) {
    if (item->kind != YamlNode::Kind::kText) return false;
  }
  return true;
}

void Flatten(const YamlNode& node, const std::string& path, Fields& into) {
  switch (node.kind) {
    case YamlNode::Kind::kNothing:
      break;
    case YamlNode::Kind::kText:
      into[path] = node.text.empty() ? "\"\"" : node.text;
      break;
    case YamlNode::Kind::kList:
      if (IsListOfTexts(node)) {
        const auto add = [](std::string* out, const YamlPtr& item) { *out += ShownText(*item); };
        into[path] = absl::StrCat("[", absl::StrJoin(node.items, ", ", add), "]");
        break;
      }
      for (size_t i = 0; i < node.items.size(); ++i) {
        Flatten(*node.items[i], absl::StrCat(path, "[", i, "]"), into);
      }
      break;
    case YamlNode::Kind::kMap:
      for (const YamlNode::Entry& entry : node.entries) {
        Flatten(*entry.value,
                path.empty() ? entry.key->text : absl::StrCat(path, ".", entry.key->text), into);
      }
      break;
  }
}

Fields FieldsOf(const std::string& yaml) {
  Mistakes mistakes("spec");
  Fields fields;
  for (const YamlPtr& document : ReadYaml(yaml, mistakes)) Flatten(*document, "", fields);
  // Control characters by the hundred thousand: longer when written out than the reader takes.
  if (!mistakes.empty()) fields = {{"spec", absl::StrCat(yaml.size(), " bytes")}};
  fields.erase("kind");
  fields.erase("name");
  return fields;
}

std::vector<FieldDifference> Diff(const Fields& before, const Fields& after) {
  std::map<std::string, FieldDifference> differences;
  for (const auto& [field, value] : before) differences[field].old_value = value;
  for (const auto& [field, value] : after) differences[field].new_value = value;
  std::vector<FieldDifference> found;
  for (auto& [field, difference] : differences) {
    if (difference.old_value == difference.new_value) continue;
    difference.field = field;
    found.push_back(std::move(difference));
  }
  return found;
}

Fields FieldsOf(v1::AppSpec spec) {
  spec.clear_replicas();
  return FieldsOf(ToYaml(spec));
}

Fields FieldsOf(const v1::Gateway& gateway) {
  return gateway.port() == 0 ? Fields() : FieldsOf(ToYaml(gateway));
}

}  // namespace

std::vector<FieldDifference> DiffSpecs(const v1::AppSpec& before, const v1::AppSpec& after) {
  return Diff(FieldsOf(before), FieldsOf(after));
}

std::vector<FieldDifference> DiffGateways(const v1::Gateway& before, const v1::Gateway& after) {
  return Diff(FieldsOf(before), FieldsOf(after));
}

}  // namespace pando::controller
