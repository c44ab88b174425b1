#include "sim/fault_texts.h"

#include <algorithm>
#include <array>

namespace espquant::sim {
namespace {

constexpr bool kUncertain = false;

constexpr std::array kTexts = {
    FaultText{"exponents-ignored",
              "it works on the integers, whatever their exponents, and these differ: the result is "
              "wrong by a power of two",
              "Give its inputs and outputs one exponent, by a RequantizeLinear before the one that "
              "differs"},
    FaultText{"requantize-tail-unwritten",
              "requantizing int8 to int16 leaves the last 8 elements as they were",
              "Change the number of elements, or produce int16 in the operator before"},
    FaultText{
        "shift-register-wraps",
        "it shifts by more than 32 bits, of which the register holds 5: a shift by 39 acts as "
        "one by 7",
        "Remove the layer if all its weights are 0, or give its output a smaller exponent"},
    FaultText{"shift-register-unknown",
              "it shifts by more than 31 bits; how many the register holds is not documented",
              "Remove the layer if all its weights are 0, or give its output a smaller exponent",
              kUncertain},
    FaultText{"int16-bias-in-32-bits",
              "the bias of an int16 node is stored in 32 bits, on which ESP-DL 3.3.9 stops; older "
              "releases computed what is simulated",
              "Export the model again"},
    FaultText{"p4-vector-kernel-differs",
              "it is computed as ESP-DL does on a PC; the chip's vector unit rounds otherwise",
              "Compute it with the chip's kernels, which is the default", kUncertain},
    FaultText{"p4-w8a16-odd-channels",
              "kernels of early releases read filters at the wrong place where the number of input "
              "channels is odd; which release mended that is not known",
              "Give the layer an even number of input channels, or 16 bits throughout", kUncertain},
    FaultText{"div-table-of-first-run",
              "the table of the divisor of the first run serves all later runs",
              "Make the operand of one element constant, or give it more elements"},
    FaultText{"clip-limits-ignore-exponents",
              "it compares the input's integers with those of limits that have another exponent",
              "Store the limits with the input's exponent, or give the node a table"},
    FaultText{"clip-float-without-minimum",
              "without a minimum, a float Clip takes the least positive float for it",
              "Store the minimum"},
    FaultText{"prelu-int8-ignores-exponent",
              "positive values pass unscaled, but input and output have different exponents",
              "Give both one exponent, or use one slope for all channels, which becomes a table"},
    FaultText{"prelu-rounding-unknown",
              "how a side of PRelu rounds that must be shifted is not documented: results may "
              "differ by 1",
              "Give input and output one exponent, or use one slope for all channels, which "
              "becomes a table",
              kUncertain},
    FaultText{"prelu-int16-ignores-exponent",
              "positive values pass unscaled, but input and output have different exponents",
              "Give both one exponent, and use slopes below 1"},
    FaultText{"prelu-factor-beyond-int8",
              "positive values are multiplied by a power of two that an 8-bit lane cannot hold",
              "Bring the exponents of input and output nearer to each other"},
    FaultText{"prelu-int16-takes-first-slope", "the first slope is taken for every channel",
              "Store alpha as C,1,1"},
    FaultText{"softmax-table-overflows",
              "the table of exponentials holds infinity or zeros: scores beyond 88 give NaN",
              "Give the scores an exponent of -1 at most, or 16 bits"},
    FaultText{"pool-ignores-dilations", "pooling takes dilations for 1, in the output's size too",
              "Do without dilated pooling"},
    FaultText{"pool-ignores-ceil-mode",
              "the output's size is rounded down, the model declares it rounded up",
              "Pad so that the division is exact"},
    FaultText{"average-pool-counts-padding",
              "the average divides by the whole kernel's area, padding included",
              "Do without padding, or train with count_include_pad"},
    FaultText{"resize-nearest-narrow-channels",
              "with fewer than 16 channels the vector kernel computes from stale registers",
              "Scale by 2 x 2, use 16 channels, or resize linearly", kUncertain},
    FaultText{"resize-left-shift",
              "a nearest Resize to a smaller exponent keeps the low bits instead of saturating",
              "Give the output an exponent not below the input's"},
    FaultText{"resize-ignores-coordinates",
              "nearest is always asymmetric and floor, linear knows half_pixel and align_corners",
              "Export with one of these modes"},
    FaultText{"resize-int16-unwritten", "the int16 kernel is empty: the output stays as it was",
              "Resize in int8, between requantize nodes"},
    FaultText{"slice-negative-step",
              "a range with a negative step is mirrored before it is reversed",
              "Slice forwards, then reverse the whole axis"},
    FaultText{"unsqueeze-negative-axes",
              "negative axes are counted from one axis more, whatever the number of new ones",
              "Store axes that are not negative"},
    FaultText{"depth-to-space-dcr", "the mode DCR mixes up its divisors",
              "Use mode CRD, after permuting the channels of the layer before"},
    FaultText{
        "space-to-depth-order",
        "output channels are ordered channel, row, column, where ONNX has row, column, channel",
        "Permute the input channels of the layer that consumes the output, if the exporter has "
        "not",
        kUncertain},
    FaultText{"pad-value-read-raw",
              "the constant to pad with is read as bytes of the tensor's own type and exponent",
              "Store it quantized as the tensor is, or pad with 0"},
    FaultText{"reverse-sequence-truncates-floats",
              "elements are swapped through an int, which loses their fractions",
              "Quantize the tensor"},
    FaultText{"scatter-nd-multiplies-integers",
              "the reduction mul multiplies integers and loses the updates' exponent",
              "Give the updates the exponent 0"},
    FaultText{
        "streaming-cache-inner-axis",
        "the cache is put before the frames as flat memory, but an axis outside the frame axis "
        "has several indices",
        "Put the frame axis first"},
    FaultText{"recurrent-ignores-sequence-lengths", "all steps run, whatever sequence_lens says",
              "Use fixed lengths"},
    FaultText{"recurrent-reverse-runs-forward", "the direction reverse runs forwards",
              "Reverse the input and the output"},
};

constexpr FaultText kUnknown{"", "the runtime has a known fault here",
                             "See docs/runtime-faults.md"};

}  // namespace

std::span<const FaultText> fault_texts() { return kTexts; }

const FaultText& fault_text(std::string_view name) {
  const auto found = std::find_if(kTexts.begin(), kTexts.end(),
                                  [&](const FaultText& text) { return text.name == name; });
  return found == kTexts.end() ? kUnknown : *found;
}

}  // namespace espquant::sim
