#include "controller/spec/parse.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <span>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "controller/core/label_rule.h"
#include "controller/spec/balancing.h"
#include "controller/spec/choices.h"
#include "controller/spec/health.h"
#include "controller/spec/input.h"
#include "controller/spec/isolation.h"
#include "controller/spec/mistakes.h"
#include "controller/spec/readers.h"
#include "controller/spec/resources.h"
#include "controller/spec/source.h"
#include "controller/spec/strategy.h"
#include "controller/spec/syntax.h"
#include "controller/spec/yaml_reader.h"

namespace pando::controller {
namespace {

constexpr uint32_t kMaxReplicas = 10'000;
constexpr size_t kMaxListItems = 1'000;
constexpr size_t kMaxCertificates = 1'000;
constexpr size_t kMaxSpread = 4;
// Of command and env together: what exec() takes, with room to spare; aliases can make little text
// into much.
constexpr size_t kMaxProcessBytes = 256 << 10;
constexpr uint64_t kMaxBody = 1ull << 50;
constexpr uint32_t kKib = 1 << 10;

// ---- the parts of an app ----

void ReadHosts(const Input& value, v1::Route& into) {
  std::vector<std::string> hosts;
  const bool is_list = value.ForEachItem(kMaxListItems, [&](const Input& item) {
    std::optional<std::string> host = item.Text();
    if (!host) return;
    absl::AsciiStrToLower(&*host);
    if (const Complaint complaint = CheckHost(*host)) {
      item.Fail(*complaint);
    } else if (std::find(hosts.begin(), hosts.end(), *host) != hosts.end()) {
      item.Fail(absl::StrCat(Quoted(*host), " is there twice"));
    } else {
      hosts.push_back(*std::move(host));
    }
  });
  if (is_list) into.mutable_hosts()->Assign(hosts.begin(), hosts.end());
}

void ReadRoutePath(const Input& value, v1::Route& into) {
  std::optional<std::string> path = value.Text(CheckRoutePath);
  if (!path) return;
  // Prefixes match whole segments, so /api/ and /api are the same.
  if (path->size() > 1 && path->back() == '/') path->pop_back();
  into.set_path(*std::move(path));
}

void ReadSignal(const Input& value, v1::Stop& into) {
  if (const auto chosen = value.OneOf(SignalNames())) into.set_signal(SignalNames()[*chosen]);
}

void ReadLabels(const Input& value, v1::Placement& into) {
  ReadTextMap(value, CheckLabelName, CheckLabelValue, *into.mutable_labels());
}

void ReadConstraints(const Input& value, v1::Placement& into) {
  value.ForEachItem(kMaxListItems, [&](const Input& item) {
    std::optional<std::string> text = item.Text();
    if (!text) return;
    if (const auto rule = ParseLabelRule(*text); !rule.ok()) {
      item.Fail(std::string_view(rule.status().message().data(), rule.status().message().size()));
    } else {
      into.add_constraints(*std::move(text));
    }
  });
}

void ReadSpread(const Input& value, v1::Placement& into) {
  into.clear_spread();
  if (value.IsText() && value.node().text == "none") {
    into.add_spread("none");
    return;
  }
  const bool is_list = value.ForEachItem(kMaxSpread, [&](const Input& item) {
    std::optional<std::string> over = item.Text(CheckLabelName);
    if (!over) return;
    const auto& known = into.spread();
    if (std::find(known.begin(), known.end(), *over) != known.end()) {
      item.Fail(absl::StrCat(Quoted(*over), " is there twice"));
    } else if (!known.empty() && *known.rbegin() == "host") {
      item.Fail("comes after host (allowed: labels from wide to narrow, then host)");
    } else {
      into.add_spread(*std::move(over));
    }
  });
  if (!is_list) into.clear_spread();
}

constexpr Field<v1::Route> kRouteFields[] = {{"hosts", ReadHosts}, {"path", ReadRoutePath}};
constexpr Field<v1::Stop> kStopFields[] = {
    {"signal", ReadSignal},
    {"grace", ReadDuration<&v1::Stop::set_grace_ms, 0, kDay>},
    {"drain", ReadDuration<&v1::Stop::set_drain_ms, 0, kDay>},
    {"drain_tunnels", ReadDuration<&v1::Stop::set_drain_tunnels_ms, 0, kDay>},
};
constexpr Field<v1::Placement> kPlacementFields[] = {
    {"labels", ReadLabels},
    {"constraints", ReadConstraints},
    {"spread", ReadSpread},
    {"max_per_node", ReadWhole<&v1::Placement::set_max_per_node, 1, kMaxReplicas>},
};
constexpr Field<v1::Port> kPortFields[] = {
    {"fixed", ReadWhole<&v1::Port::set_fixed, 1, 65'535>},
};
constexpr Field<v1::Metrics> kMetricsFields[] = {
    {"path", ReadChecked<&v1::Metrics::mutable_path, CheckMetricsPath>},
};
constexpr Field<v1::Restart> kRestartFields[] = {
    {"backoff", ReadDuration<&v1::Restart::set_backoff_initial_ms, 10, kHour>},
    {"max_backoff", ReadDuration<&v1::Restart::set_backoff_max_ms, 10, kHour>},
    {"reset_after", ReadDuration<&v1::Restart::set_reset_after_ms, 100, kDay>},
};

constexpr Field<v1::RequestTimeouts> kTimeoutFields[] = {
    {"connect", ReadDuration<&v1::RequestTimeouts::set_connect_ms, 10, kHour>},
    {"first_byte", ReadDuration<&v1::RequestTimeouts::set_first_byte_ms, 10, kDay>},
    {"total", ReadDuration<&v1::RequestTimeouts::set_total_ms, 10, kDay>},
    {"per_try", ReadDuration<&v1::RequestTimeouts::set_per_try_ms, 10, kDay>},
};

void ReadTimeouts(const Input& value, v1::RequestTimeouts& into) {
  ReadFields<v1::RequestTimeouts>(value, kTimeoutFields, into);
  if (into.per_try_ms() == 0) return;
  // There would never be another try.
  if (into.first_byte_ms() > 0 && into.per_try_ms() >= into.first_byte_ms()) {
    value.Fail("per_try is not shorter than first_byte");
  }
  if (into.total_ms() > 0 && into.per_try_ms() >= into.total_ms()) {
    value.Fail("per_try is not shorter than total");
  }
}

void ReadBody(const Input& value, v1::RequestLimits& into) {
  if (const auto bytes = value.Size(1, kMaxBody)) into.set_body_bytes(*bytes);
}

constexpr Field<v1::RequestLimits> kLimitFields[] = {{"body", ReadBody}};

// ---- an app ----

struct AppDraft {
  v1::AppSpec spec;
  // Its form depends on `shell`, which may come later.
  std::optional<Input> command;
};

constexpr Field<AppDraft> kAppFields[] = {
    {"kind", [](const Input&, AppDraft&) {}},  // read before this table is chosen
    {"name",
     [](const Input& value, AppDraft& into) {
       ReadChecked<&v1::AppSpec::mutable_name, CheckName>(value, into.spec);
     }},
    {"command", [](const Input& value, AppDraft& into) { into.command.emplace(value); }},
    {"shell",
     [](const Input& value, AppDraft& into) {
       if (const auto shell = value.Bool()) into.spec.set_shell(*shell);
     }},
    {"dir",
     [](const Input& value, AppDraft& into) {
       std::optional<std::string> dir = value.Text();
       if (!dir) return;
       if (dir->empty()) {
         value.Fail("\"\" is not a directory");
       } else {
         into.spec.set_dir(*std::move(dir));
       }
     }},
    {"env",
     [](const Input& value, AppDraft& into) {
       ReadTextMap(value, CheckEnvName, Anything, *into.spec.mutable_env());
     }},
    {"env_files", [](const Input& value, AppDraft& into) { ReadEnvFiles(value, into.spec); }},
    {"port",
     [](const Input& value, AppDraft& into) {
       v1::Port& port = *into.spec.mutable_port();
       ReadFields<v1::Port>(value, kPortFields, port);
       if (value.node().kind == YamlNode::Kind::kMap && !value.Find("fixed")) {
         value.FailMissing("fixed", "the port the app has in its code, for example 8080");
       }
     }},
    {"replicas",
     [](const Input& value, AppDraft& into) {
       ReadWhole<&v1::AppSpec::set_replicas, 0, kMaxReplicas>(value, into.spec);
     }},
    {"health",
     [](const Input& value, AppDraft& into) { ReadHealth(value, *into.spec.mutable_health()); }},
    {"startup",
     [](const Input& value, AppDraft& into) { ReadStartup(value, *into.spec.mutable_startup()); }},
    {"liveness", [](const Input& value,
                    AppDraft& into) { ReadLiveness(value, *into.spec.mutable_liveness()); }},
    {"route",
     [](const Input& value, AppDraft& into) {
       ReadFields<v1::Route>(value, kRouteFields, *into.spec.mutable_route());
     }},
    {"load_balancing",
     [](const Input& value, AppDraft& into) { ReadLoadBalancing(value, into.spec); }},
    {"concurrency", [](const Input& value, AppDraft& into) { ReadConcurrency(value, into.spec); }},
    {"queue", [](const Input& value, AppDraft& into) { ReadQueue(value, into.spec); }},
    {"outliers", [](const Input& value, AppDraft& into) { ReadOutliers(value, into.spec); }},
    {"stop",
     [](const Input& value, AppDraft& into) {
       ReadFields<v1::Stop>(value, kStopFields, *into.spec.mutable_stop());
     }},
    {"resources", [](const Input& value,
                     AppDraft& into) { ReadResources(value, *into.spec.mutable_resources()); }},
    {"isolation", [](const Input& value, AppDraft& into) { ReadIsolation(value, into.spec); }},
    {"placement",
     [](const Input& value, AppDraft& into) {
       ReadFields<v1::Placement>(value, kPlacementFields, *into.spec.mutable_placement());
     }},
    {"timeouts", [](const Input& value,
                    AppDraft& into) { ReadTimeouts(value, *into.spec.mutable_timeouts()); }},
    {"limits",
     [](const Input& value, AppDraft& into) {
       ReadFields<v1::RequestLimits>(value, kLimitFields, *into.spec.mutable_limits());
     }},
    {"restart",
     [](const Input& value, AppDraft& into) {
       v1::Restart& restart = *into.spec.mutable_restart();
       ReadFields<v1::Restart>(value, kRestartFields, restart);
       if (restart.backoff_max_ms() < restart.backoff_initial_ms()) {
         value.Fail("max_backoff is shorter than backoff");
       }
     }},
    {"source",
     [](const Input& value, AppDraft& into) { ReadSource(value, *into.spec.mutable_source()); }},
    {"metrics",
     [](const Input& value, AppDraft& into) {
       v1::Metrics& metrics = *into.spec.mutable_metrics();
       ReadFields<v1::Metrics>(value, kMetricsFields, metrics);
       if (!value.Find("path")) {
         value.FailMissing("path", "where Prometheus asks, for example /metrics");
       }
     }},
    {"strategy", [](const Input& value,
                    AppDraft& into) { ReadStrategy(value, *into.spec.mutable_strategy()); }},
};

v1::AppSpec DefaultApp() {
  v1::AppSpec spec;
  *spec.mutable_health() = DefaultHealth();
  spec.mutable_route()->add_hosts("*");
  spec.mutable_route()->set_path("/");
  spec.mutable_load_balancing()->set_policy(v1::LoadBalancing::LEAST_REQUEST);
  spec.mutable_stop()->set_signal("SIGTERM");
  spec.mutable_stop()->set_grace_ms(10 * kSecond);
  spec.mutable_stop()->set_drain_ms(30 * kSecond);
  spec.mutable_stop()->set_drain_tunnels_ms(300 * kSecond);
  spec.mutable_resources();
  spec.mutable_placement()->add_spread("zone");
  spec.mutable_placement()->add_spread("host");
  spec.mutable_timeouts()->set_connect_ms(kSecond);
  spec.mutable_limits();
  spec.mutable_restart()->set_backoff_initial_ms(100);
  spec.mutable_restart()->set_backoff_max_ms(30 * kSecond);
  spec.mutable_restart()->set_reset_after_ms(10 * kSecond);
  *spec.mutable_strategy() = DefaultStrategy();
  return spec;
}

void ReadCommand(const Input& value, v1::AppSpec& into) {
  if (value.IsText()) {
    if (!into.shell()) {
      value.Fail(absl::StrCat(Quoted(value.node().text),
                              " is one text (allowed: a list, for example [node, server.js]; or "
                              "add shell: true)"));
    } else if (value.node().text.empty()) {
      value.Fail("is empty");
    } else {
      into.add_command(value.node().text);
    }
    return;
  }
  value.ForEachItem(kMaxListItems, [&](const Input& item) {
    if (auto word = item.Text()) into.add_command(*std::move(word));
  });
  if (into.command_size() > 0 && into.command(0).empty()) {
    value.Fail("the program to start is \"\"");
  }
}

std::string ResolveDir(const std::string& dir, const ParseOptions& options) {
  namespace fs = std::filesystem;
  fs::path path = dir.empty() ? fs::path(options.file_dir) : fs::path(options.base_dir) / dir;
  // A document from nowhere is as a daemon is: at the root.
  path = (fs::path("/") / path).lexically_normal();
  std::string text = path.string();
  if (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

size_t ProcessBytes(const v1::AppSpec& spec) {
  size_t bytes = 0;
  for (const std::string& word : spec.command()) bytes += word.size() + 1;
  for (const auto& [name, value] : spec.env()) bytes += name.size() + value.size() + 2;
  return bytes;
}

v1::AppSpec ReadApp(const Input& document, const ParseOptions& options) {
  AppDraft draft{DefaultApp(), std::nullopt};
  ReadFields<AppDraft>(document, kAppFields, draft);
  v1::AppSpec& spec = draft.spec;
  if (!document.Find("name")) document.FailMissing("name", "a name for the app, for example web");
  if (draft.command) {
    ReadCommand(*draft.command, spec);
  } else {
    document.FailMissing("command", "a list, for example [node, server.js]");
  }
  if (!spec.has_source()) {
    spec.set_dir(ResolveDir(spec.dir(), options));
  } else if (const auto inside = ResolveDirInSource(spec.dir())) {
    spec.set_dir(*inside);
  } else {
    document.Fail(absl::StrCat("dir: ", Quoted(spec.dir()),
                               " is not inside of the source (allowed: a path relative to it)"));
  }
  if (ProcessBytes(spec) > kMaxProcessBytes) {
    document.Fail(
        absl::StrCat("command and env together are larger than ", kMaxProcessBytes, " bytes"));
  }
  return std::move(spec);
}

// ---- a gateway ----

void ReadPort(const Input& value, v1::Gateway& into) {
  ReadWhole<&v1::Gateway::set_port, 1, 65'535>(value, into);
}

constexpr Field<v1::GatewayTls::Certificate> kCertificateFields[] = {
    {"cert", ReadChecked<&v1::GatewayTls::Certificate::mutable_cert, CheckAbsolutePath>},
    {"key", ReadChecked<&v1::GatewayTls::Certificate::mutable_key, CheckAbsolutePath>},
};

void ReadCertificates(const Input& value, v1::GatewayTls& into) {
  value.ForEachItem(kMaxCertificates, [&](const Input& item) {
    ReadFields<v1::GatewayTls::Certificate>(item, kCertificateFields, *into.add_certificates());
    if (item.node().kind != YamlNode::Kind::kMap) return;
    if (!item.Find("cert")) item.FailMissing("cert", "a PEM file: the certificate and its chain");
    if (!item.Find("key")) item.FailMissing("key", "a PEM file: the certificate's private key");
  });
}

void ReadMinVersion(const Input& value, v1::GatewayTls& into) {
  // "1.2" is a number to YAML, whether or not it is quoted.
  const std::optional<std::string> text = value.Text();
  if (!text) return;
  if (*text == "1.2") {
    into.set_min_version(v1::GatewayTls::TLS_1_2);
  } else if (*text == "1.3") {
    into.set_min_version(v1::GatewayTls::TLS_1_3);
  } else {
    value.Fail(absl::StrCat(Quoted(*text), " is not a version of TLS (allowed: 1.2, 1.3)"));
  }
}

using Redirect = v1::GatewayTls::Redirect;
constexpr Field<Redirect> kRedirectFields[] = {
    {"from", ReadWhole<&Redirect::set_from, 1, 65'535, Redirect>},
    {"to", ReadWhole<&Redirect::set_to, 1, 65'535, Redirect>},
};

void ReadRedirect(const Input& value, v1::GatewayTls& into) {
  if (value.IsText()) {  // the port alone
    ReadWhole<&Redirect::set_from, 1, 65'535>(value, *into.mutable_redirect());
    return;
  }
  ReadFields<Redirect>(value, kRedirectFields, *into.mutable_redirect());
  if (value.node().kind == YamlNode::Kind::kMap && !value.Find("from")) {
    value.FailMissing("from", "the port of plain HTTP, for example 80");
  }
}

constexpr Field<v1::GatewayTls> kGatewayTlsFields[] = {
    {"certificates", ReadCertificates},
    {"min_version", ReadMinVersion},
    {"redirect", ReadRedirect},
};

void ReadGatewayTls(const Input& value, v1::Gateway& into) {
  v1::GatewayTls& tls = *into.mutable_tls();
  tls.set_min_version(v1::GatewayTls::TLS_1_2);
  ReadFields<v1::GatewayTls>(value, kGatewayTlsFields, tls);
  if (value.node().kind == YamlNode::Kind::kMap && !value.Find("certificates")) {
    value.FailMissing("certificates",
                      "a list, for example [{cert: /etc/tls/a.pem, key: /etc/tls/a.key}]");
  }
}

void ReadRequestLine(const Input& value, v1::GatewayLimits& into) {
  if (const auto bytes = value.Size(128, 1'024 * kKib)) {
    into.set_request_line_bytes(static_cast<uint32_t>(*bytes));
  }
}

void ReadHeadSize(const Input& value, v1::GatewayLimits& into) {
  const auto bytes = value.Size(kKib, 8'192 * kKib);
  if (!bytes) return;
  // The proxies are told in KiB.
  if (*bytes % kKib != 0) {
    value.Fail(absl::StrCat(*bytes, " bytes are not whole KiB (allowed: 1Ki to 8Mi)"));
  } else {
    into.set_head_bytes(static_cast<uint32_t>(*bytes));
  }
}

constexpr Field<v1::GatewayTimeouts> kGatewayTimeoutFields[] = {
    {"head", ReadDuration<&v1::GatewayTimeouts::set_head_ms, 10, kHour>},
    {"idle", ReadDuration<&v1::GatewayTimeouts::set_idle_ms, 10, kDay>},
    {"stream_idle", ReadDuration<&v1::GatewayTimeouts::set_stream_idle_ms, 10, kDay>},
};
constexpr Field<v1::GatewayLimits> kGatewayLimitFields[] = {
    {"request_line", ReadRequestLine},
    {"head", ReadHeadSize},
    {"fields", ReadWhole<&v1::GatewayLimits::set_fields, 1, 10'000>},
};
constexpr Field<v1::Forwarded> kForwardedFields[] = {
    {"mode",
     [](const Input& value, v1::Forwarded& into) {
       const auto chosen = value.OneOf({"replace", "append"});
       if (chosen) into.set_mode(*chosen == 0 ? v1::Forwarded::REPLACE : v1::Forwarded::APPEND);
     }},
    {"trusted",
     [](const Input& value, v1::Forwarded& into) {
       into.clear_trusted();
       value.ForEachItem(kMaxListItems, [&](const Input& item) {
         if (auto range = item.Text(CheckAddressRange)) into.add_trusted(*std::move(range));
       });
     }},
    {"rfc7239",
     [](const Input& value, v1::Forwarded& into) {
       if (const auto wanted = value.Bool()) into.set_rfc7239(*wanted);
     }},
    {"traces",
     [](const Input& value, v1::Forwarded& into) {
       if (const auto chosen = value.OneOf({"start", "pass"})) {
         into.set_pass_traces_only(*chosen == 1);
       }
     }},
};

constexpr Field<v1::Gateway> kGatewayFields[] = {
    {"kind", [](const Input&, v1::Gateway&) {}},  // read before this table is chosen
    {"name", ReadChecked<&v1::Gateway::mutable_name, CheckName>},
    {"address",
     [](const Input& value, v1::Gateway& into) {
       if (const auto text = value.Text(CheckAddress)) into.set_address(CanonicalAddress(*text));
     }},
    {"port", ReadPort},
    {"tls", ReadGatewayTls},
    {"timeouts",
     [](const Input& value, v1::Gateway& into) {
       ReadFields<v1::GatewayTimeouts>(value, kGatewayTimeoutFields, *into.mutable_timeouts());
     }},
    {"limits",
     [](const Input& value, v1::Gateway& into) {
       ReadFields<v1::GatewayLimits>(value, kGatewayLimitFields, *into.mutable_limits());
     }},
    {"proxy_protocol",
     [](const Input& value, v1::Gateway& into) {
       if (const auto wanted = value.Bool()) into.set_proxy_protocol(*wanted);
     }},
    {"forwarded",
     [](const Input& value, v1::Gateway& into) {
       ReadFields<v1::Forwarded>(value, kForwardedFields, *into.mutable_forwarded());
     }},
};

v1::Gateway ReadGateway(const Input& document) {
  v1::Gateway gateway;
  gateway.set_name("default");
  gateway.set_address("0.0.0.0");
  gateway.set_port(8080);
  ReadFields<v1::Gateway>(document, kGatewayFields, gateway);
  if (gateway.has_tls()) {
    if (!document.Find("port")) gateway.set_port(8443);
    if (gateway.tls().has_redirect() && gateway.tls().redirect().to() == 0) {
      gateway.mutable_tls()->mutable_redirect()->set_to(gateway.port());
    }
    if (gateway.tls().redirect().from() == gateway.port()) {
      document.Fail(absl::StrCat("tls.redirect: ", gateway.port(),
                                 " is the port of the gateway itself (choose another)"));
    }
  }
  return gateway;
}

// ---- a file ----

enum class DocumentKind { kApp, kGateway, kUnknown };

DocumentKind ReadKind(const Input& document) {
  const std::optional<Input> kind = document.Find("kind");
  if (!kind) return DocumentKind::kApp;
  const std::optional<size_t> chosen = kind->OneOf({"App", "Gateway"});
  if (!chosen) return DocumentKind::kUnknown;
  return *chosen == 0 ? DocumentKind::kApp : DocumentKind::kGateway;
}

// Two documents of one kind must not have one name.
class SeenNames {
 public:
  void Check(const std::string& name, const std::string& filename, const Input& document) {
    if (name.empty()) return;
    const auto [first, is_new] = places_.try_emplace(name, Place{filename, document.line()});
    if (is_new) return;
    const Place& place = first->second;
    const std::string line = place.filename == filename
                                 ? absl::StrCat("of line ", place.line)
                                 : absl::StrCat(place.filename, ":", place.line);
    document.Fail(absl::StrCat("name: ", Quoted(name), " is taken (by the document ", line, ")"));
  }

 private:
  struct Place {
    std::string filename;
    int line;
  };
  std::map<std::string, Place> places_;
};

// Of the keys of maps; lists are one field.
void CollectLines(const YamlNode& node, const std::string& path, std::map<std::string, int>& into) {
  for (const YamlNode::Entry& entry : node.entries) {
    if (entry.key->kind != YamlNode::Kind::kText) continue;
    const std::string field =
        path.empty() ? entry.key->text : absl::StrCat(path, ".", entry.key->text);
    into[field] = entry.key->line;
    if (entry.value->kind == YamlNode::Kind::kMap) CollectLines(*entry.value, field, into);
  }
}

SpecOrigin OriginOf(const YamlNode& root, const std::string& filename) {
  SpecOrigin origin{filename, root.line, {}};
  // One level is enough but for what another app or gateway may clash with.
  for (const YamlNode::Entry& entry : root.entries) {
    if (entry.key->kind != YamlNode::Kind::kText) continue;
    origin.field_lines[entry.key->text] = entry.key->line;
    const std::string& key = entry.key->text;
    if (key == "route" || key == "tls" || key == "placement" || key == "resources") {
      CollectLines(*entry.value, key, origin.field_lines);
    }
  }
  return origin;
}

class FileReader {
 public:
  explicit FileReader(Mistakes& mistakes) : mistakes_(mistakes) {}

  void Read(const SpecFile& file) {
    const std::vector<YamlPtr> documents = ReadYaml(file.yaml, mistakes_);
    for (const YamlPtr& root : documents) ReadDocument(*root, file.options);
    if (documents.empty() && mistakes_.empty()) {
      mistakes_.Add(1, "", "the file is empty (an app needs at least name and command)");
    }
  }
  ParsedSpecs Take() { return std::move(specs_); }

 private:
  void ReadDocument(const YamlNode& root, const ParseOptions& options) {
    const Input document(root, "", root.line, mistakes_);
    if (root.kind != YamlNode::Kind::kMap) {
      document.Fail("a document must be a map with at least name and command");
      return;
    }
    switch (ReadKind(document)) {
      case DocumentKind::kApp:
        specs_.apps.push_back(ReadApp(document, options));
        specs_.app_origins.push_back(OriginOf(root, options.filename));
        apps_.Check(specs_.apps.back().name(), options.filename, document);
        break;
      case DocumentKind::kGateway:
        specs_.gateways.push_back(ReadGateway(document));
        specs_.gateway_origins.push_back(OriginOf(root, options.filename));
        gateways_.Check(specs_.gateways.back().name(), options.filename, document);
        break;
      case DocumentKind::kUnknown:
        break;
    }
  }

  Mistakes& mistakes_;
  ParsedSpecs specs_;
  SeenNames apps_, gateways_;
};

}  // namespace

std::string SpecOrigin::Complain(std::string_view field, std::string_view text) const {
  int at = line;
  for (std::string path(field); !path.empty();) {
    if (const auto found = field_lines.find(path); found != field_lines.end()) {
      at = found->second;
      break;
    }
    const size_t dot = path.rfind('.');
    path.resize(dot == std::string::npos ? 0 : dot);
  }
  std::string complaint = absl::StrCat(filename, ":", at, ": ");
  if (!field.empty()) complaint.append(field).append(": ");
  return complaint.append(text);
}

absl::StatusOr<ParsedSpecs> ParseSpecs(const std::vector<SpecFile>& files) {
  Mistakes mistakes(files.empty() ? "" : files.front().options.filename);
  FileReader reader(mistakes);
  for (const SpecFile& file : files) {
    if (&file != &files.front()) mistakes.BeginFile(file.options.filename);
    reader.Read(file);
  }
  if (!mistakes.empty()) return mistakes.ToStatus();
  return reader.Take();
}

absl::StatusOr<ParsedSpecs> ParseSpecs(const std::string& yaml, const ParseOptions& options) {
  return ParseSpecs({SpecFile{yaml, options}});
}

}  // namespace pando::controller
