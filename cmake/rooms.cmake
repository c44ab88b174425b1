# A room is one folder of src/, built as one static library: espquant_room(sim DEPENDS base espdl LIBS hwy).
# DEPENDS names rooms, and only rooms listed earlier in src/CMakeLists.txt exist at that point, so a
# dependency that points upwards fails to configure. WITHOUT names files of the folder that stay out,
# UNITY how many go to an object, COLD says that it has no loops over data.
function(espquant_room name)
  cmake_parse_arguments(ROOM "COLD" "UNITY" "DEPENDS;LIBS;SOURCES;WITHOUT" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  foreach(file IN LISTS ROOM_WITHOUT)
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/${name}/${file})
  endforeach()
  add_library(espquant_${name} STATIC ${sources} ${ROOM_SOURCES})
  espquant_unity(espquant_${name} ${CMAKE_SOURCE_DIR}/src ${ROOM_UNITY})
  target_include_directories(espquant_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src ${CMAKE_BINARY_DIR}/src ${CMAKE_SOURCE_DIR}/include)
  target_link_libraries(espquant_${name} PUBLIC espquant_flags)
  if(ROOM_COLD)
    espquant_cold(espquant_${name})
  endif()
  foreach(room IN LISTS ROOM_DEPENDS)
    if(NOT TARGET espquant_${room})
      message(FATAL_ERROR "room '${name}' depends on '${room}', which is not below it")
    endif()
    target_link_libraries(espquant_${name} PUBLIC espquant_${room})
  endforeach()
  target_link_libraries(espquant_${name} PRIVATE ${ROOM_LIBS})
  set_property(GLOBAL APPEND PROPERTY ESPQUANT_ROOMS espquant_${name})
endfunction()

# What takes time is done in other rooms: to optimize this one fully takes a third of its time to compile.
function(espquant_cold target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# Compiles the sources of `target`, which lie below `root`, several to an object, which takes most of a
# fresh build's time off: headers are read, and templates instantiated, once for all of them. Such files
# share their anonymous namespaces, so their helpers have names of their own. What Highway reads again
# for every instruction set stays alone. `root` is an include folder of `target`: the generated files
# name no absolute path, unlike CMake's own unity builds, so that a compiler cache serves every checkout.
# Sixteen files to an object cost little more than half of what two of eight do; another number may be
# given for rooms that are changed often, where one file is not to take long.
function(espquant_unity target root)
  if(NOT ESPQUANT_UNITY)
    return()
  endif()
  set(batch_size 16)
  if(ARGN)
    set(batch_size ${ARGN})
  endif()
  get_target_property(sources ${target} SOURCES)
  set(batch "")
  set(batches 0)
  set(in_batch 0)
  foreach(source IN LISTS sources)
    if(NOT source MATCHES "\\.cpp$" OR NOT EXISTS ${source})
      continue()
    endif()
    file(STRINGS ${source} again REGEX "hwy/foreach_target.h")
    if(again)
      continue()
    endif()
    file(RELATIVE_PATH path ${root} ${source})
    string(APPEND batch "#include \"${path}\"\n")
    set_source_files_properties(${source} PROPERTIES HEADER_FILE_ONLY ON)
    math(EXPR in_batch "${in_batch} + 1")
    if(in_batch EQUAL batch_size)
      espquant_unity_batch(${target} ${batches} "${batch}")
      math(EXPR batches "${batches} + 1")
      set(in_batch 0)
      set(batch "")
    endif()
  endforeach()
  if(in_batch GREATER 0)
    espquant_unity_batch(${target} ${batches} "${batch}")
  endif()
endfunction()

function(espquant_unity_batch target number text)
  set(file ${CMAKE_CURRENT_BINARY_DIR}/unity/${target}_${number}.cpp)
  file(CONFIGURE OUTPUT ${file} CONTENT "${text}" @ONLY)  # leaves a file alone that is the same
  target_sources(${target} PRIVATE ${file})
endfunction()

# The tests of a room: every tests/<name>/*_test.cpp, in one program.
function(espquant_room_tests name)
  cmake_parse_arguments(T "" "" "LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${name}/*_test.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${name} ${sources})
  espquant_unity(test_${name} ${CMAKE_SOURCE_DIR})
  target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(test_${name} PRIVATE espquant_flags GTest::gtest_main ${T_LIBS})
  espquant_cold(test_${name})
  gtest_discover_tests(test_${name} TEST_PREFIX ${name}. DISCOVERY_TIMEOUT 60
                       PROPERTIES TIMEOUT 600)
endfunction()
