#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""churn.py write CONFIG SECONDS SEED - replace the services of a configuration, all but
                                       the first, 30 times a second at random
   churn.py tables               - print what the kernel's tables mean, without indices
                                   and places: two data planes of one configuration
                                   print the same. Fails if they contradict themselves.
"""
import json
import os
import random
import subprocess
import sys
import time


def write(path, seconds, seed):
    rng = random.Random(seed)
    with open(path) as file:
        config = json.load(file)
    fixed = config["services"][:1]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        config["services"] = fixed + [service(rng, n) for n in range(25) if rng.random() < 0.8]
        with open(path + ".new", "w") as file:
            json.dump(config, file)
        os.rename(path + ".new", path)
        time.sleep(0.03)


def service(rng, n):
    backends = rng.sample(range(1, 61), rng.choice([0, 1, 3, 9, 12, 30]))
    return {
        "name": f"s{n}", "address": f"203.0.113.{rng.randrange(3) * 50 + n + 20}",
        "port": rng.choice([80, "any"]), "protocol": "tcp", "forward": "l2",
        "limits": [{"rate": rng.randrange(1, 10 ** 6)}] if rng.random() < 0.5 else [],
        "backends": [{"address": f"10.0.1.{b}", "weight": rng.randrange(5),
                      "state": rng.choice(["active", "draining"])} for b in backends],
    }


def dump(name):
    path = f"/sys/fs/bpf/weir/{name}"
    text = subprocess.check_output(["bpftool", "-j", "map", "dump", "pinned", path])
    return [entry["formatted"]["value"] for entry in json.loads(text)]


def tables():
    services, backends, rules = dump("services"), dump("backends"), dump("limit_rules")
    names, owners = dump("service_info"), dump("backend_info")
    slots = [slot for line in dump("slots") for slot in line["slot"]]
    used = [service for service in services if service["state"] == 1]
    meaning = []
    for one in used:
        name, ring = names[one["index"]], one["ring"]
        words = slots[ring["offset"]:ring["offset"] + ring["size"]]
        for word in set(words):
            assert word >> 16 == 0, "a slot is not stable"
            assert word == 0 or owners[word]["service"] == name["name"], "a foreign backend"
        meaning.append({
            "name": name["name"], "address": name["address"],
            "ring": [word and owners[word]["address"] for word in words],
            "limits": [rules[limit] for limit in one["limit"] if limit],
        })
    check_use(used, names, owners, backends, rules)
    print(json.dumps(sorted(meaning, key=lambda one: one["name"])))


def check_use(used, names, owners, backends, rules):
    """What is in use is named once, and nothing else is left over."""
    named = [info["name"] for info in names if info["name"]]
    assert len(named) == len(set(named)) == len(used), "names do not match services"
    owned = [(info["service"], info["address"]) for info in owners if info["service"]]
    assert len(owned) == len(set(owned)), "a backend has two indices"
    assert len(owned) == sum(1 for one in backends if one["family"]), "a record is left over"
    limits = sum(1 for one in used for limit in one["limit"] if limit)
    assert limits == sum(rule["enabled"] for rule in rules), "a rule is left over"


if sys.argv[1] == "write":
    write(sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
else:
    tables()
