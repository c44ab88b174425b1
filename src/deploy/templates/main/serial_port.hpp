#pragma once

#include <cstddef>
#include <cstdint>

namespace firmware {

// Opens the line that "Firmware" in menuconfig names. Returns whether that worked.
bool open_serial_port();
// Waits until there is something, and reads at most `size` bytes of it.
size_t read_serial_port(uint8_t* data, size_t size);
void write_serial_port(const uint8_t* data, size_t size);

}  // namespace firmware
