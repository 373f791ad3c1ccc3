#include "proxy/net/net_test_support.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "proxy/core/h1_body.h"

namespace pando::proxy {
namespace {

constexpr int kPatienceSeconds = 10;

UniqueFd Listen(uint16_t& port) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(fd.get(), 128) != 0) {
    std::abort();
  }
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return fd;
}

}  // namespace

Wire::Wire(UniqueFd fd) : fd_(std::move(fd)) {
  const timeval patience{kPatienceSeconds, 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

std::unique_ptr<Wire> Wire::Connect(uint16_t port) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) fd.reset();
  return std::make_unique<Wire>(std::move(fd));
}

bool Wire::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

bool Wire::Fill() {
  char chunk[65536];
  errno = 0;  // an end is no error and would leave the last one standing: AtEnd() looks at it
  const ssize_t n = recv(fd_.get(), chunk, sizeof(chunk), 0);
  if (n < 0 && errno == ECONNRESET) reset_ = true;
  if (n <= 0) return false;
  buffer_.append(chunk, static_cast<size_t>(n));
  return true;
}

std::optional<std::string> Wire::ReadUntil(std::string_view mark) {
  size_t at = 0;
  while ((at = buffer_.find(mark)) == std::string::npos) {
    if (!Fill()) return std::nullopt;
  }
  std::string result = buffer_.substr(0, at + mark.size());
  buffer_.erase(0, result.size());
  return result;
}

std::optional<std::string> Wire::ReadExactly(size_t count) {
  while (buffer_.size() < count) {
    if (!Fill()) return std::nullopt;
  }
  std::string result = buffer_.substr(0, count);
  buffer_.erase(0, count);
  return result;
}

size_t Wire::Discard(size_t limit) {
  size_t count = 0;
  while (true) {
    const size_t take = std::min(buffer_.size(), limit - count);
    buffer_.erase(0, take);
    count += take;
    if (count == limit || !Fill()) return count;
  }
}

std::string Wire::ReadToEnd() {
  while (Fill()) {
  }
  return std::exchange(buffer_, {});
}

bool Wire::AtEnd() { return buffer_.empty() && !Fill() && errno != EAGAIN; }
void Wire::ShutdownWrite() { shutdown(fd_.get(), SHUT_WR); }
void Wire::Shutdown() { shutdown(fd_.get(), SHUT_RDWR); }

void Wire::Reset() {
  // The descriptor stays, since another thread may be about to shut it down.
  const sockaddr none{AF_UNSPEC, {}};
  EXPECT_EQ(connect(fd_.get(), &none, sizeof(none)), 0) << strerror(errno);
}

int Wire::Message::status() const { return head.size() > 12 ? std::atoi(head.c_str() + 9) : 0; }

std::optional<Wire::Message> Wire::ReadMessage(bool head_only) {
  Message message;
  std::optional<std::string> head = ReadUntil("\r\n\r\n");
  if (!head.has_value()) return std::nullopt;
  message.head = *std::move(head);
  if (head_only) return message;
  if (message.Has("Transfer-Encoding: chunked")) {
    ChunkedDecoder decoder;
    while (true) {
      buffer_.erase(0, decoder.Consume(buffer_, &message.body));
      if (decoder.failed()) return std::nullopt;
      if (decoder.done()) return message;
      if (!Fill()) return std::nullopt;
    }
  }
  const size_t at = message.head.find("Content-Length: ");
  if (at == std::string::npos) return message;
  std::optional<std::string> body =
      ReadExactly(static_cast<size_t>(std::atoll(message.head.c_str() + at + 16)));
  if (!body.has_value()) return std::nullopt;
  message.body = *std::move(body);
  return message;
}

std::optional<Wire::Message> Wire::Ask(std::string_view request) {
  if (!Send(request)) return std::nullopt;
  return ReadMessage();
}

TestApp::TestApp(Script script) : script_(std::move(script)), fd_(Listen(port_)) {
  acceptor_ = std::thread([this] { Accept(); });
}

TestApp::Script TestApp::Answering(std::string name, std::atomic<int>* requests) {
  return [name = std::move(name), requests](Wire& wire, int) {
    while (auto request = wire.ReadMessage()) {
      if (requests != nullptr) ++*requests;
      wire.Send(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", name.size(), "\r\n\r\n", name));
    }
  };
}

void TestApp::Accept() {
  while (true) {
    UniqueFd fd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.valid()) return;
    auto wire = std::make_shared<Wire>(std::move(fd));
    std::lock_guard lock(mutex_);
    if (stopped_) return;
    wires_.push_back(wire);
    const int connection = connections_.fetch_add(1);
    threads_.emplace_back([this, wire, connection] {
      script_(*wire, connection);
      wire->Shutdown();
    });
  }
}

void TestApp::Stop() {
  if (stopped_.exchange(true)) return;
  shutdown(fd_.get(), SHUT_RDWR);
  acceptor_.join();
  fd_.reset();
  std::lock_guard lock(mutex_);
  for (const auto& wire : wires_) wire->Shutdown();
  for (std::thread& thread : threads_) thread.join();
}

TestApp::~TestApp() { Stop(); }

uint16_t FreePort() {
  uint16_t port = 0;
  const UniqueFd fd = Listen(port);
  return port;
}

TestProxy::TestProxy(DataPlaneConfig config, std::function<void()> drained)
    : port(FreePort()), plane([&] {
        if (config.workers == 0) config.workers = 2;
        return config;
      }()) {
  if (drained) plane.OnDrained(std::move(drained));
  if (!plane.Start().ok()) std::abort();
}

std::shared_ptr<ProxyTable> TestProxy::Table(const Members& members) {
  auto cluster = std::make_shared<Cluster>();
  cluster->name = "web";
  cluster->lb_policy = policy;
  cluster->concurrency = concurrency;
  cluster->queue = queue;
  cluster->outlier = outlier;
  cluster->slow_start = slow_start;
  cluster->connect_timeout = connect_timeout;
  for (const Member& member : members) {
    Endpoint endpoint;
    endpoint.address = "127.0.0.1";
    endpoint.port = member.port;
    endpoint.health = member.health;
    endpoint.counters = registry_.Get("web", endpoint.address, endpoint.port);
    cluster->endpoints.push_back(std::move(endpoint));
  }
  auto table = std::make_shared<ProxyTable>();
  table->version = ++version_;
  table->listeners = {{"default", "127.0.0.1", port, "main", std::nullopt, http}};
  Route route;
  route.cluster = "web";
  route.limits = limits;
  route.hash = hash;
  table->routes["main"] = {"main", {{{"*"}, {route}}}};
  table->clusters["web"] = std::move(cluster);
  return table;
}

void TestProxy::Serve(const Members& members) { Apply(Table(members)); }

void TestProxy::Apply(std::shared_ptr<ProxyTable> table) {
  if (!plane.PrepareListeners(table->listeners).ok()) std::abort();
  std::promise<void> switched;
  plane.SetTable(std::move(table), [&] { switched.set_value(); });
  switched.get_future().wait();
}

uint32_t TestProxy::InFlight(uint16_t app_port) {
  return registry_.Get("web", "127.0.0.1", app_port)->in_flight.load();
}

ClusterStats TestProxy::Stats(const std::string& cluster) const {
  for (ClusterStats& stats : plane.Stats().clusters) {
    if (stats.cluster == cluster) return stats;
  }
  return {};
}

bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < kPatienceSeconds * 1'000; ++i) {
    if (condition()) return true;
    poll(nullptr, 0, 1);
  }
  return false;
}

size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0;
  size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace pando::proxy
