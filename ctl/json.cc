#include "ctl/json.h"

#include <google/protobuf/util/json_util.h>
#include <yaml-cpp/yaml.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace pando::ctl {

namespace {

// Rewrites the styles JSON came with (flow, all quoted) into YAML for people.
void EmitBlock(const YAML::Node& node, YAML::Emitter& out) {
  switch (node.Type()) {
    case YAML::NodeType::Map:
      if (node.size() == 0) out << YAML::Flow;
      out << YAML::BeginMap;
      for (const auto& member : node) {
        out << YAML::Key << member.first.as<std::string>() << YAML::Value;
        EmitBlock(member.second, out);
      }
      out << YAML::EndMap;
      return;
    case YAML::NodeType::Sequence:
      if (node.size() == 0) out << YAML::Flow;
      out << YAML::BeginSeq;
      for (const auto& item : node) EmitBlock(item, out);
      out << YAML::EndSeq;
      return;
    case YAML::NodeType::Scalar: {
      const std::string text = node.as<std::string>();
      // JSON's strings carry the tag "!". One is quoted here when, bare, it is a number, a boolean
      // or null, or has characters a plain scalar is better without.
      const bool is_string = node.Tag() == "!";
      bool as_bool = false;
      double as_number = 0;
      const YAML::Node bare(text);
      const bool plain = !text.empty() && text != "null" && text != "~" &&
                         text.find_first_not_of(
                             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             "._-/ ") == std::string::npos &&
                         text.front() != ' ' && text.back() != ' ' && text.front() != '-' &&
                         !YAML::convert<bool>::decode(bare, as_bool) &&
                         !YAML::convert<double>::decode(bare, as_number);
      if (is_string && !plain) out << YAML::DoubleQuoted;
      out << text;
      return;
    }
    case YAML::NodeType::Null:
    case YAML::NodeType::Undefined:
      out << YAML::Null;
      return;
  }
}

}  // namespace

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  // Fails only for Any of an unknown type, which admin.proto does not have.
  if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok()) return "null";
  return json;
}

// Not protobuf's: that writes < and > as escapes, for pages of HTML.
std::string JsonString(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&out, "\\u%04x", c);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string JsonArray(const std::vector<std::string>& items) {
  return absl::StrCat("[", absl::StrJoin(items, ","), "]");
}

JsonObject& JsonObject::Raw(std::string_view name, std::string_view json) {
  if (!members_.empty()) members_ += ',';
  members_ += JsonString(name);
  members_ += ':';
  members_ += json;
  return *this;
}

JsonObject& JsonObject::Text(std::string_view name, std::string_view text) {
  return Raw(name, JsonString(text));
}

JsonObject& JsonObject::Number(std::string_view name, uint64_t value) {
  return Raw(name, absl::StrCat(value));
}

JsonObject& JsonObject::Bool(std::string_view name, bool value) {
  return Raw(name, value ? "true" : "false");
}

std::string IndentJson(std::string_view json) {
  std::string out;
  size_t depth = 0;
  const auto new_line = [&] { out.append("\n").append(depth * 2, ' '); };
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      out += c;
      if (c == '\\' && i + 1 < json.size()) {
        out += json[++i];
      } else if (c == '"') {
        in_string = false;
      }
      continue;
    }
    switch (c) {
      case '"':
        in_string = true;
        out += c;
        break;
      case '{':
      case '[':
        out += c;
        if (i + 1 < json.size() && (json[i + 1] == '}' || json[i + 1] == ']')) {
          out += json[++i];
        } else {
          ++depth;
          new_line();
        }
        break;
      case '}':
      case ']':
        --depth;
        new_line();
        out += c;
        break;
      case ',':
        out += c;
        new_line();
        break;
      case ':':
        out += ": ";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string JsonToYaml(const std::string& json) {
  YAML::Emitter out;
  EmitBlock(YAML::Load(json), out);
  return absl::StrCat(out.c_str(), "\n");
}

}  // namespace pando::ctl
