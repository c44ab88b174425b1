#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "espquant/analyze.h"
#include "espquant/compare.h"
#include "espquant/errors.h"
#include "espquant/model.h"
#include "espquant/network.h"
#include "espquant/quantize.h"
#include "src/arrays.h"
#include "src/interruptible.h"

/// espquant._core: the C++ API, one to one. What people call is in python/espquant/*.py.
namespace espquant::python {
namespace {

using namespace pybind11::literals;

std::map<std::string, Array> arrays_from(const py::dict& named) {
  std::map<std::string, Array> arrays;
  for (const auto& [name, array] : named)
    arrays.emplace(name.cast<std::string>(), array_from(py::reinterpret_borrow<py::object>(array)));
  return arrays;
}

py::dict numpy_of(const std::map<std::string, Array>& arrays) {
  py::dict result;
  for (const auto& [name, array] : arrays) result[py::str(name)] = numpy_from(array, true);
  return result;
}

py::dict dict_of(const TensorInfo& info) {
  return py::dict(
      "name"_a = info.name, "dtype"_a = info.type, "shape"_a = py::tuple(py::cast(info.shape)),
      "network_shape"_a = py::tuple(py::cast(info.network_shape)), "exponents"_a = info.exponents);
}

py::list dicts_of(const std::vector<TensorInfo>& infos) {
  py::list list;
  for (const TensorInfo& info : infos) list.append(dict_of(info));
  return list;
}

void register_errors(py::module_& m) {
  // Of the Python class, which is made when the package is imported.
  m.def("set_error_class", [](const py::object& error) {
    static PyObject* error_class = nullptr;
    error_class = error.inc_ref().ptr();
    py::register_exception_translator([](std::exception_ptr p) {
      try {
        if (p) std::rethrow_exception(p);
      } catch (const Error& e) {
        const py::object made = py::reinterpret_borrow<py::object>(error_class)(
            e.what(), "code"_a = to_string(e.code()), "message"_a = e.message(),
            "file"_a = e.file(), "node"_a = e.node(), "tensor"_a = e.tensor(),
            "remedy"_a = e.remedy());
        PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(made.ptr())), made.ptr());
      } catch (const std::filesystem::filesystem_error& e) {
        PyErr_SetString(PyExc_OSError, e.what());
      }
    });
  });
}

void bind_inputs(py::module_& m) {
  py::class_<Recipe>(m, "Recipe")
      .def(py::init<const std::string&>())
      .def_static("from_toml", &Recipe::from_toml)
      .def_static("names", &Recipe::names)
      .def("copy", [](const Recipe& r) { return Recipe(r); })
      .def("set",
           [](Recipe& r, const std::vector<std::string>& assignments) { r.set_all(assignments); })
      .def_property_readonly("name", &Recipe::name)
      .def("to_toml", &Recipe::to_toml)
      .def("to_json", &Recipe::to_json);
  py::class_<Data>(m, "Data").def(
      py::init([](const std::filesystem::path& path, const py::dict& arrays,
                  std::vector<std::string> preprocess, const std::filesystem::path& preprocess_file,
                  const std::filesystem::path& classes, std::int64_t count) {
        return Data{path, arrays_from(arrays), std::move(preprocess), preprocess_file, classes,
                    count};
      }),
      "path"_a, "arrays"_a, "preprocess"_a, "preprocess_file"_a, "classes"_a, "count"_a);
  py::class_<Network>(m, "Network")
      .def(py::init([](const std::filesystem::path& file, std::vector<std::string> input_shapes,
                       std::vector<std::string> inputs, std::vector<std::string> outputs,
                       bool cut_tail) {
             return Network{file, std::move(input_shapes), std::move(inputs), std::move(outputs),
                            cut_tail};
           }),
           "file"_a, "input_shapes"_a, "inputs"_a, "outputs"_a, "cut_tail"_a);
}

