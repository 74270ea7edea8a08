"""Lists buckets of each account, and instances and functions of each region, with boto3, for the benchmarks.

    python boto3_inventory.py URL HOME WAY REGION,... ACCOUNTS

URL is the simulator's, HOME the folder of its `.aws`. WAY is

- `loop`: one profile after another, each with a session of its own, as in most people's scripts;
- `threads`: 32 threads, in which the sessions share one botocore loader, so that each service's model is read once.
  Keys and the endpoint are passed in: a session with a profile would parse the whole config first.

ACCOUNTS is the number of accounts; 0 means all. Role credentials come from `~/.aws/cli/cache`, as with the AWS CLI.
Prints the number of rows.
"""

import concurrent.futures
import json
import os
import pathlib
import sys

URL, HOME, WAY, REGIONS, ACCOUNTS = sys.argv[1:]
CACHE = pathlib.Path(HOME, ".aws", "cli", "cache")
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ["HOME"] = HOME
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
if WAY == "threads":
    os.environ["AWS_ENDPOINT_URL"] = URL
    os.environ["AWS_CONFIG_FILE"] = os.devnull

import boto3  # noqa: E402
import botocore.session  # noqa: E402
from botocore.utils import JSONFileCache  # noqa: E402

THREADS = 32


def inventory(session):
    """The number of rows of the session's account."""
    pages = session.client("s3", region_name="us-east-1").get_paginator("list_buckets")
    rows = sum(len(page["Buckets"]) for page in pages.paginate(PaginationConfig={"PageSize": 10_000}))
    for region in REGIONS.split(","):
        pages = session.client("ec2", region_name=region).get_paginator("describe_instances")
        for page in pages.paginate(PaginationConfig={"PageSize": 1000}):
            rows += sum(len(reservation["Instances"]) for reservation in page["Reservations"])
        pages = session.client("lambda", region_name=region).get_paginator("list_functions")
        rows += sum(len(page["Functions"]) for page in pages.paginate())
    return rows


def of_profile(name):
    core = botocore.session.Session(profile=name)
    core.get_component("credential_provider").get_provider("sso").cache = JSONFileCache(str(CACHE))
    return inventory(boto3.Session(botocore_session=core))


LOADER = botocore.session.Session().get_component("data_loader")


def of_keys(file):
    keys = json.loads(file.read_text())["Credentials"]
    core = botocore.session.Session()
    core.register_component("data_loader", LOADER)
    core.set_credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    return inventory(boto3.Session(botocore_session=core))


limit = int(ACCOUNTS) or None
if WAY == "loop":
    total = sum(map(of_profile, botocore.session.Session().available_profiles[:limit]))
else:
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        total = sum(pool.map(of_keys, sorted(CACHE.iterdir())[:limit]))
print(total)
