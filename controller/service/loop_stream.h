// Server streams of the callback API whose state lives on the owner loop.
//
// A reaction (gRPC's thread) only posts; everything else here runs on the loop. At most one write
// and one read are in flight: a stream pulls its next message when it can write one, and the next
// request is read when the last one was handled, so nothing queues up behind a slow peer. The
// object deletes itself on the loop once gRPC is done with it; until then posted tasks may use it.
#pragma once

#include <grpcpp/support/server_callback.h>
#include <grpcpp/support/status.h>

#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "common/runtime/executor.h"

namespace pando::controller {

class ClosableStream {
 public:
  // Ends the stream with `status` once no write is in flight. Idempotent.
  virtual void Close(const grpc::Status& status) = 0;

 protected:
  ~ClosableStream() = default;
};

// The streams that are open, to end them at shutdown. Used on the loop.
class OpenStreams {
 public:
  // False after CloseAll: no stream may be opened any more.
  bool Add(ClosableStream* stream) {
    if (!closed_) streams_.insert(stream);
    return !closed_;
  }
  void Remove(ClosableStream* stream) { streams_.erase(stream); }
  void CloseAll() {
    closed_ = true;
    const std::vector<ClosableStream*> streams(streams_.begin(), streams_.end());
    for (ClosableStream* stream : streams) stream->Close(Unavailable());
  }
  size_t size() const { return streams_.size(); }
  static grpc::Status Unavailable() {
    return {grpc::StatusCode::UNAVAILABLE, "the controller is shutting down"};
  }

 private:
  std::set<ClosableStream*> streams_;
  bool closed_ = false;
};

// `Reactor` is grpc::ServerWriteReactor<Response> or grpc::ServerBidiReactor<..., Response>.
template <class Reactor, class Response>
class LoopWriter : public Reactor, public ClosableStream {
 public:
  // Once, after construction, in the service's method.
  virtual void Begin() {
    loop_.Post([this] {
      if (!streams_.Add(this)) return Close(OpenStreams::Unavailable());
      opened_ = true;
      OnOpen();
      Pump();
    });
  }

  void Close(const grpc::Status& status) final {
    if (closed_) return;
    closed_ = true;
    status_ = status;
    if (std::exchange(opened_, false)) {
      streams_.Remove(this);
      OnEnd();
    }
    Pump();
  }

 protected:
  LoopWriter(Executor& loop, OpenStreams& streams) : loop_(loop), streams_(streams) {}

  // On the loop. OnEnd is called once if OnOpen was; NextMessage never after it.
  virtual void OnOpen() {}
  virtual void OnEnd() = 0;
  virtual std::optional<Response> NextMessage() = 0;

  // To be called when NextMessage may have something.
  void Pump() {
    if (finished_ || writing_) return;
    if (!closed_) {
      if (std::optional<Response> next = NextMessage()) {
        outgoing_ = *std::move(next);
        writing_ = true;
        this->StartWrite(&outgoing_);
        return;
      }
      if (!last_status_ || closed_) return;
      return Close(*last_status_);
    }
    finished_ = true;
    this->Finish(status_);
  }

  // Ends the stream when NextMessage has nothing more.
  void CloseWhenDrained(const grpc::Status& status) {
    last_status_ = status;
    Pump();
  }

  bool ending() const { return closed_ || last_status_; }
  bool finished() const { return finished_; }
  Executor& loop() { return loop_; }

 private:
  void OnWriteDone(bool ok) final {
    loop_.Post([this, ok] {
      writing_ = false;
      if (!ok) Close({grpc::StatusCode::UNAVAILABLE, "the stream is broken"});
      Pump();
    });
  }
  void OnCancel() final {
    loop_.Post([this] { Close({grpc::StatusCode::CANCELLED, "cancelled by the client"}); });
  }
  // The task owns the object: it goes even if the loop stops before running it.
  void OnDone() final {
    loop_.Post([self = std::unique_ptr<LoopWriter>(this)] {});
  }

  Executor& loop_;
  OpenStreams& streams_;
  bool opened_ = false;
  bool writing_ = false;
  bool closed_ = false;    // no more messages; waits for the write in flight
  bool finished_ = false;  // Finish was called: no operation may be started
  grpc::Status status_;
  std::optional<grpc::Status> last_status_;
  Response outgoing_;
};

template <class Response>
using LoopWriteStream = LoopWriter<grpc::ServerWriteReactor<Response>, Response>;

template <class Request, class Response>
class LoopStream : public LoopWriter<grpc::ServerBidiReactor<Request, Response>, Response> {
  using Base = LoopWriter<grpc::ServerBidiReactor<Request, Response>, Response>;

 public:
  void Begin() override {
    Base::Begin();
    this->StartRead(&incoming_);
  }

 protected:
  using Base::Base;
  virtual void OnMessage(Request& request) = 0;

 private:
  void OnReadDone(bool ok) final {
    this->loop().Post([this, ok] {
      if (!ok) return this->Close(grpc::Status::OK);
      if (!this->ending()) OnMessage(incoming_);
      if (!this->finished()) this->StartRead(&incoming_);
    });
  }

  Request incoming_;
};

}  // namespace pando::controller
