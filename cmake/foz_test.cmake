# foz_broker_test(NAME x COMMAND program … [TIMEOUT seconds] [LABELS …] [ENVIRONMENT A=b …])
#
# A test against a real broker: FOZ_TEST_BROKER is its URL with a virtual host that no other test uses. The broker is
# the ctest fixture `rabbitmq` (tests/CMakeLists.txt).
define_property(GLOBAL PROPERTY FOZ_VHOSTS BRIEF_DOCS "Virtual hosts that tests use")

function(foz_broker_test)
  cmake_parse_arguments(T "" "NAME;TIMEOUT" "COMMAND;LABELS;ENVIRONMENT" ${ARGN})
  set_property(GLOBAL APPEND PROPERTY FOZ_VHOSTS ${T_NAME})
  add_test(NAME ${T_NAME} COMMAND ${CMAKE_SOURCE_DIR}/tests/support/with_broker
           ${CMAKE_BINARY_DIR}/rabbitmq ${T_NAME} ${T_COMMAND})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 120)
  endif()
  set_tests_properties(${T_NAME} PROPERTIES FIXTURES_REQUIRED rabbitmq TIMEOUT ${T_TIMEOUT} LABELS "broker;${T_LABELS}"
                       ENVIRONMENT "${T_ENVIRONMENT}")
endfunction()
