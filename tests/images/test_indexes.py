from flyte_jupyter.images.indexes import add_indexes, uv_environment


def test_the_index_that_is_set_for_pip_is_taken_over(tmp_path):
    environ = uv_environment(
        {
            "HOME": str(tmp_path),
            "PIP_INDEX_URL": "https://a.example/simple",
            "PIP_EXTRA_INDEX_URL": "https://b.example/simple https://c.example/simple",
            "PIP_CERT": "/certs.pem",
            "PIP_NO_INDEX": "0",
        }
    )
    assert environ["UV_DEFAULT_INDEX"] == "https://a.example/simple"
    assert environ["UV_INDEX"] == "https://b.example/simple https://c.example/simple"
    assert environ["SSL_CERT_FILE"] == "/certs.pem"
    assert "UV_NO_INDEX" not in environ


def test_what_is_set_for_uv_wins(tmp_path):
    environ = uv_environment(
        {"PIP_INDEX_URL": "https://pip.example/simple", "UV_INDEX_URL": "https://uv.example/simple"}
    )
    assert environ["UV_INDEX_URL"] == "https://uv.example/simple"
    assert "UV_DEFAULT_INDEX" not in environ


def test_the_configuration_file_of_pip_is_read(tmp_path):
    file, address = tmp_path / "pip.conf", "https://file.example/simple"
    file.write_text(f"[global]\nindex-url = {address}\ntimeout = 7\n")
    environ = uv_environment({"PIP_CONFIG_FILE": str(file), "PIP_TIMEOUT": "9"})
    assert environ["UV_DEFAULT_INDEX"] == address
    assert environ["UV_HTTP_TIMEOUT"] == "9"


def test_a_broken_configuration_file_is_passed_over(tmp_path):
    file = tmp_path / "pip.conf"
    file.write_text("no section\n")
    assert "UV_DEFAULT_INDEX" not in uv_environment({"PIP_CONFIG_FILE": str(file)})


def test_a_folder_of_wheels_that_is_not_there_is_left_out(tmp_path):
    environ = uv_environment({"PIP_FIND_LINKS": f"/no/such/folder {tmp_path}"})
    assert environ["UV_FIND_LINKS"] == str(tmp_path)
    assert "UV_FIND_LINKS" not in uv_environment({"PIP_FIND_LINKS": "/no/such/folder"})


def test_the_kernels_own_environment_is_not_where_packages_go():
    kernel = {"VIRTUAL_ENV": "/kernel", "UV_SYSTEM_PYTHON": "1", "PYTHONPATH": "/lib"}
    environ = uv_environment({**kernel, "PATH": "/bin", "PIP_CONFIG_FILE": "/dev/null"})
    assert set(environ) == {"PATH", "PIP_CONFIG_FILE", "UV_LINK_MODE", "NO_COLOR"}


def test_a_layers_index_replaces_the_usual_one_and_further_ones_come_first():
    environ = {
        "UV_INDEX_URL": "https://usual.example",
        "UV_EXTRA_INDEX_URL": "https://more.example",
    }
    assert add_indexes(environ, "https://a.example", ("https://b.example",)) == {
        "UV_DEFAULT_INDEX": "https://a.example",
        "UV_INDEX": "https://b.example https://more.example",
    }
