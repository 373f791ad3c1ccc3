// YAML to spec messages, strictly: an unknown key, a wrong type or a value out of range is an error
// that names file, line, field, value and what is allowed:
//   app.yaml:7: health.interval: "1x" is not a duration (allowed: 10ms to 1h, for example 500ms)
// The document's kind is "App" (default) or "Gateway". A file may hold several documents.
#pragma once

#include <string>
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

struct ParsedSpecs {
  std::vector<v1::AppSpec> apps;  // every field filled in, `replicas` only when written
  std::vector<v1::Gateway> gateways;
};

// kInvalidArgument with one line per mistake (all mistakes of a file are told, up to 20).
absl::StatusOr<ParsedSpecs> ParseSpecs(const std::string& yaml, const ParseOptions& options);

// The spec as YAML that ParseSpecs reads back to the same message.
std::string ToYaml(const v1::AppSpec& spec);

}  // namespace pando::controller
