// Whether what is said to a host stays on this machine.
#pragma once

#include <string>

namespace foz {

// An IPv4 or IPv6 loopback address, the latter with or without brackets; of names localhost alone (RFC 6761 §6.3).
// Nobody is asked: a name that resolves to a loopback address is not one for that.
bool is_loopback_host(std::string host);

}  // namespace foz
