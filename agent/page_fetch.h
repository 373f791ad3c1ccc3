// Reads a page of an instance, as Prometheus would: asynchronous, on the loop's thread, bounded in
// size and time.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/time.h"

namespace pando::agent {

struct PageLimits {
  Millis timeout{5'000};  // of an app that is busy one would like to hear most
  size_t bytes = 1 << 20;
};

// An error is for people: "HTTP status 404".
using PageDone = std::function<void(const absl::StatusOr<std::string>& page)>;

// GET `path` of the first of the addresses that takes a connection. Calls `done` once, within the
// timeout, and never before it returns.
void FetchPage(boost::asio::io_context& io, std::vector<boost::asio::ip::tcp::endpoint> addresses,
               const std::string& path, const PageLimits& limits, PageDone done);

}  // namespace pando::agent
