// Real sockets for the data plane's tests: scripted apps, raw clients, a data plane with a table.
// Everything blocks, with a deadline; a script that fails to get what it waits for ends.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "proxy/core/upstream_table.h"
#include "proxy/net/data_plane.h"
#include "proxy/net/socket.h"

namespace pando::proxy {

inline constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
inline constexpr std::string_view kPost =
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";

// A blocking connection, from either side. Reads give up after 10 s.
class Wire {
 public:
  explicit Wire(UniqueFd fd);
  static std::unique_ptr<Wire> Connect(uint16_t port);

  bool Send(std::string_view bytes);
  // Up to and including `mark`; nullopt when the stream ends first.
  std::optional<std::string> ReadUntil(std::string_view mark);
  std::optional<std::string> ReadExactly(size_t count);
  // Counts bytes up to the stream's end, or `limit`, without keeping them.
  size_t Discard(size_t limit);
  std::string ReadToEnd();
  // Nothing more comes: a clean end or a reset.
  bool AtEnd();
  bool WasReset() const { return reset_; }
  void ShutdownWrite();
  void Shutdown();  // both ways; may be called by another thread
  void Reset();
  void Close() { fd_.reset(); }
  int fd() const { return fd_.get(); }

  struct Message {
    std::string head;
    std::string body;
    int status() const;
    bool Has(std::string_view text) const { return head.find(text) != std::string::npos; }
  };
  // A request or a response, by Content-Length or chunked (payload only); HEAD: no body.
  std::optional<Message> ReadMessage(bool head_only = false);
  // Send, then read the response.
  std::optional<Message> Ask(std::string_view request);

 private:
  bool Fill();
  UniqueFd fd_;
  std::string buffer_;
  bool reset_ = false;
};

// An app: runs `script` on a thread of its own for each connection.
class TestApp {
 public:
  using Script = std::function<void(Wire&, int connection)>;
  explicit TestApp(Script script);
  // Answers every request with 200 and `name`, for ever.
  static Script Answering(std::string name, std::atomic<int>* requests = nullptr);
  ~TestApp();

  uint16_t port() const { return port_; }
  int connections() const { return connections_.load(); }
  // Stops listening and ends all connections.
  void Stop();

 private:
  void Accept();

  Script script_;
  uint16_t port_ = 0;
  UniqueFd fd_;
  std::atomic<int> connections_{0};
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::list<std::shared_ptr<Wire>> wires_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

uint16_t FreePort();

// A running data plane with one listener and clusters of TestApps.
class TestProxy {
 public:
  explicit TestProxy(DataPlaneConfig config = {}, std::function<void()> drained = {});

  struct Member {
    uint16_t port = 0;
    EndpointHealth health = EndpointHealth::kHealthy;
  };
  using Members = std::vector<Member>;
  // All hosts and paths go to cluster "web" with these members. Returns when all workers serve by
  // it.
  void Serve(const Members& members);
  void Apply(std::shared_ptr<ProxyTable> table);
  std::shared_ptr<ProxyTable> Table(const Members& members);

  std::unique_ptr<Wire> Connect() { return Wire::Connect(port); }
  uint32_t InFlight(uint16_t app_port);
  ClusterStats Stats(const std::string& cluster = "web") const;

  uint16_t port;
  Millis connect_timeout{1'000};
  RouteLimits limits;
  HttpOptions http;
  LbPolicy policy = LbPolicy::kRoundRobin;
  Concurrency concurrency;
  QueueLimits queue;
  OutlierPolicy outlier;
  Millis slow_start{0};
  HashSource hash;
  DataPlane plane;

 private:
  EndpointRegistry registry_;
  uint64_t version_ = 0;
};

// Waits until `condition` holds; false after 10 s.
bool Eventually(const std::function<bool()>& condition);

size_t ResidentBytes();

}  // namespace pando::proxy
