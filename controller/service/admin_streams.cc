#include "controller/service/admin_streams.h"

#include <optional>
#include <string>
#include <utility>

#include "controller/service/admin_views.h"
#include "controller/service/grpc_status.h"

namespace pando::controller {
namespace {

class WatchStream final : public LoopWriteStream<v1::ClusterView> {
 public:
  WatchStream(ControlLoop& control, OpenStreams& streams, std::string app)
      : LoopWriter(control.loop(), streams), control_(control), app_{std::move(app)} {}

 private:
  void OnOpen() override {
    watch_ = control_.Watch([this] {
      changed_ = true;
      Pump();
    });
  }
  void OnEnd() override { control_.Unwatch(watch_); }

  std::optional<v1::ClusterView> NextMessage() override {
    if (!std::exchange(changed_, false)) return std::nullopt;
    return ToClusterView(control_, app_, loop().Now(), loop().WallNow());
  }

  ControlLoop& control_;
  const AppId app_;
  uint64_t watch_ = 0;
  bool changed_ = true;
};

class EventStream final : public LoopWriteStream<v1::Event> {
 public:
  EventStream(ControlLoop& control, OpenStreams& streams, v1::EventsRequest request)
      : LoopWriter(control.loop(), streams), control_(control), request_(std::move(request)) {}

 private:
  void OnOpen() override {
    Rewind();
    if (request_.follow()) {
      follower_ = control_.timeline().Follow([this] { Pump(); });
    } else {
      CloseWhenDrained(ToGrpc(CheckApp()));
    }
  }
  void OnEnd() override {
    if (follower_ != 0) control_.timeline().Unfollow(follower_);
  }

  // One that is gone may have events, one that never was has none.
  absl::Status CheckApp() const {
    if (request_.app().empty()) return absl::OkStatus();
    for (const v1::EventRecord& event : control_.timeline().events()) {
      if (event.app() == request_.app()) return absl::OkStatus();
    }
    return ResolveApp(control_.cluster(), request_.app()).status();
  }

  bool Wanted(const v1::EventRecord& event) const {
    return event.time_unix_ms() >= request_.since_unix_ms() &&
           (request_.app().empty() || event.app() == request_.app());
  }

  // To the first of the last `tail` events that are asked for.
  void Rewind() {
    if (request_.tail() == 0) return;
    const auto& events = control_.timeline().events();
    uint32_t left = request_.tail();
    for (auto it = events.rbegin(); it != events.rend() && left > 0; ++it) {
      next_ = it->sequence();
      if (Wanted(*it)) --left;
    }
  }

  std::optional<v1::Event> NextMessage() override {
    while (const v1::EventRecord* event = control_.timeline().At(next_)) {
      next_ = event->sequence() + 1;
      if (Wanted(*event)) return ToEvent(*event);
    }
    return std::nullopt;
  }

  ControlLoop& control_;
  const v1::EventsRequest request_;
  uint64_t next_ = 0;
  uint64_t follower_ = 0;
};

}  // namespace

grpc::ServerWriteReactor<v1::ClusterView>* NewWatchStream(ControlLoop& control,
                                                          OpenStreams& streams, std::string app) {
  auto* stream = new WatchStream(control, streams, std::move(app));
  stream->Begin();
  return stream;
}

grpc::ServerWriteReactor<v1::Event>* NewEventStream(ControlLoop& control, OpenStreams& streams,
                                                    v1::EventsRequest request) {
  auto* stream = new EventStream(control, streams, std::move(request));
  stream->Begin();
  return stream;
}

}  // namespace pando::controller
