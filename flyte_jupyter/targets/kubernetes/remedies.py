"""What to change where the cluster refuses a pod: its own words, looked up in a table."""

from __future__ import annotations

import re

from flyte_jupyter.spec.naming import did_you_mean

__all__ = ["remedy_for"]

OPENSHIFT = (
    "This cluster's namespaces choose the user themselves. Leave it to them: "
    "pod_template=PodTemplate(pod_spec={'securityContext': {'runAsNonRoot': False}})."
)
UNCONFINED = (
    "Have the pod template ask for less: the namespace allows only what its security level does."
)
# words of the cluster, and what is done about them; the first that fits counts
TABLE: tuple[tuple[str, str], ...] = (
    (r"violates PodSecurity", UNCONFINED),
    (r"security context constraint", OPENSHIFT),
    (
        r"looking up service account|serviceaccount .* not found",
        "Name an account of the namespace in service_account=, or leave it out.",
    ),
    (
        r"no PriorityClass with name|priorityClassName",
        "Name a priority class that there is (kubectl get priorityclasses), in pod_template.",
    ),
    (r"RuntimeClass", "Name a runtime class that there is, in pod_template."),
    (
        r"(maximum|minimum) .* usage per (Container|Pod)|limit to request ratio",
        "Change resources=: the namespace has bounds (kubectl get limitranges).",
    ),
    (r"\.resources\b", "Change resources=, or the resources in pod_template."),
    (r"\.env\b", "Change env_vars=, or env in pod_template."),
    (r"queue-name", "Change queue=."),
    (
        r"metadata\.labels|metadata\.annotations",
        "Change the labels and annotations of pod_template.",
    ),
    (r"\.image\b", "Change image=."),
    (r"spec\.", "Change that field in pod_template."),
)
UNKNOWN = re.compile(r'unknown field "([^"]+)"')


def remedy_for(sentence: str) -> str:
    """Return what to do about a refusal, nothing where that is not known.

    Args:
        sentence: the cluster's.
    """
    unknown = UNKNOWN.search(sentence)
    if unknown:
        place, _, name = unknown.group(1).rpartition(".")
        hint = did_you_mean(name, _fields(place))
        return f"The pod template has a field {name!r} in {place}, which there is not{hint or '.'}"
    return next((words for pattern, words in TABLE if re.search(pattern, sentence)), "")


def _fields(place: str) -> list[str]:
    """Return the fields that there are in a part of a pod, as the installed client knows them."""
    from kubernetes import client

    last = re.sub(r"\[\d+\]", "", place).rpartition(".")[2]
    models = {
        "spec": client.V1PodSpec,
        "containers": client.V1Container,
        "initContainers": client.V1Container,
        "volumes": client.V1Volume,
        "volumeMounts": client.V1VolumeMount,
        "tolerations": client.V1Toleration,
        "resources": client.V1ResourceRequirements,
        "env": client.V1EnvVar,
        "affinity": client.V1Affinity,
    }
    model = models.get(last)
    if last == "securityContext":
        inside = "containers" in place.lower()
        model = client.V1SecurityContext if inside else client.V1PodSecurityContext
    return [] if model is None else list(model.attribute_map.values())
