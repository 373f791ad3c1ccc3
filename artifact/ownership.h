// A tree lent to another user, so that programs of that user may change it. Only root can do this.
#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"

namespace pando::artifact {

// `dir` and all in it belongs to that user and group then. Nobody else may write to it meanwhile.
absl::Status GiveTree(const std::string& dir, uid_t uid, gid_t gid);

// Makes this process's user the owner of `dir` and of all in it that is `uid`'s, so that `uid` can
// change nothing of it any more; what `uid` could read and enter, `gid` still can. OK when there is
// no `dir`.
//
// Processes of `uid` may run and do what they like meanwhile: what has been taken does not change
// under our hands, no link is followed, and what belongs to somebody else, being a hard link of
// that user's making, is left alone. An error, when the rest is done, is the first there was;
// kInvalidArgument names a file of somebody else.
absl::Status TakeTree(const std::string& dir, uid_t uid, gid_t gid);

}  // namespace pando::artifact
