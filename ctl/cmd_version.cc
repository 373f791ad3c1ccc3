// ctl version: ours and the controller's.
#include "common/runtime/version.h"
#include "ctl/command.h"
#include "ctl/json.h"

namespace pando::ctl {

namespace {

ExitCode ShowVersion(Context& context) {
  const std::string ours(Version());
  const auto controller = context.client().Version();
  const OutputFormat format = context.options().format;
  if (IsDocument(format)) {
    JsonObject object;
    object.Text("ctl", ours);
    object.Raw("controller", controller.ok() ? ToJson(*controller) : "null");
    PrintDocument(context.out(), format, object.Str());
  } else {
    context.out() << "ctl         " << ours << std::endl;
    if (controller.ok()) {
      context.out() << "controller  " << controller->version() << " at "
                    << context.client().controller() << ", cluster " << controller->cluster_id()
                    << std::endl;
    }
  }
  return controller.ok() ? ExitCode::kOk : context.Fail(controller.status());
}

}  // namespace

void AddVersionCommand(CommandLine& line) {
  line.Add("version", "Print the versions of ctl and of the controller", ShowVersion);
}

}  // namespace pando::ctl
