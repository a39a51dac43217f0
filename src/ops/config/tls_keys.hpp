// The keys of the clients' port's TLS together.
#pragma once

#include "ops/config/configuration.hpp"

namespace foz::ops {

// With a certificate; what is said of it has been checked.
net::tls_server_options tls_of(const configuration& all);

}  // namespace foz::ops
