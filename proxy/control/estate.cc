#include "proxy/control/estate.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "proxy/control/table_file.h"

namespace pando::proxy {
namespace {

constexpr size_t kMaxTextBytes = 32 * 1024;
constexpr size_t kMaxFds = 128;  // of a message; the kernel's limit is 253

absl::Status Failed(const char* what) { return absl::ErrnoToStatus(errno, what); }

absl::StatusOr<UniqueFd> MakeSocket(const std::string& path, sockaddr_un& address) {
  UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Failed("cannot make a unix socket");
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), std::min(path.size(), sizeof(address.sun_path) - 1));
  return fd;
}

absl::StatusOr<UniqueFd> WriteMemory(const char* name, const std::string& bytes) {
  UniqueFd fd(memfd_create(name, MFD_CLOEXEC));
  if (!fd.valid()) return Failed("cannot make a file in memory");
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = write(fd.get(), bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Failed("cannot write a file in memory");
    done += static_cast<size_t>(n);
  }
  return fd;
}

absl::StatusOr<std::string> ReadMemory(const UniqueFd& fd) {
  std::string bytes;
  std::array<char, 16 * 1024> buffer{};
  while (true) {
    const ssize_t n =
        pread(fd.get(), buffer.data(), buffer.size(), static_cast<off_t>(bytes.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("cannot read a file in memory");
    if (n == 0) return bytes;
    bytes.append(buffer.data(), static_cast<size_t>(n));
  }
}

// One line of the estate and its descriptor.
absl::Status Take(const std::string& line, UniqueFd fd, Estate& estate) {
  const std::vector<std::string> words = absl::StrSplit(line, ' ');
  if (words[0] == "lock" && words.size() == 1) {
    estate.lock = std::move(fd);
    return absl::OkStatus();
  }
  if (words[0] == "snapshot" && words.size() == 1) {
    PANDO_ASSIGN_OR_RETURN(const std::string bytes, ReadMemory(fd));
    PANDO_ASSIGN_OR_RETURN(estate.snapshot, ParseSnapshot(bytes));
    return absl::OkStatus();
  }
  if (words[0] == "ticket-keys" && words.size() == 1) {
    PANDO_ASSIGN_OR_RETURN(estate.ticket_keys, ReadMemory(fd));
    return absl::OkStatus();
  }
  if (words[0] == "admin" && words.size() == 2) {
    estate.admin_address = words[1];
    estate.admin = std::move(fd);
    return absl::OkStatus();
  }
  uint32_t port = 0;
  if (words[0] != "listener" || words.size() != 3 || !absl::SimpleAtoi(words[2], &port) ||
      port > 65'535) {
    return absl::InvalidArgumentError(absl::StrCat("unknown part \"", line, "\""));
  }
  const auto number = static_cast<uint16_t>(port);
  if (estate.listeners.empty() || estate.listeners.back().address != words[1] ||
      estate.listeners.back().port != number) {
    estate.listeners.push_back({words[1], number, {}});
  }
  estate.listeners.back().fds.push_back(std::move(fd));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TakeoverAddress> TakeoverAddressIn(const std::string& data_dir) {
  TakeoverAddress result;
  result.directory.reset(open(data_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!result.directory.valid()) {
    return absl::ErrnoToStatus(errno, absl::StrCat("data directory ", data_dir));
  }
  result.path = absl::StrCat("/proc/self/fd/", result.directory.get(), "/takeover.sock");
  return result;
}

absl::StatusOr<UniqueFd> ListenForTakeover(const std::string& data_dir) {
  PANDO_ASSIGN_OR_RETURN(const TakeoverAddress place, TakeoverAddressIn(data_dir));
  sockaddr_un address{};
  PANDO_ASSIGN_OR_RETURN(UniqueFd fd, MakeSocket(place.path, address));
  unlink(place.path.c_str());
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(fd.get(), 4) != 0) {
    return Failed("cannot listen for takeovers");
  }
  return fd;
}

absl::StatusOr<UniqueFd> ConnectForTakeover(const std::string& data_dir) {
  PANDO_ASSIGN_OR_RETURN(const TakeoverAddress place, TakeoverAddressIn(data_dir));
  sockaddr_un address{};
  PANDO_ASSIGN_OR_RETURN(UniqueFd fd, MakeSocket(place.path, address));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno == ECONNREFUSED || errno == ENOENT) return absl::NotFoundError("nobody listens");
    return Failed("cannot reach the running proxy");
  }
  return fd;
}

absl::Status SendTakeover(int socket, const std::string& text, const std::vector<int>& fds) {
  iovec part{const_cast<char*>(text.data()), text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  std::vector<char> control(CMSG_SPACE(fds.size() * sizeof(int)));
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
  }
  const ssize_t n = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  return n < 0 ? Failed("cannot write to the other process") : absl::OkStatus();
}

absl::StatusOr<TakeoverMessage> ReceiveTakeover(int socket) {
  TakeoverMessage result;
  result.text.resize(kMaxTextBytes);
  std::vector<char> control(CMSG_SPACE(kMaxFds * sizeof(int)));
  iovec part{result.text.data(), result.text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t n = 0;
  do {
    n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return Failed("no answer from the other process");
  result.text.resize(static_cast<size_t>(n));
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    std::vector<int> fds((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(fds.data(), CMSG_DATA(header), fds.size() * sizeof(int));
    for (int fd : fds) result.fds.emplace_back(fd);
  }
  // Out of descriptors, the kernel drops those it has no place for.
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return absl::ResourceExhaustedError("too few file descriptors for what is handed over");
  }
  return result;
}

absl::Status SendEstate(int socket, const Estate& estate) {
  PANDO_ASSIGN_OR_RETURN(const UniqueFd snapshot,
                         WriteMemory("pando-table", SerializeSnapshot(estate.snapshot)));
  PANDO_ASSIGN_OR_RETURN(const UniqueFd keys, WriteMemory("pando-keys", estate.ticket_keys));
  std::vector<std::pair<std::string, int>> parts = {
      {"lock", estate.lock.get()}, {"snapshot", snapshot.get()}, {"ticket-keys", keys.get()}};
  if (estate.admin.valid()) {
    parts.emplace_back(absl::StrCat("admin ", estate.admin_address), estate.admin.get());
  }
  for (const ListeningSockets& listener : estate.listeners) {
    for (const UniqueFd& fd : listener.fds) {
      parts.emplace_back(absl::StrCat("listener ", listener.address, " ", listener.port), fd.get());
    }
  }
  for (size_t begin = 0; begin < parts.size(); begin += kMaxFds) {
    std::string text;
    std::vector<int> fds;
    for (size_t i = begin; i < std::min(begin + kMaxFds, parts.size()); ++i) {
      absl::StrAppend(&text, parts[i].first, "\n");
      fds.push_back(parts[i].second);
    }
    PANDO_RETURN_IF_ERROR(SendTakeover(socket, text, fds));
  }
  return SendTakeover(socket, absl::StrCat("end ", estate.predecessor));
}

absl::StatusOr<Estate> ReceiveEstate(int socket) {
  Estate estate;
  while (true) {
    PANDO_ASSIGN_OR_RETURN(TakeoverMessage message, ReceiveTakeover(socket));
    if (message.text.empty()) return absl::UnavailableError("it hung up");
    if (message.text.rfind("end ", 0) == 0) {
      estate.predecessor = message.text.substr(4);
      if (!estate.lock.valid()) return absl::InvalidArgumentError("it kept its data directory");
      return estate;
    }
    const std::vector<std::string> lines = absl::StrSplit(message.text, '\n', absl::SkipEmpty());
    if (lines.size() != message.fds.size()) {
      return absl::InvalidArgumentError("lines and descriptors do not match");
    }
    for (size_t i = 0; i < lines.size(); ++i) {
      PANDO_RETURN_IF_ERROR(Take(lines[i], std::move(message.fds[i]), estate));
    }
  }
}

}  // namespace pando::proxy
