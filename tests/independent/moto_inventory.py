"""An inventory in moto, as boto3 sees it.

`moto_inventory.py seed URL` fills a moto server with buckets, instances and functions of several accounts.
`moto_inventory.py compare URL FILE` lists them with boto3 and compares all rows with ssoinv's JSON in FILE: every
column that follows from a list call must say the same, and no other may say anything. Prints `equal: N rows`, or the
differences and exits 1.
"""

import datetime
import io
import json
import sys
import zipfile

import boto3
import botocore.session

ACCOUNTS = {"111111111111": "one", "002222222222": "two"}
REGIONS = ["us-east-1", "eu-west-1"]
# Loading the service models takes most of the time: all sessions share them.
LOADER = botocore.session.get_session().get_component("data_loader")
HOSTILE = 'a,"b"\';\t=cmd() \u202e\U0001d11e'


def new_session(**keys):
    shared = botocore.session.Session()
    shared.register_component("data_loader", LOADER)
    return boto3.Session(botocore_session=shared, **keys)


def session(url, account):
    keys = dict(aws_access_key_id="seed", aws_secret_access_key="seed", region_name="us-east-1")
    sts = new_session(**keys).client("sts", endpoint_url=url)
    role = f"arn:aws:iam::{account}:role/Audit"
    got = sts.assume_role(RoleArn=role, RoleSessionName="compare")["Credentials"]
    return new_session(
        aws_access_key_id=got["AccessKeyId"],
        aws_secret_access_key=got["SecretAccessKey"],
        aws_session_token=got["SessionToken"],
    )


def seed(url):
    for number, account in enumerate(ACCOUNTS):
        own = session(url, account)
        s3 = own.client("s3", endpoint_url=url, region_name="us-east-1")
        for name in ["logs", "data", "web"][: 3 - number]:
            s3.create_bucket(Bucket=f"{name}-{account}")
        role = own.client("iam", endpoint_url=url, region_name="us-east-1").create_role(
            RoleName="runs", AssumeRolePolicyDocument="{}"
        )["Role"]["Arn"]
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("main.py", "def handler(event, context): pass")
        for region in REGIONS:
            ec2 = own.client("ec2", endpoint_url=url, region_name=region)
            image = ec2.describe_images()["Images"][0]["ImageId"]
            for count in range(1, 4 - number):
                tags = [{"Key": "Name", "Value": f"web-{count}"}, {"Key": "odd", "Value": HOSTILE}]
                ec2.run_instances(
                    ImageId=image,
                    MinCount=count,
                    MaxCount=count,
                    InstanceType="t3.small",
                    TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
                )
            functions = own.client("lambda", endpoint_url=url, region_name=region)
            for count in range(3 - number):
                functions.create_function(
                    FunctionName=f"job-{count}",
                    Runtime="python3.12",
                    Role=role,
                    Handler="main.handler",
                    Code={"ZipFile": package.getvalue()},
                    Timeout=30 + count,
                    Environment={"Variables": {"PASSWORD": "planted-secret", "STAGE": "dev"}},
                )


def moment(value):
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value)
    text = value.astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds")
    return text.replace(".000", "").replace("+00:00", "Z")


def plain(value):
    """The value with its times as text."""
    if isinstance(value, datetime.datetime):
        return moment(value)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def rows(url):
    for account in ACCOUNTS:
        own = session(url, account)
        listed = own.client("s3", endpoint_url=url, region_name="us-east-1").list_buckets()
        for bucket in listed["Buckets"]:
            # moto says no region of a bucket here.
            yield "aws_s3_bucket", account, bucket.get("BucketRegion"), {
                "arn": f"arn:aws:s3:::{bucket['Name']}",
                "name": bucket["Name"],
                "title": bucket["Name"],
                "creation_date": moment(bucket["CreationDate"]),
                "owner_id": listed["Owner"]["ID"],
            }
        for region in REGIONS:
            ec2 = own.client("ec2", endpoint_url=url, region_name=region)
            for page in ec2.get_paginator("describe_instances").paginate():
                for reservation in page["Reservations"]:
                    for instance in reservation["Instances"]:
                        row = of_instance(account, region, plain(instance))
                        for column, member in {
                            "owner_id": "OwnerId",
                            "reservation_id": "ReservationId",
                            "requester_id": "RequesterId",
                            "reservation_groups": "Groups",
                        }.items():
                            row[column] = reservation.get(member)
                        yield "aws_ec2_instance", account, region, row
            functions = own.client("lambda", endpoint_url=url, region_name=region)
            for page in functions.get_paginator("list_functions").paginate():
                for function in page["Functions"]:
                    yield "aws_lambda_function", account, region, of_function(plain(function))


