"""Makes of an image, as `buildah inspect` describes it, what an OCI runtime starts: as strictly as Kubernetes would.

bundle.py IMAGE.json ROOT DIRECTORY [ARGUMENT]...
"""

import json
import os
import sys

image, root, directory, arguments = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
with open(image) as file:
    config = json.load(file)["Docker"]["config"]
assert config["StopSignal"] == "SIGTERM", config
user, group = (int(part) for part in config["User"].split(":"))
kind, *health = config["Healthcheck"]["Test"]
assert kind == "CMD", "the health check would need a shell"


def seccomp():
    """The default profile of container engines, for a process without capabilities."""
    with open("/usr/share/containers/seccomp.json") as file:
        profile = json.load(file)
    rules = []
    for rule in profile["syscalls"]:
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        if includes.get("caps") or "amd64" in (excludes.get("arches") or []):
            continue
        if includes.get("arches") and "amd64" not in includes["arches"]:
            continue
        known = ("names", "action", "args", "errnoRet")
        rules.append({name: rule[name] for name in known if rule.get(name) is not None})
    return {
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile.get("defaultErrnoRet", 1),
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": rules,
    }


bundle = {
    "ociVersion": "1.0.2",
    "process": {
        "args": config["Entrypoint"] + arguments,
        "env": config["Env"],
        "cwd": config.get("WorkingDir") or "/",
        "user": {"uid": user, "gid": group},
        "capabilities": {},
        "noNewPrivileges": True,
    },
    "root": {"path": root, "readonly": True},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
    ],
    "linux": {
        "namespaces": [{"type": name} for name in ("pid", "network", "mount", "ipc", "uts")],
        "seccomp": seccomp(),
        "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
        "readonlyPaths": ["/proc/sys", "/proc/irq", "/proc/bus"],
    },
}
with open(os.path.join(directory, "config.json"), "w") as file:
    json.dump(bundle, file, indent=2)
with open(os.path.join(directory, "healthcheck"), "w") as file:
    file.write("\n".join(health) + "\n")
