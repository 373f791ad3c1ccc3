// pando-proxy: the data plane. Balances HTTP over the instances in the tables it is pushed.
#include <csignal>
#include <string>
#include <vector>

#include "common/runtime/flags.h"
#include "common/runtime/process_main.h"
#include "proxy/control/proxy_app.h"

int main(int argc, char** argv) {
  using namespace pando;
  using namespace pando::proxy;
  constexpr char kProgram[] = "pando-proxy";
  ProxyFlags values;
  Flags flags(kProgram, "Balances HTTP over the instances the controller tells it.");
  values.AddTo(flags);
  if (const std::optional<int> code = flags.Parse(argc, argv)) return *code;
  const auto options = values.Read();
  if (!options.ok()) {
    FatalError(kProgram, options.status());
    return 2;  // as for any other bad flag
  }
  RaiseFileLimit();
  const auto app = ProxyApp::Create(*options);
  if (!app.ok()) return FatalError(kProgram, app.status());
  OnSignal((*app)->loop(), SIGUSR1, [&] { (*app)->ReopenLogs(); });
  OnSignal((*app)->loop(), SIGHUP, [&] { (*app)->Reload(); });
  OnSignal((*app)->loop(), SIGUSR2,
           [&] { (*app)->Upgrade(std::vector<std::string>(argv, argv + argc)); });
  OnShutdownSignal((*app)->loop(), [&] { (*app)->Drain(); });
  (*app)->Run();
  return 0;
}