def of_instance(account, region, instance):
    tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
    direct = {
        "instance_id": "InstanceId",
        "instance_type": "InstanceType",
        "ami_launch_index": "AmiLaunchIndex",
        "architecture": "Architecture",
        "client_token": "ClientToken",
        "ebs_optimized": "EbsOptimized",
        "ena_support": "EnaSupport",
        "hypervisor": "Hypervisor",
        "image_id": "ImageId",
        "key_name": "KeyName",
        "launch_time": "LaunchTime",
        "private_ip_address": "PrivateIpAddress",
        "private_dns_name": "PrivateDnsName",
        "public_ip_address": "PublicIpAddress",
        "public_dns_name": "PublicDnsName",
        "root_device_name": "RootDeviceName",
        "root_device_type": "RootDeviceType",
        "source_dest_check": "SourceDestCheck",
        "subnet_id": "SubnetId",
        "sriov_net_support": "SriovNetSupport",
        "state_reason": "StateReason",
        "platform": "Platform",
        "virtualization_type": "VirtualizationType",
        "vpc_id": "VpcId",
        "block_device_mappings": "BlockDeviceMappings",
        "metadata_options": "MetadataOptions",
        "network_interfaces": "NetworkInterfaces",
        "product_codes": "ProductCodes",
        "security_groups": "SecurityGroups",
        "tags_src": "Tags",
    }
    row = {column: instance.get(member) for column, member in direct.items()}
    row["arn"] = f"arn:aws:ec2:{region}:{account}:instance/{instance['InstanceId']}"
    row["title"] = tags.get("Name", instance["InstanceId"])
    row["tags"] = tags or None
    row["instance_state"] = instance["State"]["Name"]
    row["state_code"] = instance["State"]["Code"]
    row["monitoring_state"] = instance["Monitoring"]["State"]
    row["placement_availability_zone"] = instance["Placement"]["AvailabilityZone"]
    row["placement_tenancy"] = instance["Placement"]["Tenancy"]
    return row


def of_function(function):
    direct = {
        "name": "FunctionName",
        "arn": "FunctionArn",
        "title": "FunctionName",
        "code_sha_256": "CodeSha256",
        "code_size": "CodeSize",
        "description": "Description",
        "handler": "Handler",
        "timeout": "Timeout",
        "version": "Version",
        "package_type": "PackageType",
        "memory_size": "MemorySize",
        "role": "Role",
        "runtime": "Runtime",
        "state": "State",
        "architectures": "Architectures",
        "ephemeral_storage": "EphemeralStorage",
        "tracing_config": "TracingConfig",
        "snap_start": "SnapStart",
        "last_update_status": "LastUpdateStatus",
        "revision_id": "RevisionId",
        "kms_key_arn": "KMSKeyArn",
        "layers": "Layers",
        "logging_config": "LoggingConfig",
    }
    row = {column: function.get(member) for column, member in direct.items()}
    row["last_modified"] = moment(function["LastModified"])
    variables = function.get("Environment", {}).get("Variables")
    row["environment_variables"] = variables and {name: "***" for name in variables}
    return row


def empty_is_null(value):
    """An empty list and a list that isn't there are the same to botocore's parser for EC2."""
    return None if value in ([], {}, "") else value


def compare(url, file):
    with open(file, encoding="utf-8") as text:
        found = json.load(text)
    theirs = {"aws_s3_bucket": {}, "aws_ec2_instance": {}, "aws_lambda_function": {}}
    for table, account, region, row in rows(url):
        of_scope = {
            "partition": "aws",
            "account_id": account,
            "account_name": ACCOUNTS[account],
            "region": region,
            "profile": f"{ACCOUNTS[account]}-Audit",
            "role_name": "Audit",
            "akas": [row["arn"]],
        }
        theirs[table][account, row["arn"]] = row | of_scope
    wrong = []
    total = 0
    for table, expected in theirs.items():
        if not expected:
            wrong.append(f"{table}: boto3 lists nothing")
        ours = {}
        for row in found[table]:
            key = (row["account_id"], row["arn"])
            if key in ours:
                wrong.append(f"{table} {key}: twice")
            ours[key] = row
        for key in sorted(set(ours) ^ set(expected)):
            wrong.append(f"{table} {key}: only in {'ssoinv' if key in ours else 'boto3'}")
        for key in sorted(set(ours) & set(expected)):
            total += 1
            for column in sorted(set(ours[key]) | set(expected[key])):
                got, wanted = ours[key].get(column), expected[key].get(column)
                if empty_is_null(got) != empty_is_null(wanted):
                    wrong.append(f"{table} {key} {column}: {got!r}, boto3 has {wanted!r}")
    if wrong:
        print("\n".join(wrong[:40]))
        sys.exit(1)
    print(f"equal: {total} rows")


if __name__ == "__main__":
    if sys.argv[1] == "seed":
        seed(sys.argv[2])
    else:
        compare(sys.argv[2], sys.argv[3])
