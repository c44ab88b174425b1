# Puts text files into the program. espquant_embed(OUT HEADER h FUNCTION f FILES a.toml ...) generates
# a source whose function `f`, declared in `h`, returns them in this order, each under its name without
# folder and extension, or, with BELOW folder, its path in that folder; the path of that source is put into `out`.
function(espquant_embed out)
  cmake_parse_arguments(E "" "HEADER;FUNCTION;BELOW" "FILES" ${ARGN})
  string(REPLACE "::" "_" stem ${E_FUNCTION})
  set(source ${CMAKE_BINARY_DIR}/embedded/${stem}.cpp)
  set(script ${CMAKE_SOURCE_DIR}/cmake/embed_script.cmake)
  string(REPLACE ";" "|" files "${E_FILES}")
  add_custom_command(
    OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} -DSOURCE=${source} -DHEADER=${E_HEADER} -DFUNCTION=${E_FUNCTION} -DFILES=${files}
            -DBELOW=${E_BELOW}
            -P ${script}
    DEPENDS ${E_FILES} ${script}
    VERBATIM)
  set(${out} ${source} PARENT_SCOPE)
endfunction()
