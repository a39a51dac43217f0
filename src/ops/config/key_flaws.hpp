// What is wrong with a value of the right type, in words, or empty: for key::flaw. Internal to the table.
#pragma once

#include "ops/config/keys.hpp"

#include <string>

namespace foz::ops::table {

// Of a text. Empty is good for files, folders and what may be off.
std::string no_file(const value& v);
std::string no_folder(const value& v);
std::string no_endpoint(const value& v);
std::string no_endpoint_or_off(const value& v);
std::string no_address(const value& v);
std::string no_header(const value& v);
std::string no_variable(const value& v);

// Of an integer.
std::string too_little_memory(const value& v);

// Of a list.
std::string no_urls(const value& v);
std::string empty_exchange(const value& v);
std::string no_networks(const value& v);
std::string no_hosts(const value& v);
std::string no_pairs(const value& v);
std::string no_vhost(const value& v);
std::string no_headers(const value& v);
std::string no_patterns(const value& v);

}  // namespace foz::ops::table
