#include "src/arrays.h"

#include <string>

namespace espquant::python {
namespace {

ElementType type_from(const py::dtype& dtype) {
  const char kind = dtype.kind();
  const auto size = dtype.itemsize();
  if (kind == 'b') return ElementType::Bool;
  if (kind == 'f') {
    if (size == 2) return ElementType::Float16;
    if (size == 4) return ElementType::Float32;
    if (size == 8) return ElementType::Float64;
  }
  if (kind == 'i' || kind == 'u') {
    const bool is_signed = kind == 'i';
    switch (size) {
      case 1:
        return is_signed ? ElementType::Int8 : ElementType::UInt8;
      case 2:
        return is_signed ? ElementType::Int16 : ElementType::UInt16;
      case 4:
        return is_signed ? ElementType::Int32 : ElementType::UInt32;
      case 8:
        return is_signed ? ElementType::Int64 : ElementType::UInt64;
      default:
        break;
    }
  }
  throw py::type_error("an array of " +
                       std::string(py::str(static_cast<const py::object&>(dtype))) +
                       ", which espquant cannot read: give numbers or bools");
}

}  // namespace

Array array_from(const py::object& object) {
  py::array given = py::array::ensure(object, py::array::c_style);
  if (!given) throw py::type_error("not an array, nor what numpy makes one of");
  if (given.dtype().attr("isnative").cast<bool>() == false)
    given = given.attr("astype")(given.dtype().attr("newbyteorder")("="));
  Array array;
  array.type = type_from(given.dtype());
  array.shape.assign(given.shape(), given.shape() + given.ndim());
  const auto* elements = static_cast<const std::byte*>(given.data());
  // The last one to let go may be a thread of the library.
  PyObject* owner = given.release().ptr();
  array.elements = {elements, [owner](const std::byte*) {
                      const py::gil_scoped_acquire gil;
                      Py_DECREF(owner);
                    }};
  return array;
}

py::array numpy_from(const Array& array, bool writable) {
  auto* owner = new std::shared_ptr<const std::byte>(array.elements);
  const py::capsule base(owner,
                         [](void* p) { delete static_cast<std::shared_ptr<const std::byte>*>(p); });
  const py::dtype dtype{std::string(to_string(array.type))};
  py::array result(dtype, std::vector<py::ssize_t>(array.shape.begin(), array.shape.end()),
                   array.elements.get(), base);
  if (!writable) result.attr("flags").attr("writeable") = false;
  return result;
}

}  // namespace espquant::python
