// ctl push ./app: gives the controller a directory, for specs that say `source: sha256:...`.
#include <memory>

#include "absl/strings/str_cat.h"
#include "artifact/core/source_name.h"
#include "ctl/command.h"
#include "ctl/format.h"
#include "ctl/json.h"
#include "ctl/packed_dir.h"

namespace pando::ctl {

namespace {

struct PushArgs {
  std::string dir = ".";
  bool dry_run = false;
};

ExitCode Push(Context& context, const PushArgs& args) {
  const auto packed = PackForUpload(context, args.dir);
  if (!packed.ok()) return context.Fail(packed.status());
  uint64_t sent = 0;
  if (!args.dry_run) {
    const auto uploaded = Upload(context, args.dir, *packed);
    if (!uploaded.ok()) return context.Fail(uploaded.status());
    sent = *uploaded;
  }
  const std::string name = artifact::DigestName(packed->packed.digest);
  if (IsDocument(context.options().format)) {
    JsonObject json;
    json.Text("digest", name)
        .Number("size_bytes", packed->packed.packed_bytes)
        .Number("unpacked_bytes", packed->packed.bytes)
        .Number("entries", packed->packed.entries)
        .Number("sent_bytes", sent);
    PrintDocument(context.out(), context.options().format, json.Str());
    return ExitCode::kOk;
  }
  // The name alone, so that a script can take it.
  context.out() << name << std::endl;
  if (!context.options().quiet) {
    context.terminal().err << absl::StrCat(args.dir, ": ", packed->packed.entries, " entries, ",
                                           FormatBytes(packed->packed.bytes), ", packed ",
                                           FormatBytes(packed->packed.packed_bytes),
                                           args.dry_run ? "" : ", sent ",
                                           args.dry_run ? "" : FormatBytes(sent))
                           << std::endl;
  }
  return ExitCode::kOk;
}

}  // namespace

void AddPushCommand(CommandLine& line) {
  auto args = std::make_shared<PushArgs>();
  CLI::App& command = line.Add("push", "Give the controller a directory, for `source: sha256:...`",
                               [args](Context& context) { return Push(context, *args); });
  command.add_option("DIR", args->dir, "What to pack (default: the current directory)")
      ->type_name("");
  command.add_flag("--dry-run", args->dry_run, "Only pack, and print the name it would have");
}

}  // namespace pando::ctl
