// What the importers share: apps are drafted key by key, each value brought to what a spec may say.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "ctl/import/import.h"

namespace pando::ctl {

class AppDraft {
 public:
  // A name the spec allows is made of `raw_name`; `line` is where it is written, 0: nowhere.
  AppDraft(const std::string& raw_name, int line);

  const std::string& name() const { return app_.name; }
  YAML::Node spec() { return app_.spec; }
  void Note(int line, std::string text) { app_.notes.push_back({line, std::move(text)}); }

  void SetCommand(const std::vector<std::string>& words);
  void SetShellCommand(const std::string& text);
  void SetDir(const std::string& dir, const std::string& base_dir);
  // `what` is how the source calls it, for the note when the value is not one for a spec.
  void AddEnv(int line, const std::string& what, const std::string& name, const std::string& value);
  void SetReplicas(int line, const std::string& what, int64_t replicas);
  // Brought into [min, max] milliseconds. `key` is the spec's: "stop.grace".
  void SetDuration(int line, std::string_view key, int64_t millis, int64_t min, int64_t max);
  // Brought into [min, max].
  void SetWhole(int line, std::string_view key, int64_t value, int64_t min, int64_t max);
  void SetText(std::string_view key, const std::string& text);
  void SetTexts(std::string_view key, const std::vector<std::string>& texts);
  void SetMemory(int line, std::string_view key, uint64_t bytes);

  ImportedApp Take() && { return std::move(app_); }

 private:
  ImportedApp app_;
};

// What holds only for all apps together: names differ, and so does what they answer to.
void Finish(Import& import);

// "Procfile:3: <text>"; line 0 is left out.
absl::Status ImportError(const ImportSource& source, int line, std::string_view text);

// Has `read` read the source as YAML (JSON is YAML as well). What has not the form it asks for is
// an error, too: the library throws.
absl::StatusOr<Import> OnYamlOf(
    const ImportSource& source,
    absl::FunctionRef<absl::StatusOr<Import>(const YAML::Node& root)> read);
// From 1; 0: unknown.
inline int LineOf(const YAML::Node& node) { return node.Mark().line + 1; }

// "512M", "1g", "300MB" -> bytes, all units being powers of 1024.
std::optional<uint64_t> ParseBytes(std::string_view text);

}  // namespace pando::ctl
