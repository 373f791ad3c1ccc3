// What the agent and the shim agree on: inherited descriptors, files of an instance directory, and
// the lines on the shim's socket.
//
// Agent to shim:   "status", "stop <signal number> <grace in ms>"
// Shim to agent:   its state when a client connects, when asked, and at every change; one of
//   "running <incarnation> <pid> <pid's start time> <port> <started, unix ms>"
//   "failed <incarnation> <why the app could not be started>"
//   "exited <incarnation> <exit code> <signal> <OOM kills> <CPU time in ms> <largest resident
//   bytes>"
//     (code or signal is 0; earlier shims say none of the last three)
#pragma once

namespace pando::shim {

inline constexpr int kSessionFd = 3;  // a connected stream socket to the agent that spawned it
inline constexpr int kPortFd = 4;     // holds the port's reservation while it is open
inline constexpr int kLockFd = 5;     // holds the instance directory's lock while it is open

inline constexpr char kSocketFile[] = "shim.sock";
inline constexpr char kRunFile[] = "run";    // who runs: see RunRecord in agent/instance_dir.h
inline constexpr char kExitFile[] = "exit";  // how the last incarnation ended
inline constexpr char kTmpDir[] = "tmp";     // the app's /tmp, where it has one of its own
inline constexpr char kVarTmpDir[] = "var-tmp";
inline constexpr char kLogFile[] = "out.log";
inline constexpr char kStartsFile[] = "out.log.starts";  // see LogFile::MarkStart
inline constexpr int kLogFiles = 3;                      // out.log, out.log.1, out.log.2
inline constexpr long kLogFileBytes = 10L << 20;

}  // namespace pando::shim
