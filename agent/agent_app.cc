#include "agent/agent_app.h"

#include <unistd.h>

#include <random>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/runtime/log.h"
#include "common/runtime/version.h"

namespace pando::agent {
namespace {

constexpr Millis kAddressRetry{1'000};
constexpr size_t kGroupNameLength = 12;  // of the agent's id: agents of one host differ by it

uint64_t Seed() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

uint64_t TotalMemoryBytes() {
  return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// Without groups instances run all the same, held by less: said once, at the start.
std::unique_ptr<CgroupTree> OpenGroups(const std::string& agent_id) {
  auto tree = OpenCgroupTree(agent_id.substr(0, kGroupNameLength));
  if (!tree.ok()) {
    LogWarn("no control groups: CPU is not limited, memory is looked at once a second",
            {{"reason", std::string(tree.status().message())}});
    return nullptr;
  }
  for (const auto& [has, what] :
       {std::pair{(*tree)->limits_memory(), "memory"}, std::pair{(*tree)->limits_cpu(), "cpu"},
        std::pair{(*tree)->limits_processes(), "pids"}}) {
    if (!has) LogWarn("a control group controller is missing", {{"controller", what}});
  }
  return *std::move(tree);
}

}  // namespace

absl::StatusOr<std::unique_ptr<AgentApp>> AgentApp::Create(AgentOptions options) {
  PANDO_ASSIGN_OR_RETURN(auto data_dir, DataDir::Open(options.data_dir));
  PANDO_ASSIGN_OR_RETURN(AgentState state, AgentState::Load(*data_dir));
  std::unique_ptr<CgroupTree> groups;
  if (options.cgroups) groups = OpenGroups(state.agent_id());
  const std::string http_listen = options.http_listen;
  std::unique_ptr<AgentApp> app(
      new AgentApp(std::move(options), std::move(data_dir), std::move(state), std::move(groups)));
  PANDO_RETURN_IF_ERROR(app->http_.Listen(http_listen, "--http-listen"));
  return app;
}

AgentApp::AgentApp(AgentOptions options, std::unique_ptr<DataDir> data_dir, AgentState state,
                   std::unique_ptr<CgroupTree> groups)
    : options_(std::move(options)),
      data_dir_(std::move(data_dir)),
      state_(std::move(state)),
      groups_(std::move(groups)),
      metrics_("pando-agent", options_.data_dir),
      agent_metrics_(metrics_),
      http_(loop_, metrics_),
      address_(options_.advertise_address),
      instances_(loop_, agent_metrics_, state_,
                 {options_.shim_path, options_.node, options_.ports, groups_.get(),
                  options_.controller.ToString()},
                 {.status = [this](v1::InstanceStatus s) { controller_.SendStatus(std::move(s)); },
                  .gone = [this](const std::string& id) { controller_.SendGone(id); },
                  .closing = [this](const std::string& dir) { logs_.Finish(dir); }},
                 Seed()),
      delays_(
          loop_,
          [this](const DelayWatch::Subject& subject, PageDone done) {
            FetchPage(loop_.io(), instances_.prober().AddressesOf(subject.port), subject.path, {},
                      std::move(done));
          },
          [this](bool read) { agent_metrics_.CountPage(read); }, Seed()),
      usage_(
          loop_, groups_.get(), options_.data_dir, [this] { return instances_.UsageSubjects(); },
          [this] { OnUsage(); }),
      instance_metrics_(std::make_shared<InstanceMetrics>(instances_, usage_, delays_)),
      logs_(loop_, {.has_room = [this] { return controller_.HasLogRoom(); },
                    .send = [this](v1::LogChunk c) { controller_.SendLogChunk(std::move(c)); }}),
      controller_(loop_, options_.controller.ToString(), MakeHandlers(), Seed()) {
  metrics_.AddCollectable(instance_metrics_);
}

AgentApp::~AgentApp() = default;

void AgentApp::Run() {
  LogInfo("agent started", {{"node", options_.node},
                            {"version", std::string(Version())},
                            {"data_dir", data_dir_->path()},
                            {"controller", options_.controller.ToString()},
                            {"http_port", absl::StrCat(http_.port())}});
  // Before the loop runs: what is asked of it meanwhile, an end too, finds the instances known.
  instances_.Start();
  usage_.Start();
  if (address_.empty()) {
    FindAddressThenConnect(/*told=*/false);
  } else {
    instances_.prober().SetSecondAddress(address_);
    controller_.Start();
  }
  loop_.Run();
}

void AgentApp::RequestStop() {
  LogInfo("agent stops",
          {{"instances", options_.stop_instances_on_exit ? "are stopped" : "go on running"}});
  if (!options_.stop_instances_on_exit) return loop_.Stop();
  instances_.StopInstances([this] { loop_.Stop(); });
}

void AgentApp::FindAddressThenConnect(bool told) {
  FindLocalAddress(loop_, options_.controller, [this, told](absl::StatusOr<std::string> address) {
    if (!address.ok()) {
      if (!told) {
        LogWarn("controller unreachable, keeps trying",
                {{"controller", options_.controller.ToString()},
                 {"reason", std::string(address.status().message())}});
      }
      return loop_.RunAfter(kAddressRetry, [this] { FindAddressThenConnect(/*told=*/true); });
    }
    address_ = *std::move(address);
    instances_.prober().SetSecondAddress(address_);
    controller_.Start();
  });
}

v1::Hello AgentApp::MakeHello() const {
  v1::Hello hello;
  hello.set_node(options_.node);
  hello.set_agent_id(state_.agent_id());
  hello.set_boot_id(BootId());
  hello.set_version(std::string(Version()));
  hello.set_address(address_);
  hello.mutable_labels()->insert(options_.labels.begin(), options_.labels.end());
  hello.set_cpu_millis(std::thread::hardware_concurrency() * 1'000);
  hello.set_memory_bytes(TotalMemoryBytes());
  hello.set_max_instances(options_.max_instances);
  hello.set_cluster_id(state_.authority().cluster_id);
  hello.set_http_address(http_.address());
  for (v1::InstanceStatus& status : instances_.Statuses()) {
    *hello.add_instances() = std::move(status);
  }
  return hello;
}

v1::Heartbeat AgentApp::MakeHeartbeat() const {
  v1::Heartbeat heartbeat = usage_.ToHeartbeat();
  heartbeat.set_orders_version(instances_.orders_version());
  for (v1::InstanceUsage& usage : *heartbeat.mutable_usage()) {
    const auto delay = delays_.Of({usage.assignment_id()}, usage.incarnation());
    if (!delay) continue;
    if (delay->mean_seconds) usage.set_event_loop_delay_mean_seconds(*delay->mean_seconds);
    if (delay->p99_seconds) usage.set_event_loop_delay_p99_seconds(*delay->p99_seconds);
  }
  return heartbeat;
}

void AgentApp::OnUsage() {
  instances_.OnUsage(usage_.instances());
  delays_.Watch(instances_.PageSubjects());
}

ControllerClient::Handlers AgentApp::MakeHandlers() {
  return {.hello = [this] { return MakeHello(); },
          .welcome = [this](const v1::Welcome& welcome) { return OnWelcome(welcome); },
          .orders = [this](const v1::Orders& orders) { OnOrders(orders); },
          .log_request =
              [this](const v1::LogRequest& request) {
                const std::string& id = request.assignment_id();
                logs_.Open(request, instances_.InstancePath(id), instances_.EarlierLogPath(id));
              },
          .log_cancel = [this](uint64_t request_id) { logs_.Cancel(request_id); },
          .heartbeat = [this] { return MakeHeartbeat(); },
          .connected =
              [this](bool connected) {
                agent_metrics_.connected.Set(connected ? 1 : 0);
                if (!connected) logs_.CancelAll();
              }};
}

absl::Status AgentApp::OnWelcome(const v1::Welcome& welcome) {
  PANDO_RETURN_IF_ERROR(CheckAuthority(state_.authority(), {welcome.cluster_id(), welcome.term()}));
  state_.SawTerm(welcome.term());
  if (state_.authority().cluster_id.empty() && !welcome.cluster_id().empty()) {
    return state_.SaveClusterId(welcome.cluster_id());
  }
  return absl::OkStatus();
}

void AgentApp::OnOrders(const v1::Orders& orders) {
  const absl::Status status = instances_.SetOrders(orders);
  const std::string reason(status.message());
  if (!status.ok() && reason != last_refusal_) {
    LogError("orders refused", {{"version", absl::StrCat(orders.version())}, {"reason", reason}});
  }
  last_refusal_ = reason;
}

}  // namespace pando::agent
