// An operation is a file with these items; operations.cpp lists them, and one that is missing does not compile.
//
//   name    as the coverage table has it
//   weight  how often it is drawn, compared with the others
//   input   what was drawn
//   make    draws it from the workload's stream; nothing when the run has no use for it now
//   apply   does it, and tells the oracle what has to hold from now on
#pragma once

#include "world.hpp"

#include <concepts>
#include <optional>
#include <string_view>

namespace foz::sim {

template <class T>
concept operation = requires(world& w, const typename T::input& in) {
    { T::name } -> std::convertible_to<std::string_view>;
    { T::weight } -> std::convertible_to<unsigned>;
    { T::make(w) } -> std::same_as<std::optional<typename T::input>>;
    { T::apply(w, in) } -> std::same_as<void>;
};

// Draws an operation and does it; its name.
std::string_view operate(world& w);

// The body of a client's message: which one it is, and what its service is to do.
std::string make_body(world& w, std::int64_t number, std::string_view to, std::string_view more);

}  // namespace foz::sim
