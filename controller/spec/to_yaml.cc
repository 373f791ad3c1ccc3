// A spec as YAML, every field written out, in the order of the documentation.
#include <yaml-cpp/emitter.h>
#include <yaml-cpp/emittermanip.h>

#include <map>
#include <string>

#include "artifact/core/source_name.h"
#include "controller/spec/balancing.h"
#include "controller/spec/health.h"
#include "controller/spec/isolation.h"
#include "controller/spec/parse.h"
#include "controller/spec/quantities.h"
#include "controller/spec/resources.h"
#include "controller/spec/strategy.h"

namespace pando::controller {
namespace {

using YAML::BeginMap;
using YAML::BeginSeq;
using YAML::DoubleQuoted;
using YAML::EndMap;
using YAML::EndSeq;
using YAML::Flow;
using YAML::Key;
using YAML::Value;

// Texts are quoted, so that "true", "5" and "~" stay texts.
void EmitTexts(YAML::Emitter& out, const google::protobuf::RepeatedPtrField<std::string>& texts) {
  out << Flow << BeginSeq;
  for (const std::string& text : texts) out << DoubleQuoted << text;
  out << EndSeq;
}

void EmitMap(YAML::Emitter& out, const google::protobuf::Map<std::string, std::string>& map) {
  out << BeginMap;
  for (const auto& [key, value] : std::map<std::string, std::string>(map.begin(), map.end())) {
    out << Key << DoubleQuoted << key << Value << DoubleQuoted << value;
  }
  out << EndMap;
}

void EmitSource(YAML::Emitter& out, const v1::Source& source) {
  out << BeginMap;
  out << Key << "dir" << Value << DoubleQuoted
      << ToText(artifact::SourceName{source.dir(), source.digest()});
  if (source.install_shell()) {
    out << Key << "install" << Value << DoubleQuoted << source.install(0);
  } else if (!source.install().empty()) {
    out << Key << "install" << Value;
    EmitTexts(out, source.install());
  }
  out << Key << "install_timeout" << Value << FormatDuration(source.install_timeout_ms());
  out << EndMap;
}

void EmitPlacement(YAML::Emitter& out, const v1::Placement& placement) {
  // A record of an older version says nothing of it: the defaults.
  if (placement.spread().empty() && placement.labels().empty()) return;
  out << Key << "placement" << Value << BeginMap;
  if (!placement.labels().empty()) {
    out << Key << "labels" << Value;
    EmitMap(out, placement.labels());
  }
  if (!placement.constraints().empty()) {
    out << Key << "constraints" << Value;
    EmitTexts(out, placement.constraints());
  }
  if (placement.spread_size() == 1 && placement.spread(0) == "none") {
    out << Key << "spread" << Value << "none";
  } else if (!placement.spread().empty()) {
    out << Key << "spread" << Value;
    EmitTexts(out, placement.spread());
  }
  if (placement.max_per_node() > 0) {
    out << Key << "max_per_node" << Value << placement.max_per_node();
  }
  out << EndMap;
}

}  // namespace

std::string ToYaml(const v1::AppSpec& spec) {
  YAML::Emitter out;
  out << BeginMap;
  out << Key << "name" << Value << spec.name();
  out << Key << "command" << Value;
  EmitTexts(out, spec.command());
  if (spec.shell()) out << Key << "shell" << Value << true;
  if (spec.has_source()) {
    out << Key << "source" << Value;
    EmitSource(out, spec.source());
  }
  // In a source, "" is the source itself.
  if (!spec.dir().empty()) out << Key << "dir" << Value << DoubleQuoted << spec.dir();
  if (!spec.env().empty()) {
    out << Key << "env" << Value;
    EmitMap(out, spec.env());
  }
  EmitEnvFiles(out, spec);
  if (spec.has_port()) {
    out << Key << "port" << Value << BeginMap << Key << "fixed" << Value << spec.port().fixed()
        << EndMap;
  }
  if (spec.has_replicas()) out << Key << "replicas" << Value << spec.replicas();
  EmitHealth(out, spec);

  out << Key << "route" << Value << BeginMap << Key << "hosts" << Value;
  EmitTexts(out, spec.route().hosts());
  out << Key << "path" << Value << DoubleQuoted << spec.route().path() << EndMap;

  EmitBalancing(out, spec);

  out << Key << "stop" << Value << BeginMap;
  out << Key << "signal" << Value << spec.stop().signal();
  out << Key << "grace" << Value << FormatDuration(spec.stop().grace_ms());
  out << Key << "drain" << Value << FormatDuration(spec.stop().drain_ms());
  out << Key << "drain_tunnels" << Value << FormatDuration(spec.stop().drain_tunnels_ms())
      << EndMap;

  EmitResources(out, spec.resources());
  EmitIsolation(out, spec);
  EmitPlacement(out, spec.placement());

  out << Key << "timeouts" << Value << BeginMap;
  out << Key << "connect" << Value << FormatDuration(spec.timeouts().connect_ms());
  if (spec.timeouts().first_byte_ms() > 0) {
    out << Key << "first_byte" << Value << FormatDuration(spec.timeouts().first_byte_ms());
  }
  if (spec.timeouts().total_ms() > 0) {
    out << Key << "total" << Value << FormatDuration(spec.timeouts().total_ms());
  }
  if (spec.timeouts().per_try_ms() > 0) {
    out << Key << "per_try" << Value << FormatDuration(spec.timeouts().per_try_ms());
  }
  out << EndMap;
  if (spec.limits().body_bytes() > 0) {
    out << Key << "limits" << Value << BeginMap << Key << "body" << Value
        << FormatSize(spec.limits().body_bytes()) << EndMap;
  }
  if (spec.has_metrics()) {
    out << Key << "metrics" << Value << BeginMap << Key << "path" << Value << DoubleQuoted
        << spec.metrics().path() << EndMap;
  }

  out << Key << "restart" << Value << BeginMap;
  out << Key << "backoff" << Value << FormatDuration(spec.restart().backoff_initial_ms());
  out << Key << "max_backoff" << Value << FormatDuration(spec.restart().backoff_max_ms());
  out << Key << "reset_after" << Value << FormatDuration(spec.restart().reset_after_ms());
  out << EndMap;

  out << Key << "strategy" << Value;
  EmitStrategy(out, spec.strategy());
  out << EndMap;
  return std::string(out.c_str()) + "\n";
}

}  // namespace pando::controller
