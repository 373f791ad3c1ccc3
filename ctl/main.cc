// ctl: what a person or a CI job says to the controller.
#include "ctl/run.h"

int main(int argc, char** argv) {
  pando::ctl::Terminal terminal = pando::ctl::ProcessTerminal();
  return pando::ctl::RunCtl({argv + 1, argv + argc}, terminal);
}
