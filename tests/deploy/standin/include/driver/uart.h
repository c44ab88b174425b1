#pragma once

#include <cstddef>
#include <cstdint>

#include "esp_err.h"
#include "freertos/FreeRTOS.h"

/// UART 0 is a pseudo terminal, whose name is printed when the driver is installed.
/// STANDIN_DAMAGE=n flips a bit of the n-th byte that is written.
typedef int uart_port_t;
#define UART_NUM_0 0
enum uart_word_length_t { UART_DATA_8_BITS = 3 };
enum uart_parity_t { UART_PARITY_DISABLE = 0 };
enum uart_stop_bits_t { UART_STOP_BITS_1 = 1 };
enum uart_hw_flowcontrol_t { UART_HW_FLOWCTRL_DISABLE = 0 };
enum uart_sclk_t { UART_SCLK_DEFAULT = 1 };

struct uart_config_t {
  int baud_rate;
  uart_word_length_t data_bits;
  uart_parity_t parity;
  uart_stop_bits_t stop_bits;
  uart_hw_flowcontrol_t flow_ctrl;
  uint8_t rx_flow_ctrl_thresh;
  uart_sclk_t source_clk;
};

extern "C" esp_err_t uart_driver_install(uart_port_t port, int rx_size, int tx_size, int queue_size,
                                         void* queue, int flags);
extern "C" esp_err_t uart_param_config(uart_port_t port, const uart_config_t* config);
extern "C" int uart_read_bytes(uart_port_t port, void* data, uint32_t size, TickType_t ticks);
extern "C" int uart_write_bytes(uart_port_t port, const void* data, size_t size);
extern "C" esp_err_t uart_get_buffered_data_len(uart_port_t port, size_t* size);
