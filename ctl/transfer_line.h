// The one line that shows how a transfer goes.
#pragma once

#include <cstdint>
#include <string>

namespace pando::ctl {

// "uploading ./app  [#####.....]  50%  12 of 24 MiB  6.0 MiB/s". `sent` of the bytes were sent in
// `seconds`, the rest was there before. The bar takes what `columns` leave; 0: no bar.
std::string TransferLine(const std::string& what, uint64_t done, uint64_t size, uint64_t sent,
                         double seconds, int columns);

}  // namespace pando::ctl