void bind_model(py::module_& m) {
  py::class_<ModelOptions>(m, "ModelOptions")
      .def(py::init([](std::string key, std::string name, std::string target, std::string release,
                       std::string banks) {
             return ModelOptions{std::move(key), std::move(name), std::move(target),
                                 std::move(release), std::move(banks)};
           }),
           "key"_a, "name"_a, "target"_a, "release"_a, "banks"_a);
  py::class_<Model>(m, "Model")
      .def_static("open", &Model::open, py::call_guard<py::gil_scoped_release>())
      .def_static(
          "from_bytes",
          [](const py::bytes& bytes, const ModelOptions& options, const std::string& called) {
            const std::string_view view = bytes;
            const auto* begin = reinterpret_cast<const std::byte*>(view.data());
            return Model::from_bytes({begin, begin + view.size()}, options, called);
          })
      .def_property_readonly("target", &Model::target)
      .def_property_readonly("release", &Model::release)
      .def_property_readonly("metadata", &Model::metadata)
      .def("inputs", [](const Model& model) { return dicts_of(model.inputs()); })
      .def("outputs", [](const Model& model) { return dicts_of(model.outputs()); })
      .def("tensors", [](const Model& model) { return dicts_of(model.tensors()); })
      .def("constants", [](const Model& model) { return dicts_of(model.constants()); })
      .def("constant",
           [](const Model& model, const std::string& name) {
             return numpy_from(model.constant(name), false);
           })
      .def("weights",
           [](const Model& model, const std::string& name) {
             return numpy_from(model.weights(name), false);
           })
      .def("run",
           [](const Model& model, const py::dict& inputs, bool integers, bool all,
              const py::object& progress) {
             const auto arrays = arrays_from(inputs);
             return numpy_of(interruptible(progress, [&](const Observer& observer) {
               return model.run(arrays, {integers, all}, observer);
             }));
           })
      .def("banks", &Model::banks)
      .def("banks_of",
           [](const Model& model, const py::dict& inputs) {
             const auto arrays = arrays_from(inputs);
             return interruptible(py::none(),
                                  [&](const Observer&) { return model.banks_of(arrays); });
           })
      .def("verify",
           [](const Model& model, bool exact) {
             py::list list;
             const auto verdicts =
                 interruptible(py::none(), [&](const Observer&) { return model.verify(exact); });
             for (const Verdict& v : verdicts)
               list.append(py::dict("name"_a = v.name, "elements"_a = v.elements,
                                    "different"_a = v.different, "mismatches"_a = v.mismatches,
                                    "largest"_a = v.largest, "problem"_a = v.problem,
                                    "passed"_a = v.passed));
             return list;
           })
      .def("evaluate",
           [](const Model& model, const Data& data, const Network& reference,
              const py::object& progress) {
             return interruptible(progress,
                                  [&](const Observer& observer) {
                                    return model.evaluate(data, reference, observer);
                                  })
                 .json;
           })
      .def("inspect", &Model::inspect)
      .def("plan", &Model::plan)
      .def("latency", &Model::latency);
}

void bind_jobs(py::module_& m) {
  py::class_<Quantized>(m, "Quantized")
      .def_property_readonly("noise", &Quantized::noise)
      .def_property_readonly("accuracy", &Quantized::accuracy)
      .def_property_readonly("reference_accuracy", &Quantized::reference_accuracy)
      .def_property_readonly("agreement", &Quantized::agreement)
      .def_property_readonly("milliseconds", &Quantized::milliseconds)
      .def_property_readonly("ram_bytes", &Quantized::ram_bytes)
      .def_property_readonly("warnings", &Quantized::warnings)
      .def_property_readonly("notes", &Quantized::notes)
      .def_property_readonly("target", &Quantized::target)
      .def_property_readonly("recipe", &Quantized::recipe)
      .def("json", &Quantized::json)
      .def("bytes",
           [](const Quantized& q) {
             return py::bytes(reinterpret_cast<const char*>(q.bytes().data()), q.bytes().size());
           })
      .def("model", &Quantized::model)
      .def("save", &Quantized::save, py::call_guard<py::gil_scoped_release>())
      .def("save_as", &Quantized::save_as, py::call_guard<py::gil_scoped_release>());
  m.def("quantize",
        [](const Network& network, const Data& calib, const Recipe& recipe,
           const std::string& target, const Data& test, const std::filesystem::path& board,
           bool test_values, std::int64_t report_samples,
           const std::map<std::string, std::string>& metadata, const py::object& progress) {
          const QuantizeOptions options{recipe,      target,         test,    board,
                                        test_values, report_samples, metadata};
          return interruptible(progress, [&](const Observer& observer) {
            return quantize(network, calib, options, observer);
          });
        });
  py::class_<Comparison>(m, "Comparison")
      .def("json", &Comparison::json)
      .def("model", &Comparison::model)
      .def("save", &Comparison::save, py::call_guard<py::gil_scoped_release>());
  m.def("compare", [](const Network& network, const Data& calib, std::vector<Recipe> recipes,
                      const std::string& target, const Data& test,
                      const std::filesystem::path& board, const py::object& progress) {
    const CompareOptions options{std::move(recipes), target, test, board};
    return interruptible(progress, [&](const Observer& observer) {
      return compare(network, calib, options, observer);
    });
  });
  m.def("analyze", [](const Network& network, const Data& calib, const Recipe& recipe,
                      const std::string& target, const Data& test, std::int64_t samples,
                      const py::object& progress) {
    const AnalyzeOptions options{recipe, target, test, samples};
    const Analysis analysis = interruptible(progress, [&](const Observer& observer) {
      return analyze(network, calib, options, observer);
    });
    return std::pair(analysis.json, analysis.text);
  });
  m.def(
      "check_network",
      [](const Network& network, const std::string& target, const std::string& release) {
        return check(network, target, release).json;
      },
      py::call_guard<py::gil_scoped_release>());
  m.def(
      "check_model",
      [](const std::filesystem::path& file, const ModelOptions& options) {
        return check(file, options).json;
      },
      py::call_guard<py::gil_scoped_release>());
  m.def("inspect_network", &inspect, py::call_guard<py::gil_scoped_release>());
  m.def("use_threads", &use_threads);
  m.def("version", [] { return std::string(library_version()); });
}

}  // namespace
}  // namespace espquant::python

PYBIND11_MODULE(_core, m) {
  espquant::python::register_errors(m);
  espquant::python::bind_inputs(m);
  espquant::python::bind_model(m);
  espquant::python::bind_jobs(m);
}
