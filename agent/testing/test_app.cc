// An app for the tests: does what its arguments say, one after the other.
//   print TEXT | err TEXT | env | cwd     to stdout, stderr
//   ignore-term                           SIGTERM does not end it
//   listen | http                         on PORT; http answers 200, or 503 after SIGUSR1
//   eat MIB | fork N | files               takes memory; tells how many children it could start,
//   and
//                                         how many files it may open
//   lines N BYTES                         numbered lines of so many bytes, as fast as it can
//   exit N | wait
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

extern char** environ;

namespace {

volatile sig_atomic_t status = 200;

int Listen() {
  const char* const port = getenv("PORT");
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(atoi(port != nullptr ? port : "0")));
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(fd, 64) != 0) {
    perror("listen");
    exit(1);
  }
  return fd;
}

void Eat(size_t bytes) {
  char* const memory = static_cast<char*>(malloc(bytes));
  if (memory != nullptr) memset(memory, 1, bytes);
  printf("ate %p\n", static_cast<void*>(memory));  // or it would be as if it had not
}

void PrintLines(long count, int bytes) {
  setvbuf(stdout, nullptr, _IOFBF, 1 << 16);
  for (long i = 0; i < count; ++i) printf("%ld %0*d\n", i, bytes - 12, 0);
  fflush(stdout);
}

void Fork(int count) {
  int forked = 0;
  for (int i = 0; i < count; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      while (true) pause();
    }
    if (child > 0) ++forked;
  }
  printf("forked %d\n", forked);
}

[[noreturn]] void ServeHttp(int listener) {
  struct sigaction act = {};
  act.sa_handler = [](int) { status = 503; };
  act.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &act, nullptr);
  while (true) {
    const int fd = accept(listener, nullptr, nullptr);
    if (fd < 0) continue;
    char text[2048];
    if (read(fd, text, sizeof(text)) < 0) perror("read");
    const int size = snprintf(text, sizeof(text), "HTTP/1.1 %d Word\r\nContent-Length: 0\r\n\r\n",
                              static_cast<int>(status));
    if (write(fd, text, static_cast<size_t>(size)) < 0) perror("write");
    close(fd);
  }
}

}  // namespace

int main(int argc, char** argv) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  for (int i = 1; i < argc; ++i) {
    const char* const word = argv[i];
    if (strcmp(word, "print") == 0) {
      printf("%s\n", argv[++i]);
    } else if (strcmp(word, "err") == 0) {
      fprintf(stderr, "%s\n", argv[++i]);
    } else if (strcmp(word, "env") == 0) {
      for (char** entry = environ; *entry != nullptr; ++entry) printf("%s\n", *entry);
    } else if (strcmp(word, "cwd") == 0) {
      char path[4096];
      printf("%s\n", getcwd(path, sizeof(path)));
    } else if (strcmp(word, "ignore-term") == 0) {
      signal(SIGTERM, SIG_IGN);
    } else if (strcmp(word, "listen") == 0) {
      Listen();
    } else if (strcmp(word, "http") == 0) {
      ServeHttp(Listen());
    } else if (strcmp(word, "eat") == 0) {
      Eat(strtoul(argv[++i], nullptr, 10) << 20);
    } else if (strcmp(word, "fork") == 0) {
      Fork(atoi(argv[++i]));
    } else if (strcmp(word, "lines") == 0) {
      const long count = strtol(argv[++i], nullptr, 10);
      PrintLines(count, atoi(argv[++i]));
    } else if (strcmp(word, "files") == 0) {
      rlimit limit = {};
      getrlimit(RLIMIT_NOFILE, &limit);
      printf("files %lu\n", static_cast<unsigned long>(limit.rlim_cur));
    } else if (strcmp(word, "exit") == 0) {
      return atoi(argv[++i]);
    } else if (strcmp(word, "wait") == 0) {
      while (true) pause();
    }
  }
  return 0;
}
