"""What must agree between the files of deploy, and no schema knows. Needs PyYAML. Prints what does not agree."""

import json
import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy/kubernetes"
failures = []


def expect(condition, message):
    if not condition:
        failures.append(message)


def load(path):
    return yaml.safe_load(path.read_text())


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|min|m)", str(text)).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, "min": 60}[unit]


def shutdown(path):
    settings = load(path)["shutdown"]
    return seconds(settings["delay"]) + seconds(settings["timeout"])


def references():
    """Every file that a kustomization names is there, and every file is named by one."""
    named = set()
    for file in KUBERNETES.rglob("kustomization.yaml"):
        kustomization = load(file)
        paths = [*kustomization.get("resources", []), *kustomization.get("components", [])]
        paths += [patch["path"] for patch in kustomization.get("patches", [])]
        paths += [name for made in kustomization.get("configMapGenerator", []) for name in made["files"]]
        for path in paths:
            target = (file.parent / path).resolve()
            target = target / "kustomization.yaml" if target.is_dir() else target
            expect(target.is_file(), f"{file}: there is no {path}")
            named.add(target)
    for file in KUBERNETES.rglob("*.yaml"):
        # An overlay or a component is for its user to name.
        if file.name != "kustomization.yaml":
            expect(file.resolve() in named, f"{file}: no kustomization names it")


