// YAML to spec messages, strictly: an unknown key, a wrong type or a value out of range is an error
// that names file, line, field, value and what is allowed:
//   app.yaml:7: health.interval: "1x" is not a duration (allowed: 10ms to 1h, for example 500ms)
// The document's kind is "App" (default) or "Gateway". A file may hold several documents.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "pando/v1/spec.pb.h"

namespace pando::controller {

namespace v1 = ::pando::v1;

struct ParseOptions {
  std::string filename = "app.yaml";  // for messages
  std::string base_dir;               // absolute: relative `dir`s are resolved against it
  std::string file_dir;               // absolute: `dir` of an app that names none
};

// Where a document is written, for those who find fault with it later.
struct SpecOrigin {
  std::string filename;
  int line = 1;
  std::map<std::string, int> field_lines;  // by path: "route.hosts"

  // "app.yaml:7: route.hosts: <text>"; the line is that of the field or the nearest one around it.
  std::string Complain(std::string_view field, std::string_view text) const;
};

struct ParsedSpecs {
  std::vector<v1::AppSpec> apps;  // every field filled in, `replicas` only when written
  std::vector<v1::Gateway> gateways;
  std::vector<SpecOrigin> app_origins, gateway_origins;  // of each, in the same order
};

struct SpecFile {
  std::string yaml;
  ParseOptions options;
};

// kInvalidArgument with one line per mistake (all mistakes are told, up to 20). No name may be in
// two documents of one kind, in whatever file.
absl::StatusOr<ParsedSpecs> ParseSpecs(const std::vector<SpecFile>& files);
absl::StatusOr<ParsedSpecs> ParseSpecs(const std::string& yaml, const ParseOptions& options);

// The spec as YAML that ParseSpecs reads back to the same message.
std::string ToYaml(const v1::AppSpec& spec);
std::string ToYaml(const v1::Gateway& gateway);

}  // namespace pando::controller
