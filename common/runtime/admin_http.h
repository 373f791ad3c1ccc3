// A small HTTP/1.1 server for /healthz, /metrics and a daemon's own read-only pages (GET and HEAD
// only). Runs on the EventLoop's thread, so handlers may read what that loop owns. Bounded: 64
// connections, 8 KiB of request head, 10 s of idleness.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/runtime/event_loop.h"
#include "common/runtime/metrics.h"
#include "common/runtime/unique_fd.h"

namespace pando {

struct AdminResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

class AdminHttp {
 public:
  using Handler = std::function<AdminResponse()>;

  AdminHttp(EventLoop& loop, Metrics& metrics);  // both outlive it
  ~AdminHttp();

  // /healthz answers 200 "ok\n" unless replaced; /metrics is always there. Call before Listen.
  void Handle(std::string path, Handler handler);

  // "127.0.0.1:7480"; port 0 takes a free one. Error: "cannot listen on 127.0.0.1:7480: address
  // already in use (another program has it; choose another with --http-listen)".
  absl::Status Listen(const std::string& address, const std::string& flag_name);
  // A socket that listens already, in another process so far.
  void Adopt(UniqueFd listening);
  // A duplicate of the listening socket; invalid when there is no room for one.
  UniqueFd ShareListener() const;
  // Leaves the address to others; connections that are open live on.
  void StopListening();
  uint16_t port() const;

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace pando
