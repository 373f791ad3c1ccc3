#include "proxy/control/proxy_app.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "common/runtime/log.h"
#include "common/runtime/respawn.h"

namespace pando::proxy {
namespace {

constexpr char kTableFile[] = "table.pb";
constexpr int kMaxWorkers = 256;
constexpr Millis kCertificateCheck{5'000};
constexpr Millis kTicketKeyLife{8 * 3'600'000};
// Clients between requests are given so long to bring the next one to a process that is succeeded;
// whoever is active has moved over by then.
constexpr Millis kIdleGrace{5'000};
constexpr Millis kGoodbyePatience{500};

std::string HostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "proxy";
  return name.data();
}

absl::StatusOr<Millis> ParseTimeout(const char* flag, const std::string& text) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration < absl::ZeroDuration() ||
      duration > absl::Hours(24)) {
    return absl::InvalidArgumentError(absl::StrCat(
        flag, ": \"", text, "\" is not a duration from 0s to 24h (for example 30s, 2m)"));
  }
  return Millis{absl::ToInt64Milliseconds(duration)};
}

absl::StatusOr<AccessLogFormat> ParseAccessLogFormat(const std::string& text) {
  if (text == "json") return AccessLogFormat::kJson;
  if (text == "common") return AccessLogFormat::kCommon;
  if (text == "combined") return AccessLogFormat::kCombined;
  return absl::InvalidArgumentError(absl::StrCat(
      "--access-log-format: \"", text, "\" is not known (allowed: json, common, combined)"));
}
// What a proxy calls itself once another process has its id.
std::string PredecessorId(const std::string& id) { return absl::StrCat(id, "~", getpid()); }

DataPlaneConfig ToConfig(const ProxyOptions& options) {
  DataPlaneConfig config;
  config.workers = options.workers;
  config.access_log = options.access_log;
  config.access_log_format = options.access_log_format;
  return config;
}

}  // namespace

ProxyFlags::ProxyFlags() : id(HostName()) {}

void ProxyFlags::AddTo(Flags& flags) {
  flags.Add("data-dir", data_dir, "where the last table is kept");
  flags.Add("id", id, "this proxy's name; no other proxy may have it");
  flags.Add("controller", controller, "the controller's address (gRPC)");
  flags.Add("http-listen", http_listen, "address for /metrics, /healthz, /table and /stats");
  flags.Add("workers", workers, "threads that serve; 0 is one per CPU");
  flags.Add("drain-timeout", drain_timeout, "how long requests may take to end at shutdown");
  flags.Add("access-log", access_log,
            "file for one line per request; - is standard output; SIGUSR1 opens it anew");
  flags.Add("access-log-format", access_log_format, "json, common or combined");
  flags.Add("tunnel-drain-timeout", tunnel_drain_timeout,
            "how long upgraded connections (WebSocket) may live on at shutdown");
  flags.AddSwitch("takeover", takeover,
                  "take over from the proxy that runs in the data directory, if there is one");
  flags.AddSwitch("insecure", insecure,
                  "allow addresses beyond loopback although nobody is authenticated");
}

absl::StatusOr<ProxyOptions> ProxyFlags::Read() const {
  ProxyOptions options;
  options.data_dir = data_dir;
  if (id.empty()) return absl::InvalidArgumentError("--id: must not be empty");
  options.id = id;
  PANDO_ASSIGN_OR_RETURN(options.controller, ParseHostPort("--controller", controller));
  PANDO_ASSIGN_OR_RETURN(options.http_listen, ParseHostPort("--http-listen", http_listen));
  PANDO_RETURN_IF_ERROR(CheckListenAddress("--http-listen", options.http_listen, insecure));
  if (workers < 0 || workers > kMaxWorkers) {
    return absl::InvalidArgumentError(
        absl::StrCat("--workers: ", workers, " is not in 0-", kMaxWorkers));
  }
  options.workers = workers;
  options.access_log = access_log;
  PANDO_ASSIGN_OR_RETURN(options.access_log_format, ParseAccessLogFormat(access_log_format));
  PANDO_ASSIGN_OR_RETURN(options.drain_timeout, ParseTimeout("--drain-timeout", drain_timeout));
  PANDO_ASSIGN_OR_RETURN(options.tunnel_drain_timeout,
                         ParseTimeout("--tunnel-drain-timeout", tunnel_drain_timeout));
  options.takeover = takeover;
  return options;
}

absl::StatusOr<std::unique_ptr<ProxyApp>> ProxyApp::Create(const ProxyOptions& options) {
  std::optional<Inheritance> inherited;
  if (options.takeover) {
    PANDO_ASSIGN_OR_RETURN(inherited, AskForTakeover(options.data_dir));
  }
  std::unique_ptr<DataDir> data_dir;
  if (inherited) {
    data_dir = DataDir::Adopt(options.data_dir, std::move(inherited->estate.lock));
  } else {
    PANDO_ASSIGN_OR_RETURN(data_dir, DataDir::Open(options.data_dir));
  }
  auto app = std::unique_ptr<ProxyApp>(new ProxyApp(options, std::move(data_dir)));
  PANDO_RETURN_IF_ERROR(app->Start(std::move(inherited)));
  return app;
}

