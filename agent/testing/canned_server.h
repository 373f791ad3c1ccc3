// A server on a port of its own that says the same to everybody.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "common/runtime/unique_fd.h"

namespace pando::agent {

// Answers each connection with the same bytes, or with silence when there are none.
class CannedServer {
 public:
  CannedServer(const std::string& address, std::string answer) : answer_(std::move(answer)) {
    listener_.reset(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in name = {};
    name.sin_family = AF_INET;
    inet_pton(AF_INET, address.c_str(), &name.sin_addr);
    socklen_t size = sizeof(name);
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&name), size), 0);
    EXPECT_EQ(listen(listener_.get(), 16), 0);
    getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&name), &size);
    port_ = ntohs(name.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~CannedServer() {
    shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  uint16_t port() const { return port_; }
  // The newest one.
  std::string request() {
    const std::lock_guard lock(mutex_);
    return request_;
  }

 private:
  void Serve() {
    while (true) {
      const UniqueFd fd(accept(listener_.get(), nullptr, nullptr));
      if (!fd.valid()) return;
      char request[1024];
      const ssize_t size = read(fd.get(), request, sizeof(request));
      if (size <= 0) continue;
      {
        const std::lock_guard lock(mutex_);
        request_.assign(request, static_cast<size_t>(size));
      }
      if (!answer_.empty()) {
        (void)!write(fd.get(), answer_.data(), answer_.size());
      } else {
        (void)!read(fd.get(), request, sizeof(request));  // until the probe gives up
      }
    }
  }

  UniqueFd listener_;
  std::string answer_;
  std::mutex mutex_;
  std::string request_;
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace pando::agent
