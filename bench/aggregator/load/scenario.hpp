// What the load can do: one file for each. All print lines of JSON; "ready" is one of them where the driver goes on
// from there with lines on the standard input.
#pragma once

#include "arguments.hpp"
#include "crowd.hpp"

#include <cstdint>
#include <string>

namespace foz::load {

void fan_out(const arguments& all);
void interests(const arguments& all);
void idle(const arguments& all);
void arrival(const arguments& all);
void resume_prepare(const arguments& all);
void resume_storm(const arguments& all);
void burst(const arguments& all);
void flood(const arguments& all);
void noise_of(const arguments& all);

constexpr double longest_silence = 30;  // seconds without anything, for what must come

// `host`, `port`, `source` and `at_once`.
crowd_options crowd_in(const arguments& all);
std::uint16_t amqp_port_in(const arguments& all);
// Opens the clients and waits until each has been answered `answers` messages; throws std::runtime_error.
void join_and_wait(crowd& clients, std::size_t count, const crowd::greet& how, std::size_t answers);
// Waits for a line from the driver and goes on answering pings. False when the driver has gone.
bool next_command(crowd& clients, std::string& line);

}  // namespace foz::load