ProxyApp::ProxyApp(const ProxyOptions& options, std::unique_ptr<DataDir> data_dir)
    : options_(options),
      metrics_("pando-proxy", options.data_dir),
      data_dir_(std::move(data_dir)),
      table_file_(data_dir_->File(kTableFile)),
      channel_(MakeControllerChannel(options.controller.ToString())),
      data_plane_(std::make_unique<DataPlane>(ToConfig(options))),
      updater_(loop_, *data_plane_),
      client_(loop_, channel_, MakeNode(options.id, options.http_listen.ToString()),
              options.controller.ToString(), updater_),
      reporter_(loop_, channel_, MakeNode(options.id), [this] { return data_plane_->Stats(); }),
      proxy_metrics_(
          std::make_shared<ProxyMetrics>(ProxyParts{updater_, client_, *data_plane_, draining_})),
      http_(loop_, metrics_),
      takeover_server_(
          loop_, options.data_dir,
          {.estate = [this] { return Share(); }, .handed_over = [this] { HandOver(); }}) {}

// The workers first: none may call a reporter that is being destroyed.
ProxyApp::~ProxyApp() { data_plane_.reset(); }

absl::Status ProxyApp::Start(std::optional<Inheritance> inherited) {
  data_plane_->OnDrained([this] { reporter_.OnDrained(); });
  PANDO_RETURN_IF_ERROR(data_plane_->Start());
  updater_.SetHooks({
      .send = [this](const XdsRequest& request) { client_.Send(request); },
      .switched = [this](std::shared_ptr<const ProxyTable> table) { OnSwitched(std::move(table)); },
      .save =
          [this](const XdsSnapshot& snapshot) {
            if (owner_) table_file_.Save(snapshot);
          },
  });
  AddProxyPages(http_, {updater_, client_, *data_plane_, draining_});
  metrics_.AddCollectable(proxy_metrics_);
  ticket_keys_due_ = loop_.Now() + kTicketKeyLife;
  loop_.RunAfter(kCertificateCheck, [this] { CareForTls(); });
  const bool succeeds = inherited.has_value();
  if (succeeds) {
    PANDO_RETURN_IF_ERROR(Inherit(*std::move(inherited)));
  } else {
    PANDO_RETURN_IF_ERROR(http_.Listen(options_.http_listen.ToString(), "--http-listen"));
    updater_.Restore(table_file_.Load());
    Own();
  }
  const bool has_table = updater_.source() == TableUpdater::Source::kFile;
  LogInfo("proxy started", {{"id", options_.id},
                            {"controller", options_.controller.ToString()},
                            {"http", absl::StrCat(options_.http_listen.host, ":", http_.port())},
                            {"table", !has_table ? "none"
                                      : succeeds ? "the running proxy's"
                                                 : "last run's"}});
  return absl::OkStatus();
}

// Has all workers serve by the table of the proxy that runs; that one is told once they do.
absl::Status ProxyApp::Inherit(Inheritance inherited) {
  Estate& estate = inherited.estate;
  if (estate.admin.valid() && estate.admin_address == options_.http_listen.ToString()) {
    http_.Adopt(std::move(estate.admin));
  } else {
    PANDO_RETURN_IF_ERROR(http_.Listen(options_.http_listen.ToString(), "--http-listen"));
  }
  data_plane_->Inherit(std::move(estate.listeners));
  if (!estate.ticket_keys.empty()) {
    const absl::Status inherited_keys = data_plane_->InheritTicketKeys(estate.ticket_keys);
    if (!inherited_keys.ok()) {
      LogWarn("TLS sessions begun before are not resumed",
              {{"error", std::string(inherited_keys.message())}});
    }
  }
  updater_.Restore(estate.snapshot);
  if (const std::vector<std::string> lost = data_plane_->DropInherited(); !lost.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("--takeover: the running proxy serves ", lost[0],
                     ", which this version would not; it goes on"));
  }
  client_.SetNode(
      MakeSuccessorNode(options_.id, estate.predecessor, options_.http_listen.ToString()));
  succession_ = std::make_unique<Succession>(
      loop_, std::move(inherited.wire),
      Succession::Hooks{.over = [this] { Own(); },
                        .gone =
                            [this, predecessor = estate.predecessor] {
                              client_.SetNode(
                                  MakeNode(options_.id, options_.http_listen.ToString()));
                              client_.SayEnded(predecessor);
                            }});
  if (updater_.source() == TableUpdater::Source::kNone) OnSwitched(nullptr);
  return absl::OkStatus();
}

