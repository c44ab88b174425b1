# A room is one folder of src/, built as one static library: espquant_room(sim DEPENDS base espdl LIBS hwy).
# DEPENDS names rooms, and only rooms listed earlier in src/CMakeLists.txt exist at that point, so a
# dependency that points upwards fails to configure.
function(espquant_room name)
  cmake_parse_arguments(ROOM "" "" "DEPENDS;LIBS;SOURCES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  add_library(espquant_${name} STATIC ${sources} ${ROOM_SOURCES})
  target_include_directories(espquant_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src ${CMAKE_BINARY_DIR}/src)
  target_link_libraries(espquant_${name} PUBLIC espquant_flags)
  foreach(room IN LISTS ROOM_DEPENDS)
    if(NOT TARGET espquant_${room})
      message(FATAL_ERROR "room '${name}' depends on '${room}', which is not below it")
    endif()
    target_link_libraries(espquant_${name} PUBLIC espquant_${room})
  endforeach()
  target_link_libraries(espquant_${name} PRIVATE ${ROOM_LIBS})
endfunction()

# The tests of a room: every tests/<name>/*_test.cpp, in one program.
function(espquant_room_tests name)
  cmake_parse_arguments(T "" "" "LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${name}/*_test.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${name} ${sources})
  target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(test_${name} PRIVATE espquant_flags GTest::gtest_main ${T_LIBS})
  gtest_discover_tests(test_${name} TEST_PREFIX ${name}. DISCOVERY_TIMEOUT 60
                       PROPERTIES TIMEOUT 600)
endfunction()
