"""A pod's own settings as plain JSON, so that neither side needs the Kubernetes package."""

from __future__ import annotations

from typing import Any, Mapping

from flyte_jupyter.errors import SpecError, SpecTypeError
from flyte_jupyter.spec.naming import check_label, kind, shown

__all__ = ["PodTemplate", "pod_template_of"]


class PodTemplate:
    """What the pod of a task has beyond what the task's own settings say.

    Args:
        pod_spec: the specification, as a dict in the spelling of manifests (``nodeSelector``) or a
            ``V1PodSpec`` of the Kubernetes client. It is copied.
        primary_container_name: which of its containers runs the task.
        labels: labels of the pod.
        annotations: annotations of the pod.

    Templates with the same content are equal, and hashable.

    Raises:
        SpecTypeError: a value of a type that the field does not take.
        SpecError: a specification that is no JSON.
    """

    __slots__ = ("_text",)
    _text: str

    def __init__(
        self,
        pod_spec: Any = None,
        primary_container_name: str = "primary",
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        import json

        spec = _manifest(pod_spec)
        if spec is not None and not isinstance(spec, dict):
            raise SpecTypeError(
                f"pod_spec={shown(pod_spec)} is {kind(pod_spec)}; "
                "give a dict in the spelling of manifests, or a V1PodSpec."
            )
        content = {
            "spec": spec or {},
            "primary": check_label("primary_container_name", primary_container_name),
            "labels": _strings("labels", labels),
            "annotations": _strings("annotations", annotations),
        }
        try:
            text = json.dumps(content, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise SpecError(f"pod_spec holds what no manifest can hold: {error}.") from None
        object.__setattr__(self, "_text", text)

    def to_plain(self) -> dict[str, Any]:
        """Return a fresh dict with ``spec``, ``primary``, ``labels`` and ``annotations``."""
        import json

        plain: dict[str, Any] = json.loads(self._text)
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> PodTemplate:
        """Return the template that `to_plain` described."""
        return cls(plain["spec"], plain["primary"], plain["labels"], plain["annotations"])

    @property
    def pod_spec(self) -> dict[str, Any]:
        """The specification as it would stand in a manifest; a fresh copy."""
        spec: dict[str, Any] = self.to_plain()["spec"]
        return spec

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the pod; a fresh copy."""
        labels: dict[str, str] = self.to_plain()["labels"]
        return labels

    @property
    def annotations(self) -> dict[str, str]:
        """Annotations of the pod; a fresh copy."""
        annotations: dict[str, str] = self.to_plain()["annotations"]
        return annotations

    @property
    def primary_container_name(self) -> str:
        """Which of the pod's containers runs the task."""
        name: str = self.to_plain()["primary"]
        return name

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a pod template does not change; make another with {name}=...")

    def __reduce__(self) -> tuple[Any, ...]:
        return PodTemplate.from_plain, (self.to_plain(),)

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, PodTemplate) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        plain = self.to_plain()
        parts = [f"pod_spec={plain['spec']!r}"] if plain["spec"] else []
        if plain["primary"] != "primary":
            parts.append(f"primary_container_name={plain['primary']!r}")
        parts += [f"{name}={plain[name]!r}" for name in ("labels", "annotations") if plain[name]]
        return f"PodTemplate({', '.join(parts)})"

    def _repr_html_(self) -> str:
        from flyte_jupyter.spec.html import table

        plain = self.to_plain()
        rows = [("primary container", plain["primary"])]
        for name in ("labels", "annotations", "spec"):
            rows += [(f"{name}: {key}", str(value)) for key, value in plain[name].items()]
        return table("Pod template", rows)


def pod_template_of(value: Any) -> PodTemplate | str | None:
    """Return what ``pod_template=`` asks for: a template, or the name of one in the cluster.

    Raises:
        SpecTypeError: something else.
    """
    if value is None or isinstance(value, PodTemplate):
        return value
    if isinstance(value, str):
        return check_label("pod_template", value)
    if isinstance(value, dict) or hasattr(value, "attribute_map"):
        return PodTemplate(value)
    raise SpecTypeError(
        f"pod_template={shown(value)} is {kind(value)}; "
        "give PodTemplate(pod_spec={...}) or the name of a template in the cluster."
    )


def _manifest(value: Any) -> Any:
    """Return models of the Kubernetes client as the dicts that their manifests would be."""
    names = getattr(value, "attribute_map", None)
    if isinstance(names, dict):
        fields = {key: _manifest(getattr(value, name)) for name, key in names.items()}
        return {key: item for key, item in fields.items() if item is not None}
    if isinstance(value, Mapping):
        return {str(key): _manifest(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_manifest(item) for item in value]
    return value


def _strings(name: str, value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise SpecTypeError(f"{name}={shown(value)} is {kind(value)}; give a dict.")
    for key, item in value.items():
        if not isinstance(key, str) or not isinstance(item, str):
            raise SpecTypeError(
                f"{name}: {shown(key)}: {shown(item)} is no pair of strings; "
                f"write {str(key)!r}: {str(item)!r}."
            )
    return dict(value)
