"""Lists the instances of each account and region with c7n-org, for the benchmarks.

    python c7n_org_instances.py URL HOME REGION,... ACCOUNTS FOLDER

The arguments are those of `boto3_inventory.py`; c7n-org's policies and results go into FOLDER. Its policies for buckets
and functions need detail calls that the simulator doesn't have. It doesn't cache role credentials: each account and
region calls the portal once. Prints the number of rows.
"""

import configparser
import json
import os
import pathlib
import subprocess
import sys

URL, HOME, REGIONS, ACCOUNTS, FOLDER = sys.argv[1:]
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
environment = dict(
    os.environ,
    HOME=HOME,
    AWS_ENDPOINT_URL=URL,
    AWS_DEFAULT_REGION="us-east-1",
    AWS_EC2_METADATA_DISABLED="true",
)

config = configparser.ConfigParser(interpolation=None)
config.read(pathlib.Path(HOME, ".aws", "config"))
profiles = [name for name in config.sections() if name.startswith("profile ")]
accounts = [
    {
        "name": name.removeprefix("profile "),
        "account_id": config[name]["sso_account_id"],
        "profile": name.removeprefix("profile "),
        "regions": REGIONS.split(","),
    }
    for name in profiles[: int(ACCOUNTS) or None]
]
folder = pathlib.Path(FOLDER)
# JSON is YAML.
(folder / "accounts.yml").write_text(json.dumps({"accounts": accounts}))
policies = {"policies": [{"name": "instances", "resource": "aws.ec2"}]}
(folder / "policies.yml").write_text(json.dumps(policies))
subprocess.run(
    [
        pathlib.Path(sys.executable).with_name("c7n-org"),
        *("run", "-c", folder / "accounts.yml", "-s", folder / "out", "-u", folder / "policies.yml"),
    ],
    env=environment,
    check=True,
    stdout=sys.stderr,
)
found = folder.glob("out/*/*/instances/resources.json")
print(sum(len(json.loads(file.read_text())) for file in found))
