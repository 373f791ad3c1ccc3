// ctl cordon, uncordon, unfreeze.
#include <memory>

#include "ctl/change.h"
#include "ctl/command.h"

namespace pando::ctl {

namespace {

ExitCode Cordon(Context& context, const std::string& node, bool cordoned) {
  v1::CordonRequest request;
  request.set_node(node);
  request.set_cordoned(cordoned);
  if (absl::Status status = context.client().Cordon(request); !status.ok()) {
    return context.Fail(status);
  }
  PrintDone(context, node, cordoned ? "cordoned" : "uncordoned");
  return ExitCode::kOk;
}

void AddCordon(CommandLine& line, const std::string& name, const std::string& description,
               bool cordoned) {
  auto node = std::make_shared<std::string>();
  CLI::App& command = line.Add(name, description, [node, cordoned](Context& context) {
    return Cordon(context, *node, cordoned);
  });
  command.add_option("NODE", *node, "The node's name, see `ctl nodes`")->required()->type_name("");
}

ExitCode Unfreeze(Context& context) {
  if (absl::Status status = context.client().Unfreeze(); !status.ok()) {
    return context.Fail(status);
  }
  PrintDone(context, "cluster", "unfrozen");
  return ExitCode::kOk;
}

}  // namespace

void AddNodeCommands(CommandLine& line) {
  AddCordon(line, "cordon", "Place no new instances on a node; what runs there stays", true);
  AddCordon(line, "uncordon", "Place instances on the node again", false);
  line.Add("unfreeze", "After a mass loss: the silent nodes are really gone, replace what they ran",
           Unfreeze);
}

}  // namespace pando::ctl
