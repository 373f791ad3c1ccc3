#include "proxy/control/proxy_app.h"

#include <unistd.h>

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "common/runtime/log.h"

namespace pando::proxy {
namespace {

constexpr char kTableFile[] = "table.pb";
constexpr int kMaxWorkers = 256;

std::string HostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "proxy";
  return name.data();
}

absl::StatusOr<Millis> ParseDrainTimeout(const std::string& text) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration < absl::ZeroDuration() ||
      duration > absl::Hours(24)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--drain-timeout: \"", text, "\" is not a duration from 0s to 24h (for example 30s, 2m)"));
  }
  return Millis{absl::ToInt64Milliseconds(duration)};
}

DataPlaneConfig ToConfig(const ProxyOptions& options) {
  DataPlaneConfig config;
  config.workers = options.workers;
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
  PANDO_ASSIGN_OR_RETURN(options.drain_timeout, ParseDrainTimeout(drain_timeout));
  return options;
}

absl::StatusOr<std::unique_ptr<ProxyApp>> ProxyApp::Create(const ProxyOptions& options) {
  PANDO_ASSIGN_OR_RETURN(std::unique_ptr<DataDir> data_dir, DataDir::Open(options.data_dir));
  auto app = std::unique_ptr<ProxyApp>(new ProxyApp(options, std::move(data_dir)));
  PANDO_RETURN_IF_ERROR(app->Start());
  return app;
}

ProxyApp::ProxyApp(const ProxyOptions& options, std::unique_ptr<DataDir> data_dir)
    : options_(options),
      metrics_("pando-proxy"),
      data_dir_(std::move(data_dir)),
      table_file_(data_dir_->File(kTableFile)),
      channel_(MakeControllerChannel(options.controller.ToString())),
      data_plane_(std::make_unique<DataPlane>(ToConfig(options))),
      updater_(loop_, *data_plane_),
      client_(loop_, channel_, MakeNode(options.id), options.controller.ToString(), updater_),
      reporter_(loop_, channel_, MakeNode(options.id), [this] { return data_plane_->Stats(); }),
      proxy_metrics_(
          std::make_shared<ProxyMetrics>(ProxyParts{updater_, client_, *data_plane_, draining_})),
      http_(loop_, metrics_) {}

// The workers first: none may call a reporter that is being destroyed.
ProxyApp::~ProxyApp() { data_plane_.reset(); }

absl::Status ProxyApp::Start() {
  data_plane_->OnDrained([this] { reporter_.OnDrained(); });
  PANDO_RETURN_IF_ERROR(data_plane_->Start());
  updater_.SetHooks({
      .send = [this](const XdsRequest& request) { client_.Send(request); },
      .switched =
          [this](std::shared_ptr<const ProxyTable> table) { reporter_.OnTable(std::move(table)); },
      .save = [this](const XdsSnapshot& snapshot) { table_file_.Save(snapshot); },
  });
  AddProxyPages(http_, {updater_, client_, *data_plane_, draining_});
  metrics_.AddCollectable(proxy_metrics_);
  PANDO_RETURN_IF_ERROR(http_.Listen(options_.http_listen.ToString(), "--http-listen"));
  updater_.Restore(table_file_.Load());
  client_.Start();
  reporter_.Start();
  LogInfo("proxy started",
          {{"id", options_.id},
           {"controller", options_.controller.ToString()},
           {"http", absl::StrCat(options_.http_listen.host, ":", http_.port())},
           {"table", updater_.source() == TableUpdater::Source::kFile ? "last run's" : "none"}});
  return absl::OkStatus();
}

void ProxyApp::Run() {
  loop_.Run();
  table_file_.Save(updater_.snapshot());
}

void ProxyApp::Drain() {
  if (std::exchange(draining_, true)) return;
  LogInfo("draining", {{"timeout_ms", absl::StrCat(options_.drain_timeout.count())}});
  data_plane_->Drain({.requests = options_.drain_timeout, .tunnels = options_.drain_timeout},
                     [this] { loop_.Stop(); });
}

}  // namespace pando::proxy
