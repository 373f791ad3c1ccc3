#include "controller/spec/source.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "artifact/core/entry_rules.h"
#include "artifact/core/source_name.h"
#include "controller/spec/readers.h"
#include "controller/spec/syntax.h"

namespace pando::controller {
namespace {

constexpr uint32_t kDefaultInstallTimeout = 600 * kSecond;
constexpr size_t kMaxWords = 1'000;

void ReadName(const Input& value, v1::Source& into) {
  const std::optional<std::string> text = value.Text();
  if (!text) return;
  artifact::SourceName name = artifact::ParseSourceName(*text);
  if (name.digest.empty()) {
    value.Fail(absl::StrCat(
        Quoted(*text), " has no digest (allowed: sha256:<64 hex digits>, as ctl push prints it; ",
        "ctl apply packs and uploads a directory and adds its digest)"));
    return;
  }
  into.set_dir(std::move(name.dir));
  into.set_digest(std::move(name.digest));
}

// One text is for a shell; a list is a program and its arguments.
void ReadInstall(const Input& value, v1::Source& into) {
  into.clear_install();
  if (value.IsText()) {
    into.set_install_shell(true);
    if (value.node().text.empty()) {
      value.Fail("is empty");
    } else {
      into.add_install(value.node().text);
    }
    return;
  }
  value.ForEachItem(kMaxWords, [&](const Input& item) {
    if (auto word = item.Text()) into.add_install(*std::move(word));
  });
  if (into.install_size() > 0 && into.install(0).empty()) {
    value.Fail("the program to start is \"\"");
  }
}

constexpr Field<v1::Source> kFields[] = {
    {"dir", ReadName},
    {"install", ReadInstall},
    {"install_timeout",
     [](const Input& value, v1::Source& into) {
       if (const auto millis = value.Duration(kSecond, kDay)) into.set_install_timeout_ms(*millis);
     }},
};

}  // namespace

void ReadSource(const Input& value, v1::Source& into) {
  into.set_install_timeout_ms(kDefaultInstallTimeout);
  if (value.IsText()) {
    ReadName(value, into);
    return;
  }
  ReadFields<v1::Source>(value, kFields, into);
  if (value.node().kind == YamlNode::Kind::kMap && !value.Find("dir")) {
    value.FailMissing("dir", "a directory, or what ctl push printed");
  }
}

std::optional<std::string> ResolveDirInSource(const std::string& dir) {
  std::string path = std::filesystem::path(dir).lexically_normal().string();
  if (path == "." || path == "./") path.clear();
  if (path.size() > 1 && path.back() == '/') path.pop_back();
  if (!path.empty() && !artifact::WhyBadPath(path).empty()) return std::nullopt;
  return path;
}

}  // namespace pando::controller
