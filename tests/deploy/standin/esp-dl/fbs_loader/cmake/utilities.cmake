# ESP-DL's function, with its symbols; `cmake_dir` must be set by the caller, as there.
function(target_add_aligned_binary_data target embed_file embed_type)
  if(NOT EXISTS "${cmake_dir}/utilities.cmake")
    message(FATAL_ERROR "cmake_dir is not set")
  endif()
  get_filename_component(embed_file "${embed_file}" ABSOLUTE)
  get_filename_component(name "${embed_file}" NAME)
  string(MAKE_C_IDENTIFIER "${name}" symbol)
  set(source ${CMAKE_BINARY_DIR}/${name}.S)
  file(WRITE ${source} ".section .rodata
.balign 16
.global _binary_${symbol}_start
_binary_${symbol}_start:
.incbin \"${embed_file}\"
.global _binary_${symbol}_end
_binary_${symbol}_end:
.section .note.GNU-stack,\"\",@progbits
")
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS ${embed_file})
  target_sources(${target} PRIVATE ${source})
endfunction()
