// A client's bidirectional gRPC stream whose events come on the owner loop.
//
// gRPC's threads only post; the next response is read when the last one was handled, and one write
// is in flight at most. Used on the loop. Destroying it cancels the call and waits until gRPC is
// done with it, so nothing is posted to a loop that is gone.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <latch>
#include <memory>
#include <utility>

#include "common/runtime/executor.h"

namespace pando::proxy {

template <class Request, class Response>
class ClientStream {
 public:
  using Reactor = grpc::ClientBidiReactor<Request, Response>;
  struct Events {
    std::function<void(const Response&)> on_response;
    std::function<void()> on_written;                 // the server's side of the wire has it
    std::function<void(const grpc::Status&)> on_end;  // last; may destroy the stream
  };
  // Starts the call on `reactor` with `context`: stub->async()->Method(context, reactor).
  using Start = std::function<void(grpc::ClientContext*, Reactor*)>;

  ClientStream(Executor& loop, Events events, const Start& start)
      : events_(std::move(events)), call_(new Call(loop, *this)), done_(call_->done()) {
    call_->Begin(start);
  }
  ~ClientStream() {
    if (call_ == nullptr) return;
    call_->Abandon();
    done_->wait();
  }
  ClientStream(const ClientStream&) = delete;
  ClientStream& operator=(const ClientStream&) = delete;

  bool writing() const { return writing_; }
  // Only while not writing.
  void Write(Request request) {
    if (call_ == nullptr || broken_) return;
    writing_ = true;
    call_->Write(std::move(request));
  }

 private:
  // Lives until gRPC is done with the call: OnDone hands it to the loop, which deletes it.
  class Call final : public Reactor {
   public:
    Call(Executor& loop, ClientStream& stream)
        : loop_(loop), stream_(&stream), done_(std::make_shared<std::latch>(1)) {}

    std::shared_ptr<std::latch> done() const { return done_; }
    void Begin(const Start& start) {
      start(&context_, this);
      this->AddHold();  // for the reads and writes started on the loop
      this->StartRead(&incoming_);
      this->StartCall();
    }
    void Write(Request request) {
      outgoing_ = std::move(request);
      this->StartWrite(&outgoing_);
    }
    void Abandon() {
      stream_ = nullptr;
      context_.TryCancel();
      Release();
    }

   private:
    void Release() {
      if (std::exchange(held_, false)) this->RemoveHold();
    }
    void OnReadDone(bool ok) override {
      loop_.Post([this, ok] {
        if (stream_ == nullptr) return;
        if (!ok) {
          stream_->broken_ = true;
          context_.TryCancel();  // a write that still waits fails too
          return Release();
        }
        stream_->events_.on_response(incoming_);
        if (stream_ != nullptr) this->StartRead(&incoming_);
      });
    }
    void OnWriteDone(bool ok) override {
      loop_.Post([this, ok] {
        if (stream_ == nullptr) return;
        stream_->writing_ = false;
        if (ok && !stream_->broken_) stream_->events_.on_written();
      });
    }
    void OnDone(const grpc::Status& status) override {
      const std::shared_ptr<std::latch> done = done_;
      loop_.Post([self = std::unique_ptr<Call>(this), status] {
        if (self->stream_ == nullptr) return;
        self->stream_->call_ = nullptr;
        const auto on_end = std::move(self->stream_->events_.on_end);
        on_end(status);
      });
      done->count_down();
    }

    Executor& loop_;
    ClientStream* stream_;  // null: abandoned
    std::shared_ptr<std::latch> done_;
    bool held_ = true;
    grpc::ClientContext context_;
    Request outgoing_;
    Response incoming_;
  };

  Events events_;
  Call* call_;  // null: ended
  std::shared_ptr<std::latch> done_;
  bool writing_ = false;
  bool broken_ = false;
};

}  // namespace pando::proxy
