#include "controller/store/records.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <cstdlib>
#include <tuple>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/runtime/data_dir.h"

namespace pando::controller {
namespace {

constexpr char kClusterKey[] = "cluster";
constexpr char kAppPrefix[] = "app/";
constexpr char kRevisionPrefix[] = "rev/";
constexpr char kAssignmentPrefix[] = "asg/";
constexpr char kNodePrefix[] = "node/";
constexpr char kProxyPrefix[] = "proxy/";
constexpr char kGatewayPrefix[] = "gateway/";
constexpr char kEventPrefix[] = "event/";
constexpr char kAnswerPrefix[] = "answer/";

// Maps in key order: equal messages give equal bytes.
std::string Serialize(const google::protobuf::MessageLite& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

std::string RevisionKey(const AppId& app, uint32_t number) {
  return absl::StrCat(kRevisionPrefix, app.value, "/", number);
}

std::string EventKey(uint64_t sequence) {
  return absl::StrFormat("%s%020d", kEventPrefix, sequence);
}

std::string AnswerKey(uint64_t sequence) {
  return absl::StrFormat("%s%020d", kAnswerPrefix, sequence);
}

v1::AssignmentRecord::Wish ToRecord(Wish wish) {
  switch (wish) {
    case Wish::kRun:
      return v1::AssignmentRecord::RUN;
    case Wish::kDrain:
      return v1::AssignmentRecord::DRAIN;
    case Wish::kStop:
      return v1::AssignmentRecord::STOP;
  }
  std::abort();  // not an enumerator
}

absl::StatusOr<Wish> FromRecord(v1::AssignmentRecord::Wish wish) {
  switch (wish) {
    case v1::AssignmentRecord::RUN:
      return Wish::kRun;
    case v1::AssignmentRecord::DRAIN:
      return Wish::kDrain;
    case v1::AssignmentRecord::STOP:
      return Wish::kStop;
    default:  // of a newer version: guessing could stop an instance that serves
      return absl::DataLossError(absl::StrCat("unknown wish ", static_cast<int>(wish)));
  }
}

v1::AppRecord::Rollout ToRecord(const Rollout& rollout) {
  v1::AppRecord::Rollout record;
  record.set_from(rollout.from);
  record.set_done(rollout.done);
  record.set_step(rollout.step);
  record.set_paused(rollout.paused);
  record.set_failed(rollout.failed);
  record.set_failure(rollout.failure);
  for (const auto& [revision, load] : rollout.loads) {
    v1::AppRecord::Rollout::Evidence& evidence = *record.add_evidence();
    evidence.set_revision(revision);
    evidence.set_requests(load.requests);
    evidence.set_errors(load.errors);
    for (const uint64_t count : load.latency) evidence.add_latency(count);
  }
  return record;
}

Load FromRecord(const v1::AppRecord::Rollout::Evidence& record) {
  Load load{.requests = record.requests(), .errors = record.errors()};
  // Of another version with other classes they mean nothing here.
  if (record.latency_size() == static_cast<int>(load.latency.size())) {
    std::copy(record.latency().begin(), record.latency().end(), load.latency.begin());
  }
  return load;
}

Rollout FromRecord(const v1::AppRecord::Rollout& record) {
  Rollout rollout{.from = record.from(),
                  .done = record.done(),
                  .step = record.step(),
                  .paused = record.paused(),
                  .failed = record.failed(),
                  .failure = record.failure()};
  for (const v1::AppRecord::Rollout::Evidence& evidence : record.evidence()) {
    rollout.loads[evidence.revision()] = FromRecord(evidence);
  }
  return rollout;
}

v1::RevisionRecord::Result ToRecord(ReleaseResult result) {
  switch (result) {
    case ReleaseResult::kPending:
      return v1::RevisionRecord::PENDING;
    case ReleaseResult::kLive:
      return v1::RevisionRecord::LIVE;
    case ReleaseResult::kReplaced:
      return v1::RevisionRecord::REPLACED;
    case ReleaseResult::kUndone:
      return v1::RevisionRecord::UNDONE;
    case ReleaseResult::kRolledBack:
      return v1::RevisionRecord::ROLLED_BACK;
  }
  std::abort();  // not an enumerator
}

absl::StatusOr<ReleaseResult> FromRecord(v1::RevisionRecord::Result result) {
  switch (result) {
    case v1::RevisionRecord::PENDING:
      return ReleaseResult::kPending;
    case v1::RevisionRecord::LIVE:
      return ReleaseResult::kLive;
    case v1::RevisionRecord::REPLACED:
      return ReleaseResult::kReplaced;
    case v1::RevisionRecord::UNDONE:
      return ReleaseResult::kUndone;
    case v1::RevisionRecord::ROLLED_BACK:
      return ReleaseResult::kRolledBack;
    default:
      return absl::DataLossError(absl::StrCat("unknown result ", static_cast<int>(result)));
  }
}

// ---- one write of the core ----

struct WriteTranslator {
  int64_t now_unix_ms;

  StoreWrite operator()(const PutApp& put) const {
    v1::AppRecord record;
    record.set_name(put.app.id.value);
    record.set_revision(put.app.revision);
    record.set_replicas(put.app.replicas);
    if (put.app.spec_replicas) record.set_spec_replicas(*put.app.spec_replicas);
    record.set_stopped(put.app.stopped);
    record.set_generation(put.app.generation);
    record.set_removing(put.app.removing);
    // Most are complete.
    if (put.app.rollout != Rollout{}) *record.mutable_rollout() = ToRecord(put.app.rollout);
    return StorePut{absl::StrCat(kAppPrefix, put.app.id.value), Serialize(record)};
  }
  StoreWrite operator()(const DeleteApp& gone) const {
    return StoreDelete{absl::StrCat(kAppPrefix, gone.app.value)};
  }
  StoreWrite operator()(const PutRevision& put) const {
    const Revision& revision = put.revision;
    v1::RevisionRecord record;
    record.set_app(revision.app.value);
    record.set_revision(revision.number);
    *record.mutable_spec() = ToAppSpec(revision.config);
    record.set_created_unix_ms(revision.origin.unix_ms != 0 ? revision.origin.unix_ms
                                                            : now_unix_ms);
    record.set_reason(revision.reason);
    record.set_by(revision.origin.by);
    record.set_result(ToRecord(revision.result));
    record.set_result_detail(revision.result_detail);
    return StorePut{RevisionKey(revision.app, revision.number), Serialize(record)};
  }
  StoreWrite operator()(const DeleteRevision& gone) const {
    return StoreDelete{RevisionKey(gone.app, gone.number)};
  }
  StoreWrite operator()(const PutAssignment& put) const {
    const Assignment& assignment = put.assignment;
    v1::AssignmentRecord record;
    record.set_id(assignment.id.value);
    record.set_app(assignment.app.value);
    record.set_slot(assignment.slot);
    record.set_revision(assignment.revision);
    record.set_node(assignment.node.value);
    record.set_wish(ToRecord(assignment.wish));
    record.set_was_ready(assignment.was_ready);
    return StorePut{absl::StrCat(kAssignmentPrefix, assignment.id.value), Serialize(record)};
  }
  StoreWrite operator()(const DeleteAssignment& gone) const {
    return StoreDelete{absl::StrCat(kAssignmentPrefix, gone.id.value)};
  }
  StoreWrite operator()(const PutNode& put) const {
    v1::NodeRecord record;
    record.set_name(put.node.id.value);
    record.set_agent_id(put.node.agent_id);
    record.set_cordoned(put.node.cordoned);
    record.set_draining(put.node.draining);
    record.set_drain_deadline_ms(static_cast<uint64_t>(put.node.drain_deadline.count()));
    return StorePut{absl::StrCat(kNodePrefix, put.node.id.value), Serialize(record)};
  }
  StoreWrite operator()(const PutProxy& put) const {
    v1::ProxyRecord record;
    record.set_id(put.proxy.value);
    return StorePut{absl::StrCat(kProxyPrefix, put.proxy.value), Serialize(record)};
  }
  StoreWrite operator()(const DeleteProxy& gone) const {
    return StoreDelete{absl::StrCat(kProxyPrefix, gone.proxy.value)};
  }
  StoreWrite operator()(const PutGateway& put) const {
    v1::GatewayRecord record;
    *record.mutable_gateway() = ToGatewaySpec(put.gateway);
    return StorePut{absl::StrCat(kGatewayPrefix, put.gateway.name), Serialize(record)};
  }
  StoreWrite operator()(const DeleteGateway& gone) const {
    return StoreDelete{absl::StrCat(kGatewayPrefix, gone.name)};
  }
};

// ---- one record as the core's value ----

absl::StatusOr<App> FromRecord(const v1::AppRecord& record) {
  App app;
  app.id = AppId{record.name()};
  app.revision = record.revision();
  app.replicas = record.replicas();
  if (record.has_spec_replicas()) app.spec_replicas = record.spec_replicas();
  app.stopped = record.stopped();
  app.generation = record.generation();
  app.removing = record.removing();
  if (record.has_rollout()) app.rollout = FromRecord(record.rollout());
  return app;
}

absl::StatusOr<Revision> FromRecord(const v1::RevisionRecord& record) {
  Revision revision{.app = AppId{record.app()},
                    .number = record.revision(),
                    .config = ToRevisionConfig(record.spec()),
                    .reason = record.reason(),
                    .origin = {record.by(), record.created_unix_ms()}};
  PANDO_ASSIGN_OR_RETURN(revision.result, FromRecord(record.result()));
  revision.result_detail = record.result_detail();
  return revision;
}

absl::StatusOr<Assignment> FromRecord(const v1::AssignmentRecord& record) {
  Assignment assignment;
  assignment.id = AssignmentId{record.id()};
  assignment.app = AppId{record.app()};
  assignment.slot = record.slot();
  assignment.revision = record.revision();
  assignment.node = NodeId{record.node()};
  PANDO_ASSIGN_OR_RETURN(assignment.wish, FromRecord(record.wish()));
  assignment.was_ready = record.was_ready();
  return assignment;
}

absl::StatusOr<NodeRecord> FromRecord(const v1::NodeRecord& record) {
  return NodeRecord{NodeId{record.name()}, record.agent_id(), record.cordoned(), record.draining(),
                    Millis{record.drain_deadline_ms()}};
}

absl::StatusOr<ProxyId> FromRecord(const v1::ProxyRecord& record) { return ProxyId{record.id()}; }

absl::StatusOr<Gateway> FromRecord(const v1::GatewayRecord& record) {
  const v1::Gateway& gateway = record.gateway();
  if (gateway.port() == 0 || gateway.port() > 65535) {
    return absl::DataLossError(absl::StrCat("port ", gateway.port(), " is not in 1-65535"));
  }
  return ToGateway(gateway);
}

template <class Record>
absl::StatusOr<Record> ParseEntry(const StoreEntry& entry) {
  Record record;
  if (!record.ParseFromString(entry.value)) {
    return absl::DataLossError(absl::StrCat("store key ", entry.key, " cannot be read"));
  }
  return record;
}

// Every record under `prefix`, appended to `values`.
template <class Record, class Value>
absl::Status LoadAll(Store& store, const char* prefix, std::vector<Value>& values) {
  PANDO_ASSIGN_OR_RETURN(const std::vector<StoreEntry> entries, store.Range(prefix, 0, false));
  values.reserve(entries.size());
  for (const StoreEntry& entry : entries) {
    PANDO_ASSIGN_OR_RETURN(const Record record, ParseEntry<Record>(entry));
    absl::StatusOr<Value> value = FromRecord(record);
    if (!value.ok()) {
      return absl::DataLossError(
          absl::StrCat("store key ", entry.key, ": ", value.status().message()));
    }
    values.push_back(*std::move(value));
  }
  return absl::OkStatus();
}

// The record with its term raised, committed. Two leaders that start at once do not get the same
// term: the second one's commit is kAborted.
absl::StatusOr<v1::ClusterRecord> RaiseTerm(Store& store) {
  v1::ClusterRecord record;
  std::vector<StoreWrite> writes;
  int64_t revision = 0;
  absl::StatusOr<StoreEntry> entry = store.Get(kClusterKey);
  if (entry.ok()) {
    revision = entry->revision;
    PANDO_ASSIGN_OR_RETURN(record, ParseEntry<v1::ClusterRecord>(*entry));
  } else if (absl::IsNotFound(entry.status())) {
    record.set_cluster_id(RandomHexId());
    writes.push_back(WriteTranslator{0}(PutGateway{}));
  } else {
    return entry.status();
  }
  record.set_term(record.term() + 1);
  writes.push_back(StorePut{kClusterKey, Serialize(record)});
  PANDO_RETURN_IF_ERROR(store.Commit({{kClusterKey, revision}}, writes).status());
  return record;
}

void SetPlacement(const v1::Placement& placement, RevisionConfig& config) {
  config.node_labels.insert(placement.labels().begin(), placement.labels().end());
  for (const std::string& text : placement.constraints()) {
    // The parser has checked them; what a newer version wrote is left out rather than guessed.
    if (auto rule = ParseLabelRule(text); rule.ok()) config.node_rules.push_back(*std::move(rule));
  }
  config.max_per_node = placement.max_per_node();
  if (placement.spread().empty()) return;  // of an older version: as RevisionConfig has it
  config.spread_labels.clear();
  config.spread_hosts = false;
  for (const std::string& over : placement.spread()) {
    if (over == "host") {
      config.spread_hosts = true;
    } else if (over != "none") {
      config.spread_labels.push_back(over);
    }
  }
}

Amount ToAmount(const v1::Strategy::Amount& amount) { return {amount.value(), amount.percent()}; }

Strategy ToStrategy(const v1::Strategy& spec) {
  Strategy strategy;
  strategy.max_surge = ToAmount(spec.max_surge());
  strategy.max_unavailable = ToAmount(spec.max_unavailable());
  strategy.min_ready = Millis{spec.min_ready_ms()};
  strategy.progress_deadline = Millis{spec.progress_deadline_ms()};
  strategy.auto_rollback = spec.auto_rollback();
  strategy.observe = Millis{spec.observe_ms()};
  strategy.canary_steps.assign(spec.canary().steps().begin(), spec.canary().steps().end());
  if (spec.has_canary()) strategy.canary_interval = Millis{spec.canary().interval_ms()};
  strategy.manual_gate = spec.manual_gate();
  strategy.blue_green = spec.blue_green();
  if (!spec.has_evidence()) return strategy;
  strategy.evidence.min_requests = spec.evidence().min_requests();
  strategy.evidence.latency_requests = 10 * spec.evidence().min_requests();
  strategy.evidence.error_margin = spec.evidence().errors_percent() / 100.0;
  strategy.evidence.latency_factor = spec.evidence().latency_percent() / 100.0;
  return strategy;
}

// Empty when all of it is as the proxies have it.
std::string BalancingOf(const v1::AppSpec& spec) {
  v1::AppSpec part;
  const v1::LoadBalancing& balancing = spec.load_balancing();
  if (balancing.key() != v1::LoadBalancing::KEY_UNSPECIFIED || balancing.slow_start_ms() > 0) {
    *part.mutable_load_balancing() = balancing;
  }
  if (spec.has_concurrency()) *part.mutable_concurrency() = spec.concurrency();
  if (spec.has_queue()) *part.mutable_queue() = spec.queue();
  if (spec.has_outliers()) *part.mutable_outliers() = spec.outliers();
  return Serialize(part);
}

LbPolicy FromSpec(v1::LoadBalancing::Policy policy) {
  switch (policy) {
    case v1::LoadBalancing::ROUND_ROBIN:
      return LbPolicy::kRoundRobin;
    case v1::LoadBalancing::RANDOM:
      return LbPolicy::kRandom;
    case v1::LoadBalancing::PEAK_EWMA:
      return LbPolicy::kPeakEwma;
    case v1::LoadBalancing::RING_HASH:
      return LbPolicy::kRingHash;
    case v1::LoadBalancing::MAGLEV:
      return LbPolicy::kMaglev;
    case v1::LoadBalancing::STICKY:
      return LbPolicy::kSticky;
    default:
      return LbPolicy::kLeastRequest;
  }
}

}  // namespace

StoreWrite ToStoreWrite(const Write& write, int64_t now_unix_ms) {
  return std::visit(WriteTranslator{now_unix_ms}, write);
}

std::vector<StoreWrite> ToStoreWrites(const v1::EventRecord& event) {
  std::vector<StoreWrite> writes{StorePut{EventKey(event.sequence()), Serialize(event)}};
  if (event.sequence() > kMaxEvents) {
    writes.push_back(StoreDelete{EventKey(event.sequence() - kMaxEvents)});
  }
  return writes;
}

StoreWrite DeleteEvent(uint64_t sequence) { return StoreDelete{EventKey(sequence)}; }

StoreWrite ToStoreWrite(const v1::AnswerRecord& answer) {
  return StorePut{AnswerKey(answer.sequence()), Serialize(answer)};
}

StoreWrite DeleteAnswer(uint64_t sequence) { return StoreDelete{AnswerKey(sequence)}; }

absl::StatusOr<std::vector<v1::AnswerRecord>> LoadAnswers(Store& store) {
  PANDO_ASSIGN_OR_RETURN(const std::vector<StoreEntry> entries,
                         store.Range(kAnswerPrefix, 0, false));
  std::vector<v1::AnswerRecord> answers;
  answers.reserve(entries.size());
  for (const StoreEntry& entry : entries) {
    PANDO_ASSIGN_OR_RETURN(v1::AnswerRecord answer, ParseEntry<v1::AnswerRecord>(entry));
    answers.push_back(std::move(answer));
  }
  return answers;
}

absl::StatusOr<LoadedState> LoadState(Store& store) {
  LoadedState state;
  PANDO_ASSIGN_OR_RETURN(state.record, RaiseTerm(store));
  DurableState& cluster = state.cluster;
  PANDO_RETURN_IF_ERROR(LoadAll<v1::AppRecord>(store, kAppPrefix, cluster.apps));
  PANDO_RETURN_IF_ERROR(LoadAll<v1::RevisionRecord>(store, kRevisionPrefix, cluster.revisions));
  PANDO_RETURN_IF_ERROR(
      LoadAll<v1::AssignmentRecord>(store, kAssignmentPrefix, cluster.assignments));
  PANDO_RETURN_IF_ERROR(LoadAll<v1::NodeRecord>(store, kNodePrefix, cluster.nodes));
  PANDO_RETURN_IF_ERROR(LoadAll<v1::ProxyRecord>(store, kProxyPrefix, cluster.proxies));
  PANDO_RETURN_IF_ERROR(LoadAll<v1::GatewayRecord>(store, kGatewayPrefix, cluster.gateways));
  // Keys sort r10 before r2.
  std::sort(cluster.revisions.begin(), cluster.revisions.end(),
            [](const Revision& a, const Revision& b) {
              return std::tie(a.app, a.number) < std::tie(b.app, b.number);
            });
  PANDO_ASSIGN_OR_RETURN(const std::vector<v1::EventRecord> newest, LoadEvents(store, 1));
  if (!newest.empty()) state.next_event_sequence = newest.front().sequence() + 1;
  return state;
}

absl::StatusOr<std::vector<v1::EventRecord>> LoadEvents(Store& store, size_t limit) {
  PANDO_ASSIGN_OR_RETURN(std::vector<StoreEntry> entries, store.Range(kEventPrefix, limit, true));
  std::reverse(entries.begin(), entries.end());
  std::vector<v1::EventRecord> events;
  events.reserve(entries.size());
  for (const StoreEntry& entry : entries) {
    PANDO_ASSIGN_OR_RETURN(v1::EventRecord event, ParseEntry<v1::EventRecord>(entry));
    events.push_back(std::move(event));
  }
  return events;
}

RevisionConfig ToRevisionConfig(const v1::AppSpec& spec) {
  v1::AppSpec release = spec;
  release.clear_replicas();
  RevisionConfig config;
  config.payload = Serialize(release);
  config.hosts.assign(spec.route().hosts().begin(), spec.route().hosts().end());
  config.path = spec.route().path();
  config.lb_policy = FromSpec(spec.load_balancing().policy());
  config.balancing = BalancingOf(spec);
  if (spec.timeouts().connect_ms() > 0) {
    config.bounds.connect_timeout = Millis{spec.timeouts().connect_ms()};
  }
  config.bounds.first_byte_timeout = Millis{spec.timeouts().first_byte_ms()};
  config.bounds.total_timeout = Millis{spec.timeouts().total_ms()};
  config.bounds.max_body_bytes = spec.limits().body_bytes();
  config.bounds.per_try_timeout = Millis{spec.timeouts().per_try_ms()};
  config.drain_timeout = Millis{spec.stop().drain_ms()};
  config.drain_tunnels = Millis{spec.stop().drain_tunnels_ms()};
  config.startup_timeout = Millis{spec.health().startup_ms()};
  SetPlacement(spec.placement(), config);
  if (spec.has_strategy()) config.strategy = ToStrategy(spec.strategy());
  config.cpu_millis = spec.resources().cpu_millis();
  config.memory_bytes = spec.resources().memory_bytes();
  return config;
}

v1::AppSpec ToAppSpec(const RevisionConfig& config) {
  v1::AppSpec spec;
  // Payloads are made by ToRevisionConfig alone; to write half a release would be worse than to
  // die.
  if (!spec.ParseFromString(config.payload)) std::abort();
  return spec;
}

Gateway ToGateway(const v1::Gateway& spec) {
  v1::Gateway options = spec;
  options.clear_name();
  options.clear_address();
  options.clear_port();
  options.clear_tls();
  Gateway gateway;
  gateway.name = spec.name();
  gateway.address = spec.address();
  gateway.port = static_cast<uint16_t>(spec.port());
  gateway.options = Serialize(options);
  if (!spec.has_tls()) return gateway;
  GatewayTls& tls = gateway.tls.emplace();
  for (const v1::GatewayTls::Certificate& certificate : spec.tls().certificates()) {
    tls.certificates.push_back({certificate.cert(), certificate.key()});
  }
  tls.only_tls13 = spec.tls().min_version() == v1::GatewayTls::TLS_1_3;
  tls.redirect_from = static_cast<uint16_t>(spec.tls().redirect().from());
  tls.redirect_to = static_cast<uint16_t>(spec.tls().redirect().to());
  return gateway;
}

v1::Gateway ToGatewaySpec(const Gateway& gateway) {
  v1::Gateway spec;
  // As for payloads.
  if (!spec.ParseFromString(gateway.options)) std::abort();
  spec.set_name(gateway.name);
  spec.set_address(gateway.address);
  spec.set_port(gateway.port);
  if (!gateway.tls) return spec;
  v1::GatewayTls& tls = *spec.mutable_tls();
  for (const GatewayTls::Certificate& certificate : gateway.tls->certificates) {
    v1::GatewayTls::Certificate& added = *tls.add_certificates();
    added.set_cert(certificate.cert);
    added.set_key(certificate.key);
  }
  tls.set_min_version(gateway.tls->only_tls13 ? v1::GatewayTls::TLS_1_3 : v1::GatewayTls::TLS_1_2);
  if (gateway.tls->redirect_from != 0) {
    tls.mutable_redirect()->set_from(gateway.tls->redirect_from);
    tls.mutable_redirect()->set_to(gateway.tls->redirect_to);
  }
  return spec;
}

}  // namespace pando::controller
