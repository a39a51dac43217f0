# `cmake --install build/release --prefix P`: the program in P/bin, the client libraries in P/share/foz, and the CMake
# package of the SDK. In another project:
#
#   find_package(foz REQUIRED)
#   target_link_libraries(my_service foz::service)
#
# The SDK and the modules below it are static libraries; only the SDK's public headers are installed, and these include
# neither Asio nor AMQP.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

install(TARGETS foz RUNTIME)
install(FILES ${CMAKE_BINARY_DIR}/primus.js ${CMAKE_BINARY_DIR}/foz.js DESTINATION ${CMAKE_INSTALL_DATADIR}/foz)

set(modules base amqp_codec net amqp_conn contract service)
set(targets ${modules})
list(TRANSFORM targets PREPEND foz_)
foreach(module ${modules})
  set_target_properties(foz_${module} PROPERTIES EXPORT_NAME ${module})
endforeach()

install(TARGETS ${targets} EXPORT foz
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/foz)
foreach(header contract/channel_settings service/connect service/dedupe_store service/request service/worker)
  get_filename_component(folder ${header} DIRECTORY)
  install(FILES src/${header}.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/foz/${folder})
endforeach()

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/foz)
install(EXPORT foz NAMESPACE foz:: FILE foz-targets.cmake DESTINATION ${package})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/foz-config.cmake.in ${CMAKE_BINARY_DIR}/foz-config.cmake
                              INSTALL_DESTINATION ${package})
# Before 1.0 any minor version may change what users see.
write_basic_package_version_file(${CMAKE_BINARY_DIR}/foz-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/foz-config.cmake ${CMAKE_BINARY_DIR}/foz-config-version.cmake DESTINATION ${package})
