// What names may look like. Each check says what is allowed, or nothing when the text is fine.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pando::controller {

using Complaint = std::optional<std::string>;

// Of an app or a gateway: it becomes part of instance names, host names and file names.
Complaint CheckName(std::string_view text);
// Of an environment variable that an app may set itself.
Complaint CheckEnvName(std::string_view text);
// "*", "*.example.com" or an exact name, in lower case, without a port.
Complaint CheckHost(std::string_view text);
// A path prefix to route by.
Complaint CheckRoutePath(std::string_view text);
// A path to probe; it may have a query.
Complaint CheckProbePath(std::string_view text);
// A header field a probe sends, and its value; what frames a message is not for specs to say.
Complaint CheckFieldName(std::string_view text);
Complaint CheckFieldValue(std::string_view text);
// What a Host field may hold: a name or an address, perhaps with a port.
Complaint CheckHostField(std::string_view text);
// "" or "acme.v1.Orders": the service a gRPC server is asked about.
Complaint CheckGrpcService(std::string_view text);
// A path Prometheus scrapes.
Complaint CheckMetricsPath(std::string_view text);
Complaint CheckLabelName(std::string_view text);
Complaint CheckLabelValue(std::string_view text);
// A user or group of a node, by name or number.
Complaint CheckAccount(std::string_view text);
// Where a file is on a node.
Complaint CheckNodePath(std::string_view text);
Complaint CheckEnvFile(std::string_view text);
// Where a file is on a proxy's host.
Complaint CheckAbsolutePath(std::string_view text);
// A numeric IPv4 or IPv6 address.
Complaint CheckAddress(std::string_view text);
// The one way to write an address that CheckAddress takes: "0:0::1" is "::1".
std::string CanonicalAddress(const std::string& address);
// One, or a range: "10.0.0.0/8".
Complaint CheckAddressRange(std::string_view text);

}  // namespace pando::controller