void ProxyApp::OnSwitched(std::shared_ptr<const ProxyTable> table) {
  if (table != nullptr) reporter_.OnTable(std::move(table));
  if (succession_ == nullptr || std::exchange(announced_, true)) return;
  loop_.Post([this] { succession_->SayServing(); });
}

void ProxyApp::Own() {
  owner_ = true;
  if (succession_ != nullptr) {
    LogInfo("took over", {{"id", options_.id}});
    if (const absl::Status named = data_dir_->NameHolder(); !named.ok()) {
      LogWarn("lock file not written", {{"error", std::string(named.message())}});
    }
    table_file_.Save(updater_.snapshot());
  }
  takeover_server_.Start();
  client_.Start();
  reporter_.Start();
  // Not before Run: by then the signals are handled that may be sent to a process that is ready.
  loop_.Post([] { NotifyServiceManager(absl::StrCat("READY=1\nMAINPID=", getpid())); });
}

Estate ProxyApp::Share() const {
  return {.lock = data_dir_->ShareLock(),
          .snapshot = updater_.snapshot(),
          .ticket_keys = data_plane_->ShareTicketKeys(),
          .listeners = data_plane_->ShareListeners(),
          .admin_address = options_.http_listen.ToString(),
          .admin = http_.ShareListener(),
          .predecessor = PredecessorId(options_.id)};
}

void ProxyApp::HandOver() {
  LogInfo("another process took over; draining",
          {{"timeout_ms", absl::StrCat(options_.drain_timeout.count())}});
  draining_ = true;
  owner_ = false;
  table_file_.Close();
  http_.StopListening();
  // What is in flight here has to be counted until it is over, and the successor has the id now.
  const envoy::config::core::v3::Node node = MakeNode(PredecessorId(options_.id));
  client_.Reconnect(node);
  reporter_.Reconnect(node);
  data_plane_->Drain({.requests = options_.drain_timeout,
                      .tunnels = options_.tunnel_drain_timeout,
                      .idle = std::min(kIdleGrace, options_.drain_timeout),
                      .handed_over = true},
                     [this] { loop_.Post([this] { EndWithoutClients(); }); });
}

void ProxyApp::Run() {
  loop_.Run();
  if (owner_) table_file_.Save(updater_.snapshot());
}

void ProxyApp::Reload() {
  LogInfo("reloading", {});
  ReloadCertificates();
}

void ProxyApp::ReloadCertificates() {
  const CertificateReload reload = data_plane_->ReloadCertificates();
  if (reload.changed > 0) LogInfo("certificates reloaded", {});
  for (const std::string& error : reload.errors) {
    LogError("certificate not reloaded, the last one stays", {{"error", error}});
  }
}

void ProxyApp::CareForTls() {
  ReloadCertificates();
  if (loop_.Now() >= ticket_keys_due_) {
    ticket_keys_due_ = loop_.Now() + kTicketKeyLife;
    data_plane_->RotateTicketKeys();
  }
  loop_.RunAfter(kCertificateCheck, [this] { CareForTls(); });
}

void ProxyApp::Drain() {
  if (std::exchange(draining_, true)) return;
  LogInfo("draining", {{"timeout_ms", absl::StrCat(options_.drain_timeout.count())}});
  NotifyServiceManager("STOPPING=1");
  takeover_server_.Stop();
  data_plane_->Drain({.requests = options_.drain_timeout, .tunnels = options_.tunnel_drain_timeout},
                     [this] { loop_.Post([this] { EndWithoutClients(); }); });
}

void ProxyApp::EndWithoutClients() {
  client_.Leave([this] { loop_.Stop(); });
  loop_.RunAfter(kGoodbyePatience, [this] { loop_.Stop(); });
}

void ProxyApp::Upgrade(std::vector<std::string> command) {
  if (draining_ || !owner_ || successor_ != 0) {
    LogWarn("not upgraded: this process is being replaced or ends already", {});
    return;
  }
  if (std::ranges::find(command, "--takeover") == command.end()) command.push_back("--takeover");
  const absl::StatusOr<pid_t> started = StartProgram(command);
  if (!started.ok()) {
    LogError("not upgraded; serving on", {{"error", std::string(started.status().message())}});
    return;
  }
  successor_ = *started;
  LogInfo("upgrade begins", {{"program", command[0]}, {"pid", absl::StrCat(successor_)}});
  OnChildExit(loop_, successor_, [this](int status) {
    successor_ = 0;
    const bool exited = WIFEXITED(status);
    LogError(draining_ ? "the successor ended" : "not upgraded, the new process ended; serving on",
             {{exited ? "exit_code" : "signal",
               absl::StrCat(exited ? WEXITSTATUS(status) : WTERMSIG(status))}});
  });
}

}  // namespace pando::proxy
