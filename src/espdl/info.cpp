#include "espdl/info.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "espdl/array_text.h"
#include "espdl/bytes.h"
#include "espdl/container.h"

namespace espquant::espdl {
namespace {

constexpr const char* kSectionEnd = "\n\n\n";

/// The names of ONNX's TensorProto.
const char* type_name(DType dtype) {
  switch (dtype) {
    case DType::Float32:
      return "FLOAT";
    case DType::UInt8:
      return "UINT8";
    case DType::Int8:
      return "INT8";
    case DType::UInt16:
      return "UINT16";
    case DType::Int16:
      return "INT16";
    case DType::Int32:
      return "INT32";
    case DType::Int64:
      return "INT64";
    case DType::String:
      return "STRING";
    case DType::Bool:
      return "BOOL";
    case DType::Float16:
      return "FLOAT16";
    case DType::Float64:
      return "DOUBLE";
    case DType::UInt32:
      return "UINT32";
    case DType::UInt64:
      return "UINT64";
    default:
      return "UNDEFINED";
  }
}

template <typename Items, typename Print>
void join(std::string& out, const Items& items, const char* separator, Print print) {
  const char* before = "";
  for (const auto& item : items) {
    out += before;
    print(item);
    before = separator;
  }
}

template <typename Items, typename Print>
void append_list(std::string& out, const Items& items, Print print) {
  out += '[';
  join(out, items, ", ", print);
  out += ']';
}

template <typename T>
void append_integers(std::string& out, const std::vector<T>& numbers) {
  append_list(out, numbers, [&](T n) { out += std::to_string(n); });
}

/// Like Python's repr() of bytes, and of strings as long as they are ASCII.
std::string quoted(std::string_view text, bool keep_utf8) {
  const char quote = text.find('\'') != text.npos && text.find('"') == text.npos ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == quote || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (code < 0x20 || code == 0x7F || (code >= 0x80 && !keep_utf8)) {
      char escape[5];
      std::snprintf(escape, sizeof escape, "\\x%02x", code);
      out += escape;
    } else {
      out += c;
    }
  }
  out += quote;
  return out;
}

/// At most 64 characters, as in ONNX's own printer.
std::string shortened(const std::string& text) {
  constexpr std::size_t kShown = 64;
  if (text.size() < kShown) return text;
  return text.substr(0, kShown) + "...<+len=" + std::to_string(text.size() - kShown) + ">";
}

std::string float_text(float v) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.15g", static_cast<double>(v));
  return buffer;
}

struct AttributePrinter {
  std::string operator()(std::int64_t v) const { return std::to_string(v); }
  std::string operator()(float v) const { return float_text(v); }
  std::string operator()(const std::string& v) const { return quoted(shortened(v), true); }
  std::string operator()(const Constant&) const { return "<Tensor>"; }
  std::string operator()(const std::vector<std::int64_t>& v) const {
    std::string out;
    append_integers(out, v);
    return out;
  }
  std::string operator()(const std::vector<float>& v) const {
    std::string out;
    append_list(out, v, [&](float f) { out += float_text(f); });
    return out;
  }
  std::string operator()(const std::vector<std::string>& v) const {
    std::string out;
    append_list(out, v, [&](const std::string& s) { out += quoted(shortened(s), true); });
    return out;
  }
};

class InfoPrinter {
 public:
  explicit InfoPrinter(std::string& out) : out_(out) {}

  void properties(const Model& model) {
    out_ += "model properties:\nmetadata_props:";
    for (const auto& [key, value] : model.metadata) out_ += "\n" + key + ": " + value;
    out_ += kSectionEnd;
  }

  void graph(const Model& model) {
    out_ += "graph " + model.name + ' ';
    if (!model.inputs.empty()) {
      out_ += "(\n";
      for (const auto& name : model.inputs) {
        const ValueInfo* v = model.find_value(name);
        if (!v)
          throw Error(ErrorCode::BadData, "an input of the graph without type and shape")
              .tensor(name);
        out_ += "  ";
        value(*v);
        out_ += '\n';
      }
      out_ += ") ";
      if (!model.initializers.empty()) initializers(model);
    }
    out_ += "{\n";
    for (const auto& n : model.nodes) node(n);
    out_ += "  return ";
    names(model.outputs);
    out_ += "\n}";
  }

  void constants(const char* title, const std::vector<Constant>& all) {
    out_ += kSectionEnd;
    out_ += title;
    for (const auto& c : all) constant(c);
  }

  void values(const std::vector<ValueInfo>& all) {
    out_ += kSectionEnd;
    out_ += "values info:";
    for (const auto& v : all) {
      out_ += '\n';
      value(v);
    }
  }

 private:
  void names(const std::vector<std::string>& all) {
    join(out_, all, ", ", [this](const std::string& name) { out_ += '%' + name; });
  }

  void type(const std::string& name, DType dtype, const Shape& shape) {
    out_ += '%' + name + '[' + type_name(dtype) + ", " + to_string(shape) + ']';
  }

  void value(const ValueInfo& v) {
    type(v.name, v.dtype, v.shape);
    out_ += ", exponents: ";
    append_integers(out_, v.exponents);
  }

  void initializers(const Model& model) {
    out_ += "initializers (\n";
    for (const auto& c : model.initializers) {
      out_ += "  ";
      type(c.name, c.data.dtype(), c.data.shape());
      out_ += '\n';
    }
    out_ += ") ";
  }

  void node(const Node& n) {
    out_ += "  ";
    names(n.outputs);
    out_ += " = " + n.op;
    std::vector<std::string> attributes;
    for (const auto& [name, content] : n.attributes)
      attributes.push_back(name + " = " + std::visit(AttributePrinter(), content));
    std::sort(attributes.begin(), attributes.end());
    if (!attributes.empty())
      append_list(out_, attributes, [this](const std::string& a) { out_ += a; });
    out_ += '(';
    names(n.inputs);
    out_ += ")\n";
  }

  void constant(const Constant& c) {
    out_ += "\n%" + c.name + ", shape: ";
    append_integers(out_, c.data.shape());
    out_ += ", exponents: ";
    append_integers(out_, c.exponents);
    out_ += ", ";
    if (!c.doc.empty()) out_ += "docString: b" + quoted(c.doc, false) + ", ";
    if (c.data.size() == 0) {
      out_ += "value: []";
      return;
    }
    out_ += "\nvalue: ";
    const auto bytes = c.data.bytes();
    if (bytes.size() % kBlockBytes == 0) return append_array_text(out_, c.data.dtype(), bytes);
    std::vector<std::byte> padded(round_up(bytes.size(), kBlockBytes));
    std::copy(bytes.begin(), bytes.end(), padded.begin());
    append_array_text(out_, c.data.dtype(), padded);
  }

  std::string& out_;
};

std::size_t expected_length(const Model& model) {
  constexpr std::size_t kPerElement = 7, kPerName = 300;
  std::size_t length =
      kPerName * (model.nodes.size() + model.values.size() + model.initializers.size());
  for (const auto* list : {&model.initializers, &model.test_inputs, &model.test_outputs})
    for (const auto& c : *list) length += kPerElement * static_cast<std::size_t>(c.data.size());
  return length;
}

}  // namespace

std::string info_text(const Model& model) {
  std::string text;
  text.reserve(expected_length(model));
  InfoPrinter printer(text);
  printer.properties(model);
  printer.graph(model);
  printer.constants("initializers value:", model.initializers);
  printer.values(model.values);
  printer.constants("test inputs value:", model.test_inputs);
  printer.constants("test outputs value:", model.test_outputs);
  return text;
}

}  // namespace espquant::espdl
