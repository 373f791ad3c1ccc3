#include "proxy/net/upstream_pool.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "proxy/net/forwarder.h"

namespace pando::proxy {

void UpstreamConnection::OnReady(uint32_t epoll_events) {
  if (!stream.open()) return;  // closed earlier in this batch
  stream.NoteEvents(epoll_events);
  if ((epoll_events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) connect_answered_ = true;
  if (exchange != nullptr) {
    exchange->OnUpstreamReady();
  } else if (stream.peer_closed() ||
             ((epoll_events & EPOLLIN) != 0 && stream.HasUnexpectedInput())) {
    // Closed, or speaking without being asked: either way of no further use. (An event for bytes
    // that were read with the last response may come late, hence the second look.)
    if (stream.peer_closed()) {
      host_.idle_limit.OnClosedByApp(
          std::chrono::duration_cast<Millis>(pool_.poller().now() - idle_since_));
    }
    pool_.Close(*this);
  }
}

void UpstreamConnection::OnTimer() {
  if (!stream.open()) return;
  if (exchange == nullptr) {
    pool_.Close(*this);
    return;
  }
  timed_out_ = true;
  exchange->OnUpstreamReady();
}

std::optional<bool> UpstreamConnection::ConnectResult() {
  if (!connect_answered_) return std::nullopt;
  if (stream.failed()) return false;
  connecting_ = false;
  return true;
}

void UpstreamConnection::CountBytes() {
  InstanceCounters& stats = *host_.stats;
  stats.request_bytes.Add(stream.sent_bytes() - std::exchange(sent_counted_, stream.sent_bytes()));
  stats.response_bytes.Add(stream.received_bytes() -
                           std::exchange(received_counted_, stream.received_bytes()));
}

UpstreamPool::~UpstreamPool() = default;

void UpstreamPool::BeginTable() {
  for (auto& [counters, host] : hosts_) host->pickable = false;
}

UpstreamHost* UpstreamPool::HostOf(const Endpoint& endpoint) {
  std::unique_ptr<UpstreamHost>& host = hosts_[endpoint.counters.get()];
  if (host == nullptr) {
    host = std::make_unique<UpstreamHost>();
    host->counters = endpoint.counters;
    absl::StatusOr<SocketAddress> address = MakeSocketAddress(endpoint.address, endpoint.port);
    // An address that cannot be used stays empty, and connecting to it fails like a refusal.
    if (address.ok()) host->address = *address;
  }
  host->pickable = true;
  return host.get();
}

void UpstreamPool::EndTable() {
  std::vector<UpstreamHost*> gone;
  for (auto& [counters, host] : hosts_) {
    if (!host->pickable) gone.push_back(host.get());
  }
  for (UpstreamHost* host : gone) {
    // A user of our own keeps the host from being forgotten between the two steps.
    AddUser(*host);
    CloseIdle(*host);
    RemoveUser(*host);
  }
}

UpstreamConnection* UpstreamPool::Take(UpstreamHost& host, Exchange& exchange) {
  if (host.idle.empty()) return nullptr;
  UpstreamConnection* connection = host.idle.back();
  host.idle.pop_back();
  poller_.timers().Cancel(*connection);
  connection->reused_ = true;
  connection->exchange = &exchange;
  return connection;
}

absl::StatusOr<UpstreamConnection*> UpstreamPool::Connect(UpstreamHost& host, Exchange& exchange,
                                                          Millis timeout) {
  if (host.address.size == 0) return absl::UnavailableError("the address cannot be used");
  UniqueFd fd(socket(host.address.get()->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid() && (errno == EMFILE || errno == ENFILE)) {
    CloseAllIdle();  // whoever waits needs a descriptor more than an idle connection does
    fd.reset(socket(host.address.get()->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  }
  if (!fd.valid()) {
    return absl::ResourceExhaustedError("no socket for an upstream connection");
  }
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const int raw = fd.get();
  bool connected = false;
  while (true) {
    if (connect(raw, host.address.get(), host.address.size) == 0) {
      connected = true;
      break;
    }
    if (errno == EINPROGRESS || errno == EINTR) break;
    if (errno == EADDRNOTAVAIL || errno == ENOMEM || errno == ENOBUFS) {
      return absl::ResourceExhaustedError("no local port for an upstream connection");
    }
    return absl::UnavailableError("refused");
  }
  auto owned = std::make_unique<UpstreamConnection>(*this, host, std::move(fd));
  UpstreamConnection* connection = owned.get();
  if (!poller_.Add(raw, *connection, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET).ok()) {
    return absl::ResourceExhaustedError("no room to watch an upstream connection");
  }
  connection->connecting_ = !connected;
  connection->connect_answered_ = connected;
  connection->exchange = &exchange;
  ++host.users;
  connections_.emplace(connection, std::move(owned));
  if (!connected) poller_.timers().Arm(*connection, poller_.now() + timeout);
  return connection;
}

void UpstreamPool::Release(UpstreamConnection& connection, std::optional<Millis> app_limit) {
  UpstreamHost& host = connection.host_;
  Millis keep = idle_timeout_;
  // What the app announces, and what it has been seen to do.
  for (const std::optional<Millis>& limit : {app_limit, host.idle_limit.limit()}) {
    if (limit.has_value()) keep = std::min(keep, IdleLimit::KeepFor(*limit));
  }
  if (!host.pickable || host.idle.size() >= max_idle_per_host_ || keep <= Millis{0} ||
      connection.stream.peer_closed()) {
    Close(connection);
    return;
  }
  connection.exchange = nullptr;
  connection.timed_out_ = false;
  connection.idle_since_ = poller_.now();
  poller_.timers().Arm(connection, poller_.now() + keep);
  host.idle.push_back(&connection);
}

void UpstreamPool::Close(UpstreamConnection& connection) {
  UpstreamHost& host = connection.host_;
  const auto idle = std::ranges::find(host.idle, &connection);
  if (idle != host.idle.end()) host.idle.erase(idle);
  connection.exchange = nullptr;
  connection.stream.Close();
  poller_.timers().Cancel(connection);
  auto node = connections_.extract(&connection);
  poller_.Retire(std::move(node.mapped()));
  RemoveUser(host);
}

void UpstreamPool::CloseIdle(UpstreamHost& host) {
  while (!host.idle.empty()) Close(*host.idle.back());
}

void UpstreamPool::CloseAllIdle() {
  for (auto& [counters, host] : hosts_) {
    // Hosts that may be picked are never forgotten, so the map stays as it is.
    if (host->pickable) CloseIdle(*host);
  }
}

void UpstreamPool::RemoveUser(UpstreamHost& host) {
  --host.users;
  ForgetIfUnused(host);
}

void UpstreamPool::ForgetIfUnused(UpstreamHost& host) {
  if (host.users == 0 && !host.pickable) hosts_.erase(host.counters.get());
}

}  // namespace pando::proxy
