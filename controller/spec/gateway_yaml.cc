// A gateway as YAML that ParseSpecs reads back to the same message.
#include <yaml-cpp/yaml.h>

#include <string>

#include "controller/spec/parse.h"
#include "controller/spec/quantities.h"

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

void EmitDuration(YAML::Emitter& out, const char* key, uint32_t millis) {
  if (millis > 0) out << Key << key << Value << FormatDuration(millis);
}

void EmitTls(YAML::Emitter& out, const v1::GatewayTls& tls) {
  out << Key << "tls" << Value << BeginMap << Key << "certificates" << Value << BeginSeq;
  for (const v1::GatewayTls::Certificate& certificate : tls.certificates()) {
    out << BeginMap << Key << "cert" << Value << DoubleQuoted << certificate.cert();
    out << Key << "key" << Value << DoubleQuoted << certificate.key() << EndMap;
  }
  out << EndSeq << Key << "min_version" << Value << DoubleQuoted
      << (tls.min_version() == v1::GatewayTls::TLS_1_3 ? "1.3" : "1.2");
  if (tls.has_redirect()) {
    out << Key << "redirect" << Value << BeginMap;
    out << Key << "from" << Value << tls.redirect().from();
    out << Key << "to" << Value << tls.redirect().to() << EndMap;
  }
  out << EndMap;
}

void EmitLimits(YAML::Emitter& out, const v1::GatewayLimits& limits) {
  out << Key << "limits" << Value << BeginMap;
  if (limits.request_line_bytes() > 0) {
    out << Key << "request_line" << Value << FormatSize(limits.request_line_bytes());
  }
  if (limits.head_bytes() > 0) {
    out << Key << "head" << Value << FormatSize(limits.head_bytes());
  }
  if (limits.fields() > 0) out << Key << "fields" << Value << limits.fields();
  out << EndMap;
}

void EmitForwarded(YAML::Emitter& out, const v1::Forwarded& forwarded) {
  out << Key << "forwarded" << Value << BeginMap;
  if (forwarded.mode() != v1::Forwarded::MODE_UNSPECIFIED) {
    out << Key << "mode" << Value
        << (forwarded.mode() == v1::Forwarded::APPEND ? "append" : "replace");
  }
  if (!forwarded.trusted().empty()) {
    out << Key << "trusted" << Value << Flow << BeginSeq;
    for (const std::string& range : forwarded.trusted()) out << DoubleQuoted << range;
    out << EndSeq;
  }
  if (forwarded.rfc7239()) out << Key << "rfc7239" << Value << true;
  if (forwarded.pass_traces_only()) out << Key << "traces" << Value << "pass";
  out << EndMap;
}

}  // namespace

std::string ToYaml(const v1::Gateway& gateway) {
  YAML::Emitter out;
  out << BeginMap << Key << "kind" << Value << "Gateway";
  out << Key << "name" << Value << gateway.name();
  out << Key << "address" << Value << DoubleQuoted << gateway.address();
  out << Key << "port" << Value << gateway.port();
  if (gateway.has_tls()) EmitTls(out, gateway.tls());
  if (gateway.has_timeouts()) {
    out << Key << "timeouts" << Value << BeginMap;
    EmitDuration(out, "head", gateway.timeouts().head_ms());
    EmitDuration(out, "idle", gateway.timeouts().idle_ms());
    EmitDuration(out, "stream_idle", gateway.timeouts().stream_idle_ms());
    out << EndMap;
  }
  if (gateway.has_limits()) EmitLimits(out, gateway.limits());
  if (gateway.proxy_protocol()) out << Key << "proxy_protocol" << Value << true;
  if (gateway.has_forwarded()) EmitForwarded(out, gateway.forwarded());
  out << EndMap;
  return std::string(out.c_str()) + "\n";
}

}  // namespace pando::controller
