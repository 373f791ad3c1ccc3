// One try to give a controller what it lacks of a packed directory.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <memory>

#include "ctl/client.h"

namespace pando::ctl {

// Goes on where an earlier one was cut. Blocks; reads the file a piece at a time.
grpc::Status UploadOnce(const std::shared_ptr<grpc::Channel>& channel, const ArtifactFile& file,
                        const UploadProgress& progress);

}  // namespace pando::ctl
