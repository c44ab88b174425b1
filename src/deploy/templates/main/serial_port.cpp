#include "serial_port.hpp"

#include "freertos/FreeRTOS.h"
#include "sdkconfig.h"

#if CONFIG_FIRMWARE_SERIAL_USB
#include "driver/usb_serial_jtag.h"
#else
#include "driver/uart.h"
#endif

namespace firmware {
namespace {

constexpr int kBufferBytes = 4096;

#if !CONFIG_FIRMWARE_SERIAL_USB
constexpr uart_port_t kPort = UART_NUM_0;
#endif

}  // namespace

#if CONFIG_FIRMWARE_SERIAL_USB

bool open_serial_port() {
  usb_serial_jtag_driver_config_t config = {};
  config.tx_buffer_size = kBufferBytes;
  config.rx_buffer_size = kBufferBytes;
  return usb_serial_jtag_driver_install(&config) == ESP_OK;
}

size_t read_serial_port(uint8_t* data, size_t size) {
  while (true) {
    // What is there, but at least one byte.
    const int count =
        usb_serial_jtag_read_bytes(data, static_cast<uint32_t>(size), pdMS_TO_TICKS(20));
    if (count > 0) return static_cast<size_t>(count);
  }
}

void write_serial_port(const uint8_t* data, size_t size) {
  while (size > 0) {
    const int count = usb_serial_jtag_write_bytes(data, size, portMAX_DELAY);
    if (count <= 0) return;
    data += count;
    size -= static_cast<size_t>(count);
  }
}

#else

bool open_serial_port() {
  uart_config_t config = {};
  config.baud_rate = CONFIG_FIRMWARE_BAUD;
  config.data_bits = UART_DATA_8_BITS;
  config.parity = UART_PARITY_DISABLE;
  config.stop_bits = UART_STOP_BITS_1;
  config.flow_ctrl = UART_HW_FLOWCTRL_DISABLE;
  config.source_clk = UART_SCLK_DEFAULT;
  return uart_driver_install(kPort, kBufferBytes, 0, 0, nullptr, 0) == ESP_OK &&
         uart_param_config(kPort, &config) == ESP_OK;
}

size_t read_serial_port(uint8_t* data, size_t size) {
  // One byte to wait for, then what came with it.
  int count = uart_read_bytes(kPort, data, 1, portMAX_DELAY);
  if (count < 1) return 0;
  size_t waiting = 0;
  uart_get_buffered_data_len(kPort, &waiting);
  if (waiting > size - 1) waiting = size - 1;
  if (waiting > 0) {
    const int more = uart_read_bytes(kPort, data + 1, static_cast<uint32_t>(waiting), 0);
    if (more > 0) count += more;
  }
  return static_cast<size_t>(count);
}

void write_serial_port(const uint8_t* data, size_t size) { uart_write_bytes(kPort, data, size); }

#endif

}  // namespace firmware
