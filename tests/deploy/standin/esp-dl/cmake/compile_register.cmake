# ESP-DL's function: lists must exist.
function(esp_dl_compile_add_yml file)
  if(NOT EXISTS ${file})
    message(FATAL_ERROR "no such list: ${file}")
  endif()
endfunction()
