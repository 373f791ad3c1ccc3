// One started app process, watched: keeps its log, its exit status and its port's reservation, and
// stops it when told. Outlives the agent. One thread, no heap; runs in the instance's directory.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "agent/shim/app_process.h"
#include "agent/shim/log_file.h"

namespace pando::shim {

struct Launch {
  AppStart app;
  unsigned incarnation = 0;
  unsigned port = 0;
};

// How the app ended.
struct AppExit {
  int code = 0;
  int signal = 0;                    // 0: it exited by itself
  unsigned long long oom_kills = 0;  // of its control group, this incarnation
  long long cpu_ms = 0;              // of the app and the children it waited for
  long long max_resident_bytes = 0;  // the largest of these processes
};

class Shim {
 public:
  // `session_fd` is a client that is there from the start.
  Shim(const Launch& launch, int session_fd);

  // From start to end of the app and all it leaves behind. Returns the process's exit code.
  int Run();

 private:
  enum class State { kStarting, kRunning, kExited };

  bool Prepare();
  bool Fail(const char* why);
  // Of an app that runs already; errno says why. Returns the process's exit code.
  int FailStarted(const char* what);
  bool WriteRunRecord();
  void WriteExitRecord();

  void Loop();
  int PollTimeout() const;
  void OnChildSignal();
  void OnAppExited(const AppExit& exit);
  void KillAll();
  // True when nothing of the app is left.
  bool CleanUp();

  void Accept();
  void OnClient(int index);
  void OnCommand(int index, const char* line);
  void Stop(int signal, int64_t grace_ms);
  void DescribeState();
  void Tell(int index);
  void TellAll();

  void OnBind(int events);
  void DrainPipes();
  void CloseLog();

  static constexpr int kMaxClients = 4;
  struct Client {
    int fd = -1;
    unsigned used = 0;
    char line[64];
  };

  Launch launch_;
  State state_ = State::kStarting;
  AppProcess app_;
  int64_t started_unix_ms_ = 0;
  AppExit exit_;
  int stop_signal_ = 0;         // 0: not told to stop
  int64_t kill_at_ms_ = -1;     // monotonic: when SIGKILL follows
  int64_t give_up_at_ms_ = -1;  // monotonic: when waiting for unkillable remains ends
  int signal_fd_ = -1;
  int listen_fd_ = -1;
  Client clients_[kMaxClients];
  char state_line_[640];
  LogFile log_;
  LineSplitter stdout_;
  LineSplitter stderr_;
};

}  // namespace pando::shim
