// pando-proxy: the data plane. Balances HTTP over the instances in the tables it is pushed.
#include <string>
#include <vector>

#include "common/runtime/flags.h"
#include "common/runtime/process_main.h"
#include "common/runtime/respawn.h"
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
  OnShutdownSignal((*app)->loop(), [&] { (*app)->Drain(); });
  OnUpgradeSignal((*app)->loop(),
                  [&] { (*app)->Upgrade(std::vector<std::string>(argv, argv + argc)); });
  (*app)->Run();
  return 0;
}
