#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "espquant/array.h"

namespace espquant::python {

namespace py = pybind11;

/// Shares the elements of a numpy array (or of what numpy makes one of) where they are contiguous,
/// and keeps it alive. Raises TypeError for elements that espquant does not know.
Array array_from(const py::object& object);

/// A numpy array that shares the elements. `writable` where nobody else has them.
py::array numpy_from(const Array& array, bool writable);

}  // namespace espquant::python
