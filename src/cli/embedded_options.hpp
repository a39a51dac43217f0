// The embedded broker as the configuration wants it.
#pragma once

#include "broker/embedded.hpp"
#include "ops/config/configuration.hpp"

namespace foz::cli {

// Without users and policies of whoever runs it. Says to the log what the broker has to say.
broker::embedded_options embedded_options(const ops::configuration& all);

}  // namespace foz::cli
