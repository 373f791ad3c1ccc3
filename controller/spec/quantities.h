// Durations, sizes and shares of a processor as people write them, exactly: "1.5s" is 1500 ms,
// "0.5ms" is nothing. And back, in the largest unit that is exact.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pando::controller {

// "500ms", "1.5s", "2m", "1h" -> milliseconds.
std::optional<uint64_t> ParseDuration(std::string_view text);
std::string FormatDuration(uint64_t millis);

// "512Mi", "512MiB", "1G", "1GB", "1.5Gi", "100B" -> bytes. Ki, Mi, Gi, Ti are powers of 1024,
// K, M, G, T of 1000.
std::optional<uint64_t> ParseSize(std::string_view text);
std::string FormatSize(uint64_t bytes);

// "500m", "0.5", "2" -> thousandths of a processor.
std::optional<uint64_t> ParseCpu(std::string_view text);
std::string FormatCpu(uint64_t millis);

// "12", "0.5": digits with at most one point inside.
bool IsDecimal(std::string_view text);

}  // namespace pando::controller
