// What forwarding bytes costs without looking at them: the least any proxy in user space can cost.
//   tcp_floor LISTEN_PORT UPSTREAM_PORT
// One thread, edge-triggered epoll, one connection to the instance for each client. No limits, no
// timeouts, no care for what is not sent at once: a measuring device, not a proxy.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

namespace {

struct Side {
  int fd = -1;
  Side* other = nullptr;
};

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void Watch(int epoll, Side* side) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
  event.data.ptr = side;
  epoll_ctl(epoll, EPOLL_CTL_ADD, side->fd, &event);
}

class Floor {
 public:
  Floor(int listen_port, int upstream_port)
      : upstream_(Loopback(upstream_port)), buffer_(64 * 1024), epoll_(epoll_create1(0)) {
    const sockaddr_in address = Loopback(listen_port);
    const int on = 1;
    listener_.fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener_.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(listener_.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (bind(listener_.fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        listen(listener_.fd, 4096) != 0) {
      std::perror("tcp_floor: cannot listen");
      std::exit(EXIT_FAILURE);
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &listener_;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_.fd, &event);
  }

  [[noreturn]] void Run() {
    std::array<epoll_event, 256> events{};
    while (true) {
      const int count = epoll_wait(epoll_, events.data(), events.size(), -1);
      for (int i = 0; i < count; ++i) {
        auto* side = static_cast<Side*>(events[i].data.ptr);
        if (side == &listener_) {
          Accept();
        } else if (side->fd >= 0 && !Forward(*side)) {
          Close(*side);
        }
      }
      closed_.clear();
    }
  }

 private:
  void Accept() {
    auto pair = std::make_unique<std::array<Side, 2>>();
    auto& [client, upstream] = *pair;
    client.fd = accept(listener_.fd, nullptr, nullptr);
    if (client.fd < 0) return;
    const int on = 1;
    upstream.fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(upstream.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const auto* address = reinterpret_cast<const sockaddr*>(&upstream_);
    if (connect(upstream.fd, address, sizeof(upstream_)) != 0) {
      close(client.fd);
      close(upstream.fd);
      return;
    }
    client.other = &upstream;
    upstream.other = &client;
    Watch(epoll_, &upstream);
    Watch(epoll_, &client);
    pairs_.push_back(std::move(pair));
  }

  // False when the side has ended.
  bool Forward(Side& side) {
    while (true) {
      const ssize_t n = recv(side.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
      if (n == 0) return false;
      if (n < 0) return true;
      send(side.other->fd, buffer_.data(), static_cast<size_t>(n), MSG_NOSIGNAL);
      if (static_cast<size_t>(n) < buffer_.size()) return true;  // drained; the end is an event
    }
  }

  void Close(Side& side) {
    close(side.fd);
    close(side.other->fd);
    side.fd = side.other->fd = -1;
    for (auto& pair : pairs_) {
      if (&(*pair)[0] != &side && &(*pair)[1] != &side) continue;
      closed_.push_back(std::move(pair));  // events of this round may still name it
      pair = std::move(pairs_.back());
      pairs_.pop_back();
      return;
    }
  }

  const sockaddr_in upstream_;
  std::vector<char> buffer_;
  const int epoll_;
  Side listener_;
  std::vector<std::unique_ptr<std::array<Side, 2>>> pairs_;
  std::vector<std::unique_ptr<std::array<Side, 2>>> closed_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: tcp_floor LISTEN_PORT UPSTREAM_PORT\n");
    return 2;
  }
  Floor(std::atoi(argv[1]), std::atoi(argv[2])).Run();
}
