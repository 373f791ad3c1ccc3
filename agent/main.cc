// pando-agent: runs and supervises this node's instances, as the controller orders.
#include "agent/agent_app.h"
#include "agent/agent_options.h"
#include "common/runtime/flags.h"
#include "common/runtime/process_main.h"

int main(int argc, char** argv) {
  using namespace pando;
  using namespace pando::agent;
  constexpr char kProgram[] = "pando-agent";
  AgentFlags values;
  Flags flags(kProgram, "Runs and supervises the instances of this node.");
  values.AddTo(flags);
  if (const std::optional<int> code = flags.Parse(argc, argv)) return *code;
  const auto options = values.Read();
  if (!options.ok()) {
    FatalError(kProgram, options.status());
    return 2;  // as for any other bad flag
  }
  RaiseFileLimit();
  const auto app = AgentApp::Create(*options);
  if (!app.ok()) return FatalError(kProgram, app.status());
  OnShutdownSignal((*app)->loop(), [&] { (*app)->RequestStop(); });
  (*app)->Run();
  return 0;
}
