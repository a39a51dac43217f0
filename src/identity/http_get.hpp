// One document over HTTPS, bounded in time and size: the only place that knows libcurl. Internal to the module.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <expected>
#include <string>

namespace foz::identity {

// What is wrong with a URL to fetch from, or empty: https://, or http:// to a loopback address or localhost; no user
// and no password in it.
std::string flaw_of_fetch_url(const std::string& url);

struct fetch_options {
    std::string ca_file;  // PEM; empty: the system's
    std::chrono::milliseconds timeout{5'000};
    std::size_t octets_max = 0;
};

// Blocks the calling thread until the answer is there, the time is over, or `stop` has become true (noticed within a
// second). The certificate and its name are checked, redirects are not followed, and only the status 200 is an answer.
// The error is a few words without the URL.
std::expected<std::string, std::string> http_get(const std::string& url, const fetch_options& options,
                                                 const std::atomic<bool>& stop);

}  // namespace foz::identity
