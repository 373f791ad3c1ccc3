// A server that is statically linked and says its port in its source: nothing can be preloaded into
// it. Answers every request with the name of its instance.
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
  const char* const name = getenv("PANDO_INSTANCE");
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  // Read-only memory, as a constant of the program is.
  static const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = 0x901f};  // 8080
  if (bind(listener, (const struct sockaddr*)&address, sizeof(address)) != 0 ||
      listen(listener, 128) != 0) {
    perror("port 8080");
    return 1;
  }
  while (1) {
    const int client = accept(listener, NULL, NULL);
    if (client < 0) continue;
    char text[2048];
    const ssize_t size = read(client, text, sizeof(text));
    if (size > 0) {
      dprintf(client, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s\n",
              strlen(name != NULL ? name : "alone") + 1, name != NULL ? name : "alone");
    }
    close(client);
  }
}