def broker(name, pod, container):
    """A broker's container, as strict as can be, with its ports, mounts and paths."""
    security = container["securityContext"]
    expect(security["allowPrivilegeEscalation"] is False, f"{name}: may gain privileges")
    expect(security["readOnlyRootFilesystem"] is True, f"{name}: the root is writable")
    expect(security["capabilities"] == {"drop": ["ALL"]}, f"{name}: has capabilities")
    both = {**pod.get("securityContext", {}), **security}
    expect(both["runAsNonRoot"] is True and both["seccompProfile"] == {"type": "RuntimeDefault"}, f"{name}: too free")
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.M)
    expect((both["runAsUser"], both["runAsGroup"]) == (int(user[1]), int(user[2])), f"{name}: not the image's user")

    volumes = {volume["name"] for volume in pod["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    expect(set(mounts) <= volumes, f"{name}: mounts what is no volume: {set(mounts) - volumes}")
    expect(not any("subPath" in mount for mount in container["volumeMounts"]), f"{name}: subPath is never updated")
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    files = [environment["AUTH0_CLIENT_SECRET_FILE"], container["args"][container["args"].index("--config") + 1]]
    files.append(environment["BROKER_STORE"].removeprefix("file:"))
    if environment["BROKER_LISTEN"].startswith("unix:"):
        files.append(environment["BROKER_LISTEN"].removeprefix("unix:").split("?")[0])
    for file in files:
        expect(str(pathlib.PurePath(file).parent) in mounts.values(), f"{name}: nothing is mounted for {file}")
    ports = {port["name"]: str(port["containerPort"]) for port in container.get("ports", [])}
    listening = {port: environment[key].rsplit(":")[-1] for port, key in
                 (("http", "BROKER_LISTEN"), ("admin", "BROKER_ADMIN_LISTEN"))}
    for port, number in ports.items():
        expect(listening[port] == number, f"{name}: listens on {listening[port]}, but its port {port} is {number}")
    for probe in ("startupProbe", "livenessProbe", *(["readinessProbe"] if "readinessProbe" in container else [])):
        if "httpGet" in container[probe]:
            expect(container[probe]["httpGet"]["port"] in ports, f"{name}: {probe} asks at no port")
        else:
            command = container[probe]["exec"]["command"]
            expect(command[0] == "token-broker" and command[-1].endswith(":" + listening["admin"]), f"{name}: {probe}")


def deployments():
    base = load(KUBERNETES / "base/deployment.yaml")["spec"]["template"]
    pod, labels = base["spec"], base["metadata"]["labels"]
    broker("base", pod, pod["containers"][0])
    stopping = shutdown(KUBERNETES / "base/token-broker.yaml")
    expect(pod["terminationGracePeriodSeconds"] >= stopping + 3, "base: killed before it has stopped")
    ports = {port["name"] for port in pod["containers"][0]["ports"]}

    service = load(KUBERNETES / "base/service.yaml")
    expect(service["spec"]["selector"].items() <= labels.items(), "the Service selects no broker")
    expect({port["targetPort"] for port in service["spec"]["ports"]} <= ports, "the Service's ports lead nowhere")
    policy = load(KUBERNETES / "base/networkpolicy.yaml")["spec"]
    expect(policy["podSelector"]["matchLabels"].items() <= labels.items(), "the NetworkPolicy is no broker's")
    for rule in policy["ingress"]:
        expect({port["port"] for port in rule["ports"]} <= ports, "the NetworkPolicy's ports lead nowhere")
        expect(rule.get("from"), "the NetworkPolicy lets everybody in")
    monitor = load(KUBERNETES / "components/monitoring/servicemonitor.yaml")["spec"]
    for endpoint in monitor["endpoints"]:
        expect(endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}, "the monitor's port is none")
    for name in ("disruptionbudget", "autoscaler"):
        spec = load(KUBERNETES / f"overlays/fleet/{name}.yaml")["spec"]
        if "selector" in spec:
            expect(spec["selector"]["matchLabels"].items() <= labels.items(), f"{name} selects no broker")
    fleet = load(KUBERNETES / "overlays/fleet/fleet.yaml")["spec"]["template"]["spec"]
    for spread in fleet["topologySpreadConstraints"]:
        expect(spread["labelSelector"]["matchLabels"].items() <= labels.items(), "the fleet spreads other pods")

    sidecar = load(KUBERNETES / "components/sidecar/sidecar.yaml")["spec"]["template"]["spec"]
    broker("sidecar", sidecar, sidecar["initContainers"][0])
    expect("readinessProbe" not in sidecar["initContainers"][0], "the sidecar can make the application's pod unready")
    expect(sidecar["initContainers"][0]["restartPolicy"] == "Always", "the sidecar would have to end first")
    application = load(KUBERNETES / "overlays/sidecar/application.yaml")
    pod = application["spec"]["template"]["spec"]
    target = load(KUBERNETES / "components/sidecar/kustomization.yaml")["patches"][0]["target"]["labelSelector"]
    key, value = target.split("=")
    expect(application["metadata"]["labels"].get(key) == value, "the example's application gets no sidecar")
    mounts = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    expect(mounts <= {volume["name"] for volume in sidecar["volumes"]}, "the application mounts what is not there")
    settings = load(KUBERNETES / "components/sidecar/token-broker.yaml")
    user = str(pod["containers"][0]["securityContext"]["runAsUser"])
    expect([user] in [caller["unixUser"] for caller in settings["callers"].values()], "the application is no caller")
    expect(pod["terminationGracePeriodSeconds"] > shutdown(KUBERNETES / "components/sidecar/token-broker.yaml"),
           "sidecar: killed before it has stopped")


def others():
    # Both have the defaults of shutdown, unless a file of theirs says otherwise.
    default = shutdown(ROOT / "deploy/token-broker.yaml")
    unit = (ROOT / "deploy/systemd/token-broker.service").read_text()
    expect(seconds(re.search(r"^TimeoutStopSec=(.*)$", unit, re.M)[1]) > default, "systemd kills it before it has stopped")
    service = load(ROOT / "deploy/compose.yaml")["services"]["token-broker"]
    expect(seconds(service["stop_grace_period"]) > default, "Compose kills it before it has stopped")

    groups = set(re.findall(r"^# (\w+):", (ROOT / "deploy/packages.txt").read_text(), re.M))
    wanted = set(re.findall(r'\$2 == "(\w+):"', (ROOT / "Dockerfile").read_text()))
    expect(wanted and wanted <= groups, f"the Dockerfile installs {wanted}, and packages.txt has {groups}")

    dashboard = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    expect(len(ids) == len(set(ids)), "two panels of the dashboard have the same id")
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    cells = [(place["x"] + x, place["y"] + y) for place in places for x in range(place["w"]) for y in range(place["h"])]
    expect(len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24, "panels of the dashboard overlap")


references()
deployments()
others()
print("\n".join(failures) or "all agree")
sys.exit(1 if failures else 0)
