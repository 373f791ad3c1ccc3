// Test clients of the controller's streams: a thread reads, the test waits for what it wants to
// see, with a deadline.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace pando::controller {

inline constexpr std::chrono::seconds kTestDeadline{20};

template <class Request, class Response>
class StreamTestClient {
 public:
  using Stream = grpc::ClientReaderWriter<Request, Response>;

  template <class Open>  // ClientContext* -> unique_ptr<Stream>
  explicit StreamTestClient(Open open) : stream_(open(&context_)) {}
  virtual ~StreamTestClient() { Cancel(); }

  // After construction, so that a subclass is complete when it hears of messages.
  void Start() {
    reader_ = std::thread([this] {
      Response message;
      while (stream_->Read(&message)) {
        const std::lock_guard lock(mutex_);
        OnMessage(message);
        changed_.notify_all();
      }
      grpc::Status status = stream_->Finish();
      const std::lock_guard lock(mutex_);
      ended_ = true;
      status_ = std::move(status);
      changed_.notify_all();
    });
  }

  void Cancel() {
    context_.TryCancel();
    if (reader_.joinable()) reader_.join();
  }

  void Write(const Request& request) {
    const std::lock_guard lock(write_mutex_);
    stream_->Write(request);
  }

  // False: it did not happen in time. `condition` is asked with the lock held.
  bool WaitFor(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kTestDeadline, condition);
  }
  // What `read` returns, a copy of something OnMessage changes; called with the lock held.
  template <class Read>
  auto Get(const Read& read) {
    const std::lock_guard lock(mutex_);
    return read();
  }
  // The status the stream ended with.
  grpc::Status WaitForEnd() {
    if (!WaitFor([this] { return ended_; })) return {grpc::StatusCode::DEADLINE_EXCEEDED, "open"};
    return status_;
  }

 protected:
  virtual void OnMessage(const Response& message) = 0;  // lock held; may Write

 private:
  grpc::ClientContext context_;
  std::unique_ptr<Stream> stream_;
  std::mutex write_mutex_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  grpc::Status status_;
  std::thread reader_;
};

}  // namespace pando::controller
