"""Jupyter's own conformance suite through our provisioner; ``python -m unittest kernel_conformance.IPython``.

A program of its own, for it runs as the person whose kernels these are, with the kernelspecs of job_kernels.py.
"""

from __future__ import annotations

import jupyter_kernel_test


class IPython(jupyter_kernel_test.KernelTests):
    kernel_name = "ipython-job"
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples = [{"text": "zi", "matches": ["zip"]}]
    complete_code_samples = ["1", "print('hello')", "for i in range(3):\n    pass\n"]
    incomplete_code_samples = ["for i in range(3):", "print('''hello"]
    invalid_code_samples = ["import = 7q"]
    code_page_something = "zip?"
    code_generate_error = "raise ValueError('no')"
    code_execute_result = [{"code": "6 * 7", "result": "42"}, {"code": "'a' + 'b'"}]
    code_display_data = [
        {
            "code": "from IPython.display import HTML, display; display(HTML('<b>x</b>'))",
            "mime": "text/html",
        }
    ]
    code_history_pattern = "6*7"
    # As in ipykernel's own tests: with "range" it calls the session 0 that it calls 1 with "tail".
    supported_history_operations = ("tail", "search")
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"


class R(jupyter_kernel_test.KernelTests):
    """IRkernel, which knows neither Curve nor how to tell its ports.

    It shows results as display_data, and has no history.
    """

    kernel_name = "r-job"
    language_name = "R"
    file_extension = ".r"
    code_hello_world = "cat('hello, world')"
    code_stderr = "message('test')"
    completion_samples = [
        {"text": "zi", "matches": ["zip"]},
        {"text": "seq_le", "matches": ["seq_len"]},
    ]
    complete_code_samples = ["1", "print('hello')", "for (i in 1:3) i"]
    incomplete_code_samples = ["print('hello", "for (i in 1:3"]
    invalid_code_samples = ["1 1", "if ()"]
    code_page_something = "?cat"
    code_generate_error = "stop('no')"
    code_display_data = [
        {"code": "6*7", "mime": "text/plain"},
        {"code": "IRdisplay::display_html('<b>x</b>')", "mime": "text/html"},
    ]
    code_inspect_sample = "cat"
    code_clear_output = "IRdisplay::clear_output()"
