# foz_module(NAME base
#   SOURCES a.cpp …           # the library foz_<NAME>; header-only when there are none
#   DEPENDS foz_x pkg::y …    # public link dependencies: all that the module may know
#   TESTS tests/a_test.cpp …  # one executable foz_<NAME>_test, one ctest entry <NAME>
#   BROKER_TESTS tests/b_test.cpp …  # against real brokers: foz_<NAME>_broker_test, ctest <NAME>_broker and …_on_foz
#   FUZZ fuzz/a_fuzz.cpp …    # one libFuzzer target each (a_fuzz), corpus in fuzz/corpus/a_fuzz/;
#                             # without FOZ_FUZZ the corpus is replayed by a plain driver, as a test
# )
#
# A module that names Asio or one of the modules that speak it is compiled with Asio's precompiled headers, all others with
# those of the standard library (foz_precompiled.cmake).
#
# Includes are written from src/: #include "base/frame.hpp".

# What the TSan build builds: programs and tests in which several shards run.
add_custom_target(multicore_tests)

# foz_test_program(NAME PCH source…): GoogleTest's main; PCH is the kind of what it tests.
function(foz_test_program name pch)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_options(${name} PRIVATE ${FOZ_TEST_OPTIONS})
  foz_precompile(${FOZ_PCH_TESTS_OF_${pch}} ${name})
endfunction()

function(foz_module)
  cmake_parse_arguments(M "" "NAME" "SOURCES;DEPENDS;TESTS;BROKER_TESTS;FUZZ" ${ARGN})
  set(target foz_${M_NAME})
  set(pch std)
  if(M_DEPENDS MATCHES "Boost::headers|foz_net|foz_amqp_conn|foz_ws_conn")
    set(pch net)
  endif()

  if(M_SOURCES)
    add_library(${target} STATIC ${M_SOURCES})
    foz_precompile(${pch} ${target})
    set(visibility PUBLIC)
  else()
    add_library(${target} INTERFACE)
    set(visibility INTERFACE)
  endif()
  target_include_directories(${target} ${visibility} $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src>)
  # Headers of others that no public header of ours includes: who links the installed package does not need them.
  list(TRANSFORM M_DEPENDS REPLACE "^Boost::headers$" "$<BUILD_INTERFACE:Boost::headers>")
  target_link_libraries(${target} ${visibility} ${M_DEPENDS})

  if(M_TESTS)
    foz_test_program(${target}_test ${pch} ${M_TESTS})
    target_link_libraries(${target}_test PRIVATE ${target})
    add_test(NAME ${M_NAME} COMMAND ${target}_test)
    set_tests_properties(${M_NAME} PROPERTIES TIMEOUT 120 LABELS unit ENVIRONMENT GTEST_BRIEF=1)
  endif()

  if(M_BROKER_TESTS)
    foz_test_program(${target}_broker_test ${pch} ${M_BROKER_TESTS})
    target_link_libraries(${target}_broker_test PRIVATE ${target})
    foz_broker_test(NAME ${M_NAME}_broker BROKERS rabbitmq foz COMMAND $<TARGET_FILE:${target}_broker_test>)
  endif()

  foreach(source ${M_FUZZ})
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    target_link_libraries(${name} PRIVATE ${target})
    foz_precompile(${pch} ${name})
    set(corpus ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${name})
    if(FOZ_FUZZ)
      target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    else()
      target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/replay_corpus.cpp)
    endif()
    add_test(NAME ${name} COMMAND ${name} $<$<BOOL:${FOZ_FUZZ}>:-runs=0> ${corpus} COMMAND_EXPAND_LISTS)
    set_tests_properties(${name} PROPERTIES TIMEOUT 120 LABELS fuzz)
  endforeach()
endfunction()
