// How long an agent's loop takes from orders to the app: with the disk the orders are kept on.
#pragma once

#include <string>
#include <vector>

#include "agent/launcher.h"

namespace pando::agent {

// Gives a loop without a controller, in the directory `dir`, orders of one instance of `command`
// after the other. Milliseconds, `count` of them, from the orders to the agent being told that the
// app was executed. Ends the program when something fails.
std::vector<double> MeasureOrders(const LauncherConfig& config,
                                  const std::vector<std::string>& command, const std::string& dir,
                                  int count);

}  // namespace pando::agent
