#include "agent/connection_prober.h"

#include <sys/epoll.h>

#include <functional>
#include <iterator>

namespace pando::agent {
namespace {

using boost::system::error_code;

constexpr char kNoSet[] = "cannot wait for its answer";

}  // namespace

ConnectionProber::ConnectionProber(EventLoop& loop)
    : loop_(loop), set_(loop.io()), timer_(loop.io()) {}

void ConnectionProber::Probe(const ProbePolicy& policy, ConnectionProbe::Endpoints endpoints,
                             ProbeDone done) {
  const uint64_t id = ++last_id_;
  auto& entry = entries_[id] =
      std::make_unique<Entry>(Entry{ConnectionProbe(policy, std::move(endpoints)), std::move(done),
                                    loop_.Now() + policy.timeout});
  deadlines_.insert({entry->deadline, id});
  if (auto answered = Settle(id, *entry, entry->probe.Begin())) loop_.Post(std::move(answered));
  AwaitDeadline();
}

std::function<void()> ConnectionProber::Settle(uint64_t id, Entry& entry, Wait wait) {
  if (wait != Wait::kNothing && !Watch(id, entry, wait)) {
    entry.probe.GiveUp(kNoSet);
    wait = Wait::kNothing;
  }
  std::function<void()> answered;
  if (auto answer = entry.probe.TakeAnswer()) {
    answered = [alive = std::weak_ptr<char>(alive_), done = std::exchange(entry.done, nullptr),
                answer = *std::move(answer)] {
      if (!alive.expired()) done(answer);
    };
  }
  if (wait == Wait::kNothing) {
    deadlines_.erase({entry.deadline, id});
    entries_.erase(id);
  }
  return answered;
}

bool ConnectionProber::Open() {
  if (set_.is_open()) return true;
  const int fd = epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) return false;
  error_code error;
  set_.assign(fd, error);
  if (error) {
    close(fd);
    return false;
  }
  AwaitEvents();
  return true;
}

bool ConnectionProber::Watch(uint64_t id, Entry& entry, Wait wait) {
  const bool is_new = entry.watched != entry.probe.sockets();
  if (!is_new && entry.watched_for == wait) return true;
  if (!Open()) return false;
  epoll_event event = {};
  event.events = (wait == Wait::kReadable ? EPOLLIN : EPOLLOUT) | EPOLLET;
  event.data.u64 = id;
  entry.watched = entry.probe.sockets();
  entry.watched_for = wait;
  return epoll_ctl(set_.native_handle(), is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, entry.probe.fd(),
                   &event) == 0;
}

void ConnectionProber::AwaitEvents() {
  set_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                  [this, alive = std::weak_ptr<char>(alive_)](const error_code& error) {
                    if (error || alive.expired()) return;
                    OnEvents();
                  });
}

void ConnectionProber::OnEvents() {
  epoll_event events[64];
  const int count = epoll_wait(set_.native_handle(), events, std::size(events), 0);
  // First, so that it holds whatever a `done` does: what is left over is told anew.
  AwaitEvents();
  const std::weak_ptr<char> alive = alive_;  // a `done` may end this
  for (int i = 0; i < count && !alive.expired(); ++i) {
    const uint64_t id = events[i].data.u64;
    const auto found = entries_.find(id);
    if (found == entries_.end()) continue;
    Entry& entry = *found->second;
    if (const auto answered = Settle(id, entry, entry.probe.GoOn())) answered();
  }
}

// One timer for all; it is left alone when what it is for has ended.
void ConnectionProber::AwaitDeadline() {
  if (deadlines_.empty()) return;
  const Instant next = deadlines_.begin()->first;
  if (timer_at_ && *timer_at_ <= next) return;
  timer_at_ = next;
  timer_.expires_at(next);
  timer_.async_wait([this, alive = std::weak_ptr<char>(alive_)](const error_code& error) {
    if (!error && !alive.expired()) OnDeadline();
  });
}

void ConnectionProber::OnDeadline() {
  timer_at_.reset();
  const Instant now = loop_.Now();
  const std::weak_ptr<char> alive = alive_;
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const uint64_t id = deadlines_.begin()->second;
    Entry& entry = *entries_.at(id);
    entry.probe.Expire();
    if (const auto answered = Settle(id, entry, Wait::kNothing)) answered();
    if (alive.expired()) return;
  }
  AwaitDeadline();
}

}  // namespace pando::agent
