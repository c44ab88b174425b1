# A room is one folder of src/, built as one static library: espquant_room(sim DEPENDS base espdl LIBS hwy).
# DEPENDS names rooms, and only rooms listed earlier in src/CMakeLists.txt exist at that point, so a
# dependency that points upwards fails to configure.
function(espquant_room name)
  cmake_parse_arguments(ROOM "" "" "DEPENDS;LIBS;SOURCES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  add_library(espquant_${name} STATIC ${sources} ${ROOM_SOURCES})
  espquant_unity(espquant_${name})
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

# Compiles the sources of `target` several to an object, which takes most of a fresh build's time off:
# headers are read, and templates instantiated, once for all of them. Such files share their anonymous
# namespaces, so their helpers have names of their own. What Highway reads again for every instruction
# set stays alone.
function(espquant_unity target)
  if(NOT ESPQUANT_UNITY)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  get_target_property(sources ${target} SOURCES)
  foreach(source IN LISTS sources)
    if(source MATCHES "\\.cpp$" AND EXISTS ${source})
      file(STRINGS ${source} again REGEX "hwy/foreach_target.h")
      if(again)
        set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
      endif()
    endif()
  endforeach()
endfunction()

# The tests of a room: every tests/<name>/*_test.cpp, in one program.
function(espquant_room_tests name)
  cmake_parse_arguments(T "" "" "LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${name}/*_test.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${name} ${sources})
  espquant_unity(test_${name})
  target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(test_${name} PRIVATE espquant_flags GTest::gtest_main ${T_LIBS})
  gtest_discover_tests(test_${name} TEST_PREFIX ${name}. DISCOVERY_TIMEOUT 60
                       PROPERTIES TIMEOUT 600)
endfunction()
