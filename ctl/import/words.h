// What compose and PM2 do to texts before they use them. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "ctl/import/import.h"

namespace pando::ctl {

// As a shell splits a line into words: blanks, '...', "...", backslash. Nothing is expanded.
absl::StatusOr<std::vector<std::string>> SplitWords(std::string_view text);

// $NAME, ${NAME}, ${NAME:-default}, ${NAME-default}, ${NAME:+other}, ${NAME+other}, ${NAME:?error},
// ${NAME?error}, and $$ for a $. One without a value is "" and is added to `missing`.
absl::StatusOr<std::string> Interpolate(std::string_view text, const Variables& variables,
                                        std::vector<std::string>& missing);

// The lines NAME=VALUE of an .env file; other lines are passed over.
std::map<std::string, std::string> ParseEnvFile(std::string_view text);

}  // namespace pando::ctl
