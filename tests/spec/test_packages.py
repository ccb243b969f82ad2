from __future__ import annotations

import pytest

from flyte_jupyter.spec.packages import package_of


@pytest.mark.parametrize(
    ("module", "package"),
    [("sklearn.linear_model", "scikit-learn"), ("PIL", "pillow"), ("pandas.io", "pandas")],
)
def test_a_missing_module_is_told_by_the_package_that_has_it(module, package):
    assert package_of(module) == package
