# foz_precompile(KIND target…) compiles these targets with precompiled headers of one kind:
#
#   std       the standard library
#   net       std and Asio
#   test      std and GoogleTest
#   net_test  net and GoogleTest
#
# Each kind is compiled once for the whole tree. Only headers of others belong here: a change of one of ours would compile
# everything anew. Sources include what they use all the same: the linter compiles without precompiled headers, as
# -DFOZ_PCH=OFF does.
option(FOZ_PCH "Use precompiled headers" ON)

set(FOZ_PCH_std
    <algorithm> <array> <atomic> <charconv> <chrono> <compare> <cstddef> <cstdint> <cstdlib> <cstring> <deque> <exception>
    <expected> <filesystem> <fstream> <functional> <iterator> <limits> <map> <memory> <mutex> <optional> <set> <span>
    <stdexcept> <string> <string_view> <system_error> <thread> <type_traits> <unordered_map> <unordered_set> <utility>
    <variant> <vector>)
set(FOZ_PCH_net
    ${FOZ_PCH_std} <boost/asio/as_tuple.hpp> <boost/asio/awaitable.hpp> <boost/asio/buffer.hpp> <boost/asio/co_spawn.hpp>
    <boost/asio/detached.hpp> <boost/asio/io_context.hpp> <boost/asio/ip/tcp.hpp> <boost/asio/post.hpp>
    <boost/asio/ssl/context.hpp> <boost/asio/ssl/stream.hpp> <boost/asio/steady_timer.hpp>
    <boost/asio/use_awaitable.hpp>)
set(FOZ_PCH_test ${FOZ_PCH_std} <gmock/gmock.h> <gtest/gtest.h>)
set(FOZ_PCH_net_test ${FOZ_PCH_net} <gmock/gmock.h> <gtest/gtest.h>)

# What the tests of a module of this kind use.
set(FOZ_PCH_TESTS_OF_std test)
set(FOZ_PCH_TESTS_OF_net net_test)

# Tests spend their time in what they test; at -O1 they compile in two thirds of the time.
set(FOZ_TEST_OPTIONS $<$<CONFIG:Release>:-O1>)

# A target for each kind holds them; its one source is empty.
if(FOZ_PCH)
  foreach(kind std net test net_test)
    set(source ${CMAKE_BINARY_DIR}/precompiled/${kind}.cpp)
    file(CONFIGURE OUTPUT ${source} CONTENT "// Precompiled headers need a target, and a target a source.\n")
    add_library(foz_pch_${kind} OBJECT ${source})
    target_link_libraries(foz_pch_${kind} PRIVATE Boost::headers)
    if(kind MATCHES "test$")
      target_link_libraries(foz_pch_${kind} PRIVATE GTest::gtest GTest::gmock)
      target_compile_options(foz_pch_${kind} PRIVATE ${FOZ_TEST_OPTIONS})
    endif()
    target_precompile_headers(foz_pch_${kind} PRIVATE ${FOZ_PCH_${kind}})
  endforeach()
endif()

function(foz_precompile kind)
  if(FOZ_PCH)
    foreach(target ${ARGN})
      target_precompile_headers(${target} REUSE_FROM foz_pch_${kind})
    endforeach()
  endif()
endfunction()
