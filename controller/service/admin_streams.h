// The Admin API's streams: the cluster's view, the timeline, and logs. Each holds no more than a
// bounded amount for a reader that does not keep up. Made on gRPC's thread, delete themselves.
#pragma once

#include <grpcpp/support/server_callback.h>

#include "controller/service/agent_service.h"
#include "controller/service/control_loop.h"
#include "controller/service/loop_stream.h"
#include "pando/v1/admin.pb.h"

namespace pando::controller {

// Latest wins: a slow reader skips views.
grpc::ServerWriteReactor<v1::ClusterView>* NewWatchStream(ControlLoop& control,
                                                          OpenStreams& streams, std::string app);
// A slow reader misses what falls out of the timeline meanwhile.
grpc::ServerWriteReactor<v1::Event>* NewEventStream(ControlLoop& control, OpenStreams& streams,
                                                    v1::EventsRequest request);
// By time, over all instances. A slow reader is waited for; see log_stream.cc.
grpc::ServerWriteReactor<v1::LogEntry>* NewLogStream(ControlLoop& control, OpenStreams& streams,
                                                     AgentService& agents, v1::LogsRequest request);

}  // namespace pando::controller
