# Flags that every target of the project shares; `espquant_flags` is linked by each room.
add_library(espquant_flags INTERFACE)
target_compile_options(espquant_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  $<$<BOOL:${ESPQUANT_WERROR}>:-Werror>
  # The chip's float steps round after every operation: a fused multiply-add would differ.
  -ffp-contract=off)
if(ESPQUANT_SANITIZE)
  # GCC's manual: the checks of sanitizers make it see uninitialised uses that are none.
  target_compile_options(espquant_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_compile_options(espquant_flags INTERFACE -fsanitize=${ESPQUANT_SANITIZE}
                         -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(espquant_flags INTERFACE -fsanitize=${ESPQUANT_SANITIZE})
endif()
if(ESPQUANT_FUZZ)  # libFuzzer steers by the coverage of the rooms, not only of its own target
  target_compile_options(espquant_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
