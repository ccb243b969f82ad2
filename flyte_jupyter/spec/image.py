"""The container image of an environment, as a value: a base and layers, never built here."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Mapping

from flyte_jupyter.errors import SpecError, SpecTypeError
from flyte_jupyter.spec import imagefiles, layers
from flyte_jupyter.spec import imagenames as grammar
from flyte_jupyter.spec.layers import Base, Layer
from flyte_jupyter.spec.naming import check_variable, did_you_mean, kind, listing, shown
from flyte_jupyter.spec.secret import secrets_of

__all__ = ["Image", "image_of"]


@dataclass(frozen=True)
class Image:
    """An image; made by ``from_*``, extended by ``with_*``, each of which returns a new one.

    Attributes:
        base: what it stands on.
        layers: what is laid on it, in this order.
        name: name that the built image gets, or None.
        registry: where a built image is pushed, or None.
        platform: platforms it is built for; empty for the one it runs on.
        registry_secret: name of the secret that opens the registry, or None.
    """

    base: Base = None  # type: ignore[assignment]
    layers: tuple[Layer, ...] = ()
    name: str | None = None
    registry: str | None = None
    platform: tuple[str, ...] = ()
    registry_secret: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.base, layers.BASES):
            raise SpecTypeError(
                "Image(...) is not called directly; "
                "start with Image.from_debian_base() or Image.from_base('python:3.12-slim')."
            )
        if self.name is not None:
            grammar.check_name(self.name)
        if self.registry is not None:
            grammar.check_reference("registry", self.registry)
        object.__setattr__(self, "platform", grammar.platforms(self.platform))

    @classmethod
    def from_debian_base(
        cls,
        python_version: Any = None,
        *,
        python: Any = None,
        registry: str | None = None,
        registry_secret: str | None = None,
        name: str | None = None,
        platform: Any = (),
        flyte_version: str | None = None,
        install_flyte: bool = True,
    ) -> Image:
        """Start with the slim Debian image of a Python.

        Args:
            python_version: ``(3, 12)`` or ``"3.12"``; this kernel's if not given.
            python: another spelling of it.
            registry: where a built image is pushed.
            registry_secret: name of the secret that opens the registry.
            name: name that the built image gets.
            platform: platforms to build for.
            flyte_version: taken for compatibility; what a task needs of us travels with it.
            install_flyte: likewise.

        Raises:
            SpecError: a Python that has no image.
        """
        if python is not None and python_version is not None:
            raise SpecError("python_version= and python= are two spellings of one field; give one.")
        del flyte_version, install_flyte
        version = imagefiles.python_version(python_version if python is None else python)
        return cls(layers.DebianBase(version), (), name, registry, platform, registry_secret)

    @classmethod
    def from_base(cls, image_uri: str) -> Image:
        """Start with an image that exists, such as ``"python:3.12-slim"``.

        Raises:
            SpecError: no image reference.
        """
        return cls(layers.Reference(grammar.check_reference("image_uri", image_uri)))

    @classmethod
    def from_dockerfile(
        cls, file: Any, registry: str | None = None, name: str | None = None, platform: Any = ()
    ) -> Image:
        """Start with a Dockerfile, whose folder is the build context.

        Raises:
            SpecError: it cannot be read, or names no base.
        """
        path, text = imagefiles.read_text("file", file)
        if not re.search(r"^\s*FROM\s+\S+", text, re.MULTILINE | re.IGNORECASE):
            raise SpecError(f"file={path!r} has no FROM line; a Dockerfile names its base image.")
        return cls(layers.DockerfileBase(path, text), (), name, registry, platform)

    @classmethod
    def from_uv_script(
        cls,
        script: Any,
        *,
        name: str | None = None,
        registry: str | None = None,
        registry_secret: str | None = None,
        python_version: Any = None,
        platform: Any = (),
    ) -> Image:
        """Start with what a script says of itself in its inline metadata (PEP 723).

        Raises:
            SpecError: it cannot be read, or has no such metadata.
        """
        base = imagefiles.read_script(script, python_version)
        return cls(base, (), name, registry, platform, registry_secret)

    def with_pip_packages(
        self,
        *packages: str,
        index_url: str | None = None,
        extra_index_urls: Any = None,
        pre: bool = False,
        extra_args: str | None = None,
        secret_mounts: Any = None,
    ) -> Image:
        """Add Python packages: ``with_pip_packages("pandas==2.2", "scikit-learn")``.

        Args:
            packages: requirement specifiers.
            index_url: index in place of the usual one.
            extra_index_urls: one or more further indexes.
            pre: take pre-releases.
            extra_args: further options, as one string.
            secret_mounts: secrets that the installation needs.

        Raises:
            SpecTypeError: a list in place of strings.
            SpecError: no requirement specifier.
        """
        names = grammar.words("with_pip_packages", packages)
        for name in names:
            grammar.check_specifier(name)
        return self._with(
            layers.PipPackages(
                names,
                *grammar.index_options(index_url, extra_index_urls, pre, extra_args, secret_mounts),
            )
        )

    def with_requirements(
        self,
        file: Any,
        index_url: str | None = None,
        extra_index_urls: Any = None,
        pre: bool = False,
        extra_args: str | None = None,
        secret_mounts: Any = None,
    ) -> Image:
        """Add the packages of a requirements file; the options are those of pip packages.

        Raises:
            SpecError: it cannot be read.
        """
        path, text = imagefiles.read_text("file", file)
        options = grammar.index_options(index_url, extra_index_urls, pre, extra_args, secret_mounts)
        return self._with(layers.Requirements(path, tuple(text.splitlines()), *options))

    def with_uv_project(
        self,
        pyproject_file: Any,
        uvlock: Any = None,
        *,
        project_install_mode: str = "dependencies_only",
        extra_args: str | None = None,
        secret_mounts: Any = None,
    ) -> Image:
        """Add what a project of uv depends on, and the project itself if asked.

        Args:
            pyproject_file: its ``pyproject.toml``.
            uvlock: its lock file; ``uv.lock`` beside it if not given and there.
            project_install_mode: ``"dependencies_only"`` or ``"install_project"``.
            extra_args: further options of ``uv sync``.
            secret_mounts: secrets that the installation needs.

        Raises:
            SpecError: a file that cannot be read, or an unknown mode.
        """
        modes = ("dependencies_only", "install_project")
        if project_install_mode not in modes:
            raise SpecError(
                f"project_install_mode={shown(project_install_mode)} is no mode"
                + (did_you_mean(str(project_install_mode), modes) or f"; take {listing(modes)}.")
            )
        project, lock, digest = imagefiles.read_project(
            pyproject_file, uvlock, project_install_mode == "install_project"
        )
        return self._with(
            layers.UvProject(
                project,
                lock,
                digest,
                project_install_mode == "install_project",
                extra_args,
                secrets_of(secret_mounts) or (),
            )
        )

    def with_apt_packages(self, *packages: str, secret_mounts: Any = None) -> Image:
        """Add Debian packages: ``with_apt_packages("curl", "git")``.

        Raises:
            SpecTypeError: a list in place of strings.
            SpecError: no name of a Debian package.
        """
        names = grammar.words("with_apt_packages", packages)
        for name in names:
            grammar.check_debian_package(name)
        return self._with(layers.AptPackages(names, secrets_of(secret_mounts) or ()))

    def with_commands(self, commands: Any, secret_mounts: Any = None) -> Image:
        """Add shell commands, run as root while building.

        Args:
            commands: a list of commands, or one.
            secret_mounts: secrets that they need.

        Raises:
            SpecTypeError: something else than strings.
        """
        given = (commands,) if isinstance(commands, str) else tuple(commands or ())
        for command in given:
            if isinstance(command, (list, tuple)):
                raise SpecTypeError(
                    f"with_commands: {shown(command)} is {kind(command)}; "
                    f"did you mean {' '.join(map(str, command))!r}?"
                )
        lines = grammar.words("with_commands", given)
        return self._with(layers.Commands(lines, secrets_of(secret_mounts) or ()))

    def with_env_vars(self, env_vars: Mapping[str, str]) -> Image:
        """Add environment variables.

        Raises:
            SpecTypeError: no dict of strings.
            SpecError: a name that no variable can have.
        """
        if not isinstance(env_vars, Mapping):
            raise SpecTypeError(
                f"env_vars={shown(env_vars)} is {kind(env_vars)}; "
                "give a dict such as {'MODE': 'fast'}."
            )
        for name, value in env_vars.items():
            check_variable("env_vars", name)
            if not isinstance(value, str):
                raise SpecTypeError(
                    f"env_vars: {name}={shown(value)} is {kind(value)}; write {str(value)!r}."
                )
        return self._with(layers.EnvVars(tuple(sorted(env_vars.items()))))

    def with_workdir(self, workdir: str) -> Image:
        """Set the working directory, an absolute path.

        Raises:
            SpecError: no absolute path.
        """
        text = str(workdir)
        if not text.startswith("/"):
            raise SpecError(
                f"workdir={text!r} is no absolute path; did you mean '/{text.lstrip('./')}'?"
            )
        return self._with(layers.WorkDir(text))

    def with_source_file(self, src: Any, dst: str = ".") -> Image:
        """Copy a file into the image.

        Args:
            src: the file.
            dst: where to; relative to the working directory. A folder keeps the file's name.

        Raises:
            SpecError: no such file.
        """
        return self._with(imagefiles.source_file(src, dst))

    def with_source_folder(
        self, src: Any, dst: str = ".", copy_contents_only: bool = False
    ) -> Image:
        """Copy a folder into the image.

        Args:
            src: the folder.
            dst: where to; relative to the working directory.
            copy_contents_only: copy what is in it, not the folder itself.

        Raises:
            SpecError: no such folder.
        """
        return self._with(imagefiles.source_folder(src, dst, copy_contents_only))

    def clone(self, **changes: Any) -> Image:
        """Return the same image with another ``name``, ``registry``, ``platform`` or secret.

        Raises:
            SpecTypeError: another field.
        """
        changes.pop("extendable", None)  # every image of ours can be extended
        known = ("name", "registry", "platform", "registry_secret")
        for name in changes:
            if name not in known:
                hint = did_you_mean(name, known) or f"; it takes {listing(known, 'and')}."
                raise SpecTypeError(f"Image.clone has no {name}{hint}")
        return replace(self, **changes)

    @property
    def content_hash(self) -> str:
        """Hex digest of what the image holds.

        Base, Python, platforms and layers count, and the contents of files. Where a file lay, the
        order of variables inside one layer, and the name and registry of the result do not.
        """
        cached = self.__dict__.get("_content_hash")
        if cached is None:
            from flyte_jupyter.spec.hashing import digest

            cached = digest("image", self.base, self.layers, self.platform)
            self.__dict__["_content_hash"] = cached
        return str(cached)

    @property
    def short(self) -> str:
        """A few words for displays: ``Python 3.11 on slim Debian + pip pandas``."""
        return " + ".join(shown(str(part), 60).strip("'\"") for part in (self.base, *self.layers))

    def refreshed(self) -> Image:
        """Return the image with its local files read again.

        Raises:
            SpecError: one of them is gone.
        """
        parts = [imagefiles.refreshed(part) for part in (self.base, *self.layers)]
        return replace(self, base=parts[0], layers=tuple(parts[1:]))

    def to_plain(self) -> dict[str, Any]:
        """Return JSON values that `from_plain` turns back into an equal image."""
        return {
            "base": layers.plain_of(self.base),
            "layers": [layers.plain_of(layer) for layer in self.layers],
            "name": self.name,
            "registry": self.registry,
            "platform": list(self.platform),
            "registry_secret": self.registry_secret,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Image:
        """Return the image that `to_plain` described."""
        return cls(
            layers.value_of(plain["base"]),
            tuple(layers.value_of(layer) for layer in plain["layers"]),
            plain["name"],
            plain["registry"],
            plain["platform"],
            plain["registry_secret"],
        )

    def __str__(self) -> str:
        return self.short

    def _repr_html_(self) -> str:
        from flyte_jupyter.spec.html import table

        rows = [("base", str(self.base))]
        rows += [(str(index), str(layer)) for index, layer in enumerate(self.layers, 1)]
        rows.append(("content", self.content_hash[:12]))
        return table("Image", rows)

    def _with(self, layer: Layer) -> Image:
        return replace(self, layers=(*self.layers, layer))


def image_of(value: Any) -> Image:
    """Return the image that ``image=`` asks for.

    Args:
        value: an `Image`, a reference as a string, or None or ``"auto"`` for the default.

    Raises:
        SpecTypeError: something else.
        SpecError: a string that is no reference.
    """
    if isinstance(value, Image):
        return value
    if value is None or value == "auto":
        return Image.from_debian_base()
    if isinstance(value, str):
        return Image(layers.Reference(grammar.check_reference("image", value)))
    raise SpecTypeError(
        f"image={shown(value)} is {kind(value)}; give an Image, "
        "a reference such as 'python:3.12-slim', or 'auto'."
    )
