// ctl import FILE: the spec of what a PM2 ecosystem file, a Procfile or a compose file starts.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/runtime/unique_fd.h"
#include "ctl/command.h"
#include "ctl/import/import.h"
#include "ctl/import/node_script.h"
#include "ctl/import/words.h"

namespace pando::ctl {

namespace {

namespace fs = std::filesystem;

struct ImportArgs {
  std::string file;
  std::string from;
  std::string environment;
  std::string out;
  bool force = false;
};

// By the file's name, as those who read it do.
std::string KindOf(const std::string& file) {
  const fs::path path(file);
  const std::string name = path.filename().string();
  const std::string extension = path.extension().string();
  if (absl::StartsWith(name, "Procfile") || extension == ".procfile") return "procfile";
  if (extension == ".js" || extension == ".cjs" || extension == ".mjs" || extension == ".json") {
    return "pm2";
  }
  if (extension == ".yaml" || extension == ".yml") {
    return absl::StrContains(name, "ecosystem") || absl::StrContains(name, "pm2") ? "pm2"
                                                                                  : "compose";
  }
  return "";
}

absl::StatusOr<std::string> ReadText(const std::string& file) {
  std::error_code error;
  if (fs::is_directory(file, error)) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": is a directory"));
  }
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ": ", std::generic_category().message(errno)));
  }
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

absl::StatusOr<Import> Read(const ImportArgs& args, const std::string& kind,
                            const Terminal& terminal) {
  ImportSource source{args.file, fs::absolute(args.file).parent_path().lexically_normal().string(),
                      ""};
  PANDO_ASSIGN_OR_RETURN(source.text, ReadText(args.file));
  if (kind == "procfile") return ImportProcfile(source);
  if (kind == "compose") {
    // As compose does: what is set here goes before the .env beside the file.
    const auto env_file = ReadText((fs::path(source.dir) / ".env").string());
    const auto from_file = env_file.ok() ? ParseEnvFile(*env_file) : terminal.env;
    return ImportCompose(source, [&](const std::string& name) -> std::optional<std::string> {
      for (const auto* variables : {&terminal.env, &from_file}) {
        const auto it = variables->find(name);
        if (it != variables->end()) return it->second;
      }
      return std::nullopt;
    });
  }
  const std::string extension = fs::path(args.file).extension().string();
  if (absl::EndsWith(extension, "js")) {
    PANDO_ASSIGN_OR_RETURN(source.text, ExportsOf(args.file));
    auto import = ImportPm2(source, args.environment);
    // What is read is what the program exports: the lines are not those of the file.
    if (import.ok()) {
      for (ImportNote& note : import->notes) note.line = 0;
      for (ImportedApp& app : import->apps) {
        for (ImportNote& note : app.notes) note.line = 0;
      }
    }
    return import;
  }
  return ImportPm2(source, args.environment);
}

absl::Status WriteFile(const std::string& file, const std::string& text, bool force) {
  const UniqueFd fd(
      open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | (force ? O_TRUNC : O_EXCL), 0644));
  if (!fd.valid() && errno == EEXIST) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ": is there already (--force overwrites it)"));
  }
  size_t done = 0;
  while (fd.valid() && done < text.size()) {
    const ssize_t size = write(fd.get(), text.data() + done, text.size() - done);
    if (size < 0 && errno != EINTR) break;
    if (size > 0) done += static_cast<size_t>(size);
  }
  if (done == text.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(file, ": ", std::generic_category().message(errno)));
}

void PrintNotes(std::ostream& err, const std::string& file, const std::string& app,
                const std::vector<ImportNote>& notes) {
  for (const ImportNote& note : notes) {
    err << file << ":" << (note.line > 0 ? absl::StrCat(note.line, ":") : "")
        << " note: " << (app.empty() ? "" : app + ": ") << note.text << "\n";
  }
}

ExitCode RunImport(Context& context, const ImportArgs& args) {
  const std::string kind = args.from.empty() ? KindOf(args.file) : args.from;
  if (kind.empty()) {
    return context.UsageError(absl::StrCat(
        args.file,
        ": neither ecosystem.config.js, Procfile nor compose.yaml by its name; say which "
        "with --from pm2, procfile or compose"));
  }
  const auto import = Read(args, kind, context.terminal());
  if (!import.ok()) return context.Fail(ExitCode::kError, std::string(import.status().message()));
  const std::string yaml = ToYaml(*import, fs::path(args.file).filename().string());
  if (args.out.empty()) {
    context.out() << yaml << std::flush;
  } else if (const absl::Status status = WriteFile(args.out, yaml, args.force); !status.ok()) {
    return context.Fail(ExitCode::kError, std::string(status.message()));
  }
  std::ostream& err = context.terminal().err;
  PrintNotes(err, args.file, "", import->notes);
  for (const ImportedApp& app : import->apps) PrintNotes(err, args.file, app.name, app.notes);
  err << std::flush;
  return ExitCode::kOk;
}

}  // namespace

void AddImportCommand(CommandLine& line) {
  auto args = std::make_shared<ImportArgs>();
  CLI::App& command =
      line.Add("import", "The spec of what PM2, a Procfile or a compose file starts",
               [args](Context& context) { return RunImport(context, *args); });
  command
      .add_option("FILE", args->file, "ecosystem.config.js (.cjs, .json), Procfile or compose.yaml")
      ->required()
      ->type_name("");
  command.add_option("--from", args->from, "What FILE is, if its name does not say so")
      ->check(CLI::IsMember({"pm2", "procfile", "compose"}))
      ->type_name("KIND");
  command.add_option("--env", args->environment, "With PM2: take env_NAME as well")
      ->type_name("NAME");
  command.add_option("-o,--out", args->out, "Write to this file, not to standard output")
      ->type_name("FILE");
  command.add_flag("--force", args->force, "Overwrite the file of --out");
}

}  // namespace pando::ctl
