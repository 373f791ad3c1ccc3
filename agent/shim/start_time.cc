#include "agent/shim/start_time.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

namespace pando::shim {

unsigned long long ReadStartTime(pid_t pid) {
  char text[1024];
  snprintf(text, sizeof(text), "/proc/%d/stat", static_cast<int>(pid));
  const int fd = open(text, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t size = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (size <= 0) return 0;
  text[size] = '\0';
  // The command name, in parentheses, may hold anything: fields are counted behind the last one.
  const char* field = strrchr(text, ')');
  for (int number = 2; field != nullptr && number < 22; ++number) field = strchr(field + 1, ' ');
  return field != nullptr ? strtoull(field + 1, nullptr, 10) : 0;
}

}  // namespace pando::shim
