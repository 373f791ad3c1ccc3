// The rules of one ignore file (.pandoignore, .gitignore), in gitignore's syntax: later lines win,
// "!" takes a name back in, "/" at the front or in the middle ties a pattern to the file's own
// directory, "/" at the end means directories only, "**" stands for any number of directories.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pando::artifact {

class IgnoreRules {
 public:
  explicit IgnoreRules(std::string_view text);

  // `path` is relative to the directory the rules are of, without a "/" at either end. True: it is
  // left out; false: it was taken back in; nothing: the rules do not say. What is in a directory
  // that is left out is left out with it, and is not to be asked for.
  std::optional<bool> Ignores(std::string_view path, bool is_directory) const;

 private:
  struct Rule {
    std::vector<std::string> parts;  // of the pattern, between its slashes
    bool takes_back = false;
    bool directories_only = false;
  };
  std::vector<Rule> rules_;
};

}  // namespace pando::artifact
