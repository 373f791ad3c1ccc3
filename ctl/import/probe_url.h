// Health checks written as a command that asks the app itself: `curl -f http://localhost/health`.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pando::ctl {

// The path ("/health") that `command` asks of its own host over HTTP; nothing when it does not.
inline std::optional<std::string> PathOfOwnUrl(std::string_view command) {
  constexpr std::string_view kOwn[] = {"localhost", "127.0.0.1", "0.0.0.0", "[::1]"};
  constexpr std::string_view kScheme = "http://";
  const size_t begin = command.find(kScheme);
  if (begin == std::string_view::npos) return std::nullopt;
  std::string_view url = command.substr(begin + kScheme.size());
  url = url.substr(0, url.find_first_of(" \t\r\n\"'`|;&<>)#\\"));
  const std::string_view authority = url.substr(0, url.find('/'));
  for (const std::string_view own : kOwn) {
    if (authority != own && !authority.starts_with(std::string(own) + ":")) continue;
    const std::string_view path = url.substr(authority.size());
    return path.empty() ? "/" : std::string(path);
  }
  return std::nullopt;
}

}  // namespace pando::ctl
