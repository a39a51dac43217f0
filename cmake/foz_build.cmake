# Compiler settings that hold for every target: C++23, warnings as errors,
# sanitizers on request, ccache and mold when they are installed.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

option(FOZ_FUZZ "Build the libFuzzer targets (needs clang)" OFF)
set(FOZ_SANITIZE "" CACHE STRING "Value for -fsanitize=, for example address,undefined or thread")

# What another clone has compiled is found, too (paths below the source folder count as relative ones), also beside
# precompiled headers; what the compiler reports as included is what is compared, so nothing is preprocessed for the cache.
find_program(FOZ_CCACHE ccache)
if(FOZ_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER /usr/bin/env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_DEPEND=1 CCACHE_INODECACHE=1
      CCACHE_SLOPPINESS=pch_defines,time_macros ${FOZ_CCACHE})
endif()

find_program(FOZ_MOLD mold)
if(FOZ_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
                    -Wno-missing-field-initializers -Werror -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these falsely from inside the standard library and of Asio's coroutines, when it inlines.
  add_compile_options(-Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread
                      -Wno-maybe-uninitialized -Wno-dangling-pointer -Wno-mismatched-new-delete)
endif()

if(FOZ_SANITIZE)
  add_compile_options(-fsanitize=${FOZ_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${FOZ_SANITIZE})
endif()
if(FOZ_SANITIZE MATCHES thread)
  # TSan does not understand fences. What crosses threads here goes through a mutex or an atomic, never through one.
  add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
  add_compile_options(-Wno-tsan)
endif()
if(FOZ_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# Asio and Beast: header-only, without the deprecated parts.
add_compile_definitions(BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION)

find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(simdjson REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(GTest REQUIRED)
find_package(ZLIB REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
