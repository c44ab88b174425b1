# The library for other programs: all rooms in one file, shared and static, and what is installed.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
get_property(rooms GLOBAL PROPERTY ESPQUANT_ROOMS)

add_library(espquant_shared SHARED $<TARGET_OBJECTS:espquant_api>)
# Debian's libraries, and the rooms, are its own business.
target_link_libraries(espquant_shared PRIVATE espquant_api -Wl,--exclude-libs,ALL)
set_target_properties(espquant_shared PROPERTIES
  OUTPUT_NAME espquant EXPORT_NAME espquant VERSION ${PROJECT_VERSION}
  # Before 1.0 every minor version may change what programs see.
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})

set(objects $<TARGET_OBJECTS:espquant_onnx_schema>)
foreach(room IN LISTS rooms)
  list(APPEND objects $<TARGET_OBJECTS:${room}>)
endforeach()
add_library(espquant_static STATIC ${objects})
set_target_properties(espquant_static PROPERTIES OUTPUT_NAME espquant EXPORT_NAME espquant_static
                                                 LINKER_LANGUAGE CXX)
# By their plain names: a program that links statically needs Debian's development packages.
set(ESPQUANT_STATIC_LIBS dnnl hwy tbb fmt gomp protobuf-lite opencv_imgproc opencv_core jpeg png z sqlite3 crypto tomlplusplus pthread)
target_link_libraries(espquant_static INTERFACE ${ESPQUANT_STATIC_LIBS})

foreach(library espquant_shared espquant_static)
  target_include_directories(${library} INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
                                                  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(${library} INTERFACE cxx_std_20)
endforeach()

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/espquant)
install(TARGETS espquant RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
install(TARGETS espquant_shared EXPORT espquant
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library
        NAMELINK_COMPONENT development)
install(TARGETS espquant_static EXPORT espquant
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/espquant DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        COMPONENT development)
install(EXPORT espquant NAMESPACE espquant:: FILE espquantConfig.cmake DESTINATION ${package}
        COMPONENT development)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/espquantConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/espquantConfigVersion.cmake DESTINATION ${package}
        COMPONENT development)

list(TRANSFORM ESPQUANT_STATIC_LIBS PREPEND "-l" OUTPUT_VARIABLE private)
list(JOIN private " " ESPQUANT_PRIVATE_LIBS)
file(RELATIVE_PATH ESPQUANT_PC_TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${CMAKE_SOURCE_DIR}/cmake/espquant.pc.in ${CMAKE_BINARY_DIR}/espquant.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/espquant.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT development)

# What shells and man read comes out of the program.
set(shell ${CMAKE_BINARY_DIR}/shell)
add_custom_command(
  OUTPUT ${shell}/espquant.bash ${shell}/_espquant ${shell}/espquant.fish ${shell}/espquant.1
  COMMAND ${CMAKE_COMMAND} -E make_directory ${shell}
  COMMAND espquant completions bash > ${shell}/espquant.bash
  COMMAND espquant completions zsh > ${shell}/_espquant
  COMMAND espquant completions fish > ${shell}/espquant.fish
  COMMAND espquant completions man > ${shell}/espquant.1
  DEPENDS espquant VERBATIM)
add_custom_target(espquant_shell ALL DEPENDS ${shell}/espquant.bash)
set(data ${CMAKE_INSTALL_DATADIR})
install(FILES ${shell}/espquant.bash DESTINATION ${data}/bash-completion/completions RENAME espquant COMPONENT program)
install(FILES ${shell}/_espquant DESTINATION ${data}/zsh/vendor-completions COMPONENT program)
install(FILES ${shell}/espquant.fish DESTINATION ${data}/fish/vendor_completions.d COMPONENT program)
install(FILES ${shell}/espquant.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT program)
