# foz_broker_test(NAME x COMMAND program … [BROKERS rabbitmq foz] [TIMEOUT seconds] [LABELS …] [ENVIRONMENT A=b …])
#
# A test against a real broker: FOZ_TEST_BROKER is its URL with a virtual host that no other test uses, FOZ_TEST_BROKER_KIND
# its kind. Without BROKERS it is RabbitMQ alone. On RabbitMQ the test is called x, on the embedded broker x_on_foz. The
# brokers are the ctest fixtures `rabbitmq` and `foz_broker` (tests/CMakeLists.txt).
define_property(GLOBAL PROPERTY FOZ_VHOSTS BRIEF_DOCS "Virtual hosts that tests use")

function(foz_broker_test)
  cmake_parse_arguments(T "" "NAME;TIMEOUT" "COMMAND;BROKERS;LABELS;ENVIRONMENT" ${ARGN})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 120)
  endif()
  if(NOT T_BROKERS)
    set(T_BROKERS rabbitmq)
  endif()
  set_property(GLOBAL APPEND PROPERTY FOZ_VHOSTS ${T_NAME})
  foreach(broker ${T_BROKERS})
    if(broker STREQUAL rabbitmq)
      set(name ${T_NAME})
      set(fixture rabbitmq)
    elseif(broker STREQUAL foz)
      set(name ${T_NAME}_on_foz)
      set(fixture foz_broker)
    else()
      message(FATAL_ERROR "${T_NAME}: there is no broker ${broker}")
    endif()
    add_test(NAME ${name} COMMAND ${CMAKE_SOURCE_DIR}/tests/support/with_broker
             ${CMAKE_BINARY_DIR}/${fixture} ${T_NAME} ${T_COMMAND})
    set_tests_properties(${name} PROPERTIES FIXTURES_REQUIRED ${fixture} TIMEOUT ${T_TIMEOUT} LABELS "broker;${T_LABELS}"
                         ENVIRONMENT "GTEST_BRIEF=1;FOZ_TEST_BROKER_KIND=${broker};FOZ_OUT=${CMAKE_BINARY_DIR}/out/${name};${T_ENVIRONMENT}")
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/out/${name})
  endforeach()
endfunction()
