// ctl spec: the spec in force, as YAML that `ctl apply` takes.
#include <memory>

#include "ctl/command.h"
#include "ctl/json.h"

namespace pando::ctl {

void AddSpecCommand(CommandLine& line) {
  auto app = std::make_shared<std::string>();
  CLI::App& command =
      line.Add("spec", "Print the spec of an app as it is in force", [app](Context& context) {
        v1::AppRequest request;
        request.set_app(*app);
        const auto spec = context.client().GetSpec(request);
        if (!spec.ok()) return context.Fail(spec.status());
        if (context.options().format == OutputFormat::kJson) {
          PrintDocument(context.out(), OutputFormat::kJson, ToJson(*spec));
        } else {
          context.out() << spec->yaml();
          if (!spec->yaml().empty() && spec->yaml().back() != '\n') context.out() << "\n";
          context.out() << std::flush;
        }
        return ExitCode::kOk;
      });
  AddAppArgument(command, *app);
}

}  // namespace pando::ctl
