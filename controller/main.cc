// pando-controller: keeps what operators want, decides what runs where, publishes the tables.
#include "common/runtime/flags.h"
#include "common/runtime/process_main.h"
#include "controller/service/controller_app.h"
#include "controller/service/controller_options.h"

int main(int argc, char** argv) {
  using namespace pando;
  using namespace pando::controller;
  constexpr char kProgram[] = "pando-controller";
  ControllerFlags values;
  Flags flags(kProgram, "Decides which instances of which app run where, and tells the proxies.");
  values.AddTo(flags);
  if (const std::optional<int> code = flags.Parse(argc, argv)) return *code;
  const auto options = values.Read();
  if (!options.ok()) {
    FatalError(kProgram, options.status());
    return 2;  // as for any other bad flag
  }
  RaiseFileLimit();
  const auto app = ControllerApp::Create(*options);
  if (!app.ok()) return FatalError(kProgram, app.status());
  OnShutdownSignal((*app)->loop(), [&] { (*app)->RequestStop(); });
  if (const absl::Status status = (*app)->Run(); !status.ok()) return FatalError(kProgram, status);
  return 0;
}
