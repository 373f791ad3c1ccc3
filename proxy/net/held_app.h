// For the data plane's tests: an app that answers when it is told to.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proxy/net/net_test_support.h"

namespace pando::proxy {

// An app that holds each request until it is let go, and notes how many it has at a time.
class HeldApp {
 public:
  HeldApp()
      : app_([this](Wire& wire, int) {
          while (const auto request = wire.ReadMessage()) {
            {
              std::unique_lock lock(mutex_);
              in_hand_ += 1;
              most_in_hand_ = std::max(most_in_hand_, in_hand_);
              const std::string& head = request->head;
              order_.push_back(head.substr(4, head.find(' ', 4) - 4));
              changed_.wait(lock, [this] { return let_go_ > 0; });
              --let_go_;
              --in_hand_;
            }
            wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
          }
        }) {}
  ~HeldApp() { LetGo(1'000'000); }

  uint16_t port() const { return app_.port(); }
  void LetGo(int count) {
    const std::lock_guard lock(mutex_);
    let_go_ += count;
    changed_.notify_all();
  }
  int most_in_hand() const {
    const std::lock_guard lock(mutex_);
    return most_in_hand_;
  }
  std::vector<std::string> order() const {
    const std::lock_guard lock(mutex_);
    return order_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int let_go_ = 0;
  int in_hand_ = 0;
  int most_in_hand_ = 0;
  std::vector<std::string> order_;
  TestApp app_;
};

inline std::string Get(int i) { return absl::StrCat("GET /", i, " HTTP/1.1\r\nHost: a\r\n\r\n"); }

}  // namespace pando::proxy
