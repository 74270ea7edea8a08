"""Runs boto3 against a running simulator: is it AWS to a client that knows nothing of it?

    python boto3_against_sim.py URL HOME [ORGANISATION]

URL is the simulator's, HOME a folder whose `.aws` it wrote, with a good token (`ssoinv-sim --home HOME`).
ORGANISATION is the file that it was started with (`--organisation`): then tags and texts are compared with it, too.
It is told things through `/_sim/`, and its role credentials are ended at last: give this script one of its own.
Prints `ok`; otherwise says what is wrong, exit 1.
"""

import base64
import datetime
import hashlib
import json
import os
import pathlib
import re
import secrets
import sys
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree

URL, HOME = sys.argv[1], pathlib.Path(sys.argv[2])
FIXTURE = json.loads(pathlib.Path(sys.argv[3]).read_text()) if len(sys.argv) > 3 else {"accounts": []}
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ["HOME"] = str(HOME)
os.environ["AWS_CONFIG_FILE"] = str(HOME / ".aws" / "config")
os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(HOME / ".aws" / "credentials")
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"

import boto3  # noqa: E402
import botocore.exceptions  # noqa: E402
import botocore.session  # noqa: E402
from botocore import UNSIGNED  # noqa: E402
from botocore.config import Config  # noqa: E402

CONFIG = Config(retries={"total_max_attempts": 1})
FAILURES = []


def check(true, message):
    if not true:
        FAILURES.append(message)


def equal(got, wanted, message):
    check(got == wanted, f"{message}: got {got!r}, expected {wanted!r}")


def ask(what):
    with urllib.request.urlopen(f"{URL}/_sim/{what}") as answer:
        return json.load(answer)


def tell(order, content=None, **members):
    data = json.dumps(members if content is None else content).encode()
    request = urllib.request.Request(f"{URL}/_sim/{order}", data=data, method="POST")
    urllib.request.urlopen(request).read()


def refused(call, code, status, message=None):
    """The call must fail with this code and status."""
    try:
        call()
    except botocore.exceptions.ClientError as error:
        got = error.response
        equal(got["Error"].get("Code"), code, f"code of {error.operation_name}")
        equal(got["ResponseMetadata"]["HTTPStatusCode"], status, f"status of {error.operation_name} with {code}")
        if message:
            check(re.search(message, got["Error"].get("Message", "")), f"{code}: message {got['Error']}")
    else:
        FAILURES.append(f"no error, expected {code}")


LOADER = botocore.session.get_session().get_component("data_loader")


def new_session(profile=None):
    """A session that shares the service models with all others: loading them takes most of the time."""
    session = botocore.session.Session(profile=profile)
    session.register_component("data_loader", LOADER)
    return boto3.Session(botocore_session=session)


def client(service, region, credentials=None, **more):
    keys = {"config": CONFIG}
    if credentials:
        keys |= {
            "aws_access_key_id": credentials["accessKeyId"],
            "aws_secret_access_key": credentials["secretAccessKey"],
            "aws_session_token": credentials["sessionToken"],
        }
    return new_session().client(service, region_name=region, endpoint_url=URL, **keys | more)


ORGANISATION = ask("organisation")
REGIONS = ORGANISATION["regions"]
SESSION = ORGANISATION["sessions"][0]
REACHED = [a for a in ORGANISATION["accounts"] if SESSION["name"] in a["sessions"]]


# Shapes: every element and member that the simulator writes must be one that botocore's model knows.
def unknown_elements(element, shape, path):
    tag = element.tag.split("}")[-1]
    if shape.type_name == "structure":
        names = {m.serialization.get("name", n): m for n, m in shape.members.items()}
        for child in element:
            child_tag = child.tag.split("}")[-1]
            if child_tag not in names:
                yield f"{path}/{tag}/{child_tag}"
            else:
                yield from unknown_elements(child, names[child_tag], f"{path}/{tag}")
    elif shape.type_name == "list":
        for child in element:
            yield from unknown_elements(child, shape.member, f"{path}/{tag}")


def unknown_members(value, shape, path):
    if value is None:
        return
    if shape.type_name == "structure":
        for name, inner in value.items():
            if name not in shape.members:
                yield f"{path}.{name}"
            else:
                yield from unknown_members(inner, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for inner in value:
            yield from unknown_members(inner, shape.member, path)


SEEN = {"ec2": set(), "lambda": set()}


def watch(boto_client):
    """Compares the raw answers of a client with its service model."""

    def received(response_dict, model, **_):
        body = response_dict["body"]
        if response_dict["status_code"] != 200:
            return
        shape = model.output_shape
        if "json" in response_dict["headers"].get("content-type", ""):
            strange = list(unknown_members(json.loads(body), shape, model.name))
        else:
            root = xml.etree.ElementTree.fromstring(body)
            strange = list(unknown_elements(root, shape, ""))
            strange = [s for s in strange if not s.lower().endswith(("/requestid", "/responsemetadata"))]
            if root.tag.endswith("Response") and model.service_model.service_name == "sts":
                strange = [s for s in strange if not s.endswith("Result")]
        check(not strange, f"{model.name}: not in the service model: {sorted(set(strange))[:8]}")

    def before_parse(parsed, model, http_response=None, **_):
        check(parsed["ResponseMetadata"].get("RequestId"), f"{model.name}: no request ID")

    name = boto_client.meta.service_model.service_name
    service_id = boto_client.meta.service_model.service_id.hyphenize()
    boto_client.meta.events.register(f"after-call.{service_id}", before_parse)
    original = boto_client._endpoint._response_parser_factory.create_parser

    def create_parser(protocol):
        parser = original(protocol)
        parse = parser.parse

        def wrapped(response, shape):
            if response["status_code"] == 200 and shape is not None:
                model = next(
                    m
                    for m in map(
                        boto_client.meta.service_model.operation_model,
                        boto_client.meta.service_model.operation_names,
                    )
                    if m.output_shape is not None and m.output_shape.name == shape.name
                )
                received(response, model)
            return parse(response, shape)

        parser.parse = wrapped
        return parser

    boto_client._endpoint._response_parser_factory = type("F", (), {"create_parser": staticmethod(create_parser)})()
    SEEN.setdefault(name, set())
    return boto_client


def oidc():
    sso_oidc = client("sso-oidc", SESSION["region"])
    registered = sso_oidc.register_client(
        clientName="boto3", clientType="public", scopes=["sso:account:access"]
    )
    check(registered["clientSecretExpiresAt"] > registered["clientIdIssuedAt"], "registration never ends")
    who = {"clientId": registered["clientId"], "clientSecret": registered["clientSecret"]}
    refused(
        lambda: sso_oidc.start_device_authorization(**who, startUrl="https://nowhere.example/start"),
        "InvalidRequestException",
        400,
    )
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    tell("approval", "manual")
    device = sso_oidc.start_device_authorization(**who, startUrl=SESSION["start_url"] + "/#/")
    poll = lambda: sso_oidc.create_token(**who, grantType=grant, deviceCode=device["deviceCode"])  # noqa: E731
    # Two at once, as the AWS CLI asks.
    for _ in range(2):
        try:
            poll()
            FAILURES.append("a token before the approval")
        except sso_oidc.exceptions.AuthorizationPendingException as error:
            equal(error.response["error"], "authorization_pending", "OAuth error")
    try:
        poll()
        FAILURES.append("no slow_down")
    except sso_oidc.exceptions.SlowDownException as error:
        equal(error.response["error"], "slow_down", "OAuth error")
    tell("approve", user_code=device["userCode"])
    tell("approval", {"at_poll": 1})
    device = sso_oidc.start_device_authorization(**who, startUrl=SESSION["start_url"])
    token = poll()
    equal(token["tokenType"], "Bearer", "token type")
    check(token["expiresIn"] > 0 and token["refreshToken"], "no refresh token, or no lifetime")
    fresh = sso_oidc.create_token(**who, grantType="refresh_token", refreshToken=token["refreshToken"])
    check(fresh["accessToken"] != token["accessToken"], "refreshing gave the same token")
    refresh_token_reused(sso_oidc, who, grant)
    refused(
        lambda: sso_oidc.create_token(
            clientId=who["clientId"], clientSecret="x", grantType=grant, deviceCode=device["deviceCode"]
        ),
        "InvalidClientException",
        401,
    )
    refused(
        lambda: sso_oidc.create_token(**who, grantType="password", deviceCode="x"),
        "UnsupportedGrantTypeException",
        400,
    )
    # Another sign-in has ended, and this one goes on.
    again = sso_oidc.create_token(**who, grantType="refresh_token", refreshToken=fresh["refreshToken"])
    check(again["accessToken"] != fresh["accessToken"], "refreshing twice gave the same token")
    device = sso_oidc.start_device_authorization(**who, startUrl=SESSION["start_url"])
    return poll()["accessToken"]


def refresh_token_reused(sso_oidc, who, grant):
    """A refresh token that comes twice ends its sign-in, and no other."""
    device = sso_oidc.start_device_authorization(**who, startUrl=SESSION["start_url"])
    token = sso_oidc.create_token(**who, grantType=grant, deviceCode=device["deviceCode"])
    refresh = lambda of: sso_oidc.create_token(  # noqa: E731
        **who, grantType="refresh_token", refreshToken=of["refreshToken"]
    )
    fresh = refresh(token)
    before = ask("reuses")
    refused(lambda: refresh(token), "InvalidGrantException", 400)
    equal(ask("reuses"), before + 1, "reuses")
    refused(lambda: refresh(fresh), "InvalidGrantException", 400)
    listed = lambda: client("sso", SESSION["region"]).list_accounts(accessToken=fresh["accessToken"])  # noqa: E731
    refused(listed, "UnauthorizedException", 401)


class NotFollowed(urllib.request.HTTPRedirectHandler):
    """A browser that stops where it is sent."""

    def redirect_request(self, *_):
        return None


def sent_to(page):
    """The address that a page sends the browser to, and what is said in it."""
    try:
        urllib.request.build_opener(NotFollowed).open(page)
    except urllib.error.HTTPError as answer:
        address, _, query = answer.headers["Location"].partition("?")
        return address, dict(urllib.parse.parse_qsl(query, strict_parsing=True))
    raise AssertionError(f"not sent anywhere: {page}")


def authorization_code():
    sso_oidc = client("sso-oidc", SESSION["region"])
    scope, callback = "sso:account:access", "http://127.0.0.1:{}/oauth/callback"
    registered = sso_oidc.register_client(
        clientName="boto3",
        clientType="public",
        scopes=[scope],
        grantTypes=["authorization_code", "refresh_token"],
        redirectUris=["http://127.0.0.1/oauth/callback"],
        issuerUrl=SESSION["start_url"],
    )
    who = {"clientId": registered["clientId"], "clientSecret": registered["clientSecret"]}
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": registered["clientId"],
        "redirect_uri": callback.format(4000),
        "state": "a state/+&",
        "code_challenge_method": "S256",
        "code_challenge": challenge,
        "scopes": scope,
    }
    address, said = sent_to(f"{URL}/authorize?{urllib.parse.urlencode(asked)}")
    equal((address, said.get("state")), (asked["redirect_uri"], asked["state"]), "where the browser is sent")
    good = {"code": said["code"], "codeVerifier": verifier, "redirectUri": asked["redirect_uri"]}
    exchange = lambda **other: sso_oidc.create_token(  # noqa: E731
        **who, grantType="authorization_code", **(good | other)
    )
    refused(lambda: exchange(codeVerifier=verifier[::-1]), "InvalidGrantException", 400)
    refused(lambda: exchange(redirectUri=callback.format(4001)), "InvalidGrantException", 400)
    token = exchange()
    equal(token["tokenType"], "Bearer", "token type")
    check(token["refreshToken"], "no refresh token")
    listed = lambda: client("sso", SESSION["region"]).list_accounts(accessToken=token["accessToken"])  # noqa: E731
    check(listed()["accountList"], "no accounts by an authorization code")
    refused(exchange, "InvalidGrantException", 400)
    refused(listed, "UnauthorizedException", 401)
    _, said = sent_to(f"{URL}/authorize?{urllib.parse.urlencode(asked | {'code_challenge_method': 'plain'})}")
    equal(said.get("error"), "invalid_request", "OAuth error")
    check({good["code"], verifier} <= set(ask("secrets")), "codes and verifiers aren't remembered")


def portal(token):
    sso = client("sso", SESSION["region"])
    pages = list(sso.get_paginator("list_accounts").paginate(accessToken=token, PaginationConfig={"PageSize": 5}))
    accounts = [account for page in pages for account in page["accountList"]]
    equal(len(pages), -(-len(REACHED) // 5), "pages of accounts")
    equal(
        [(a["accountId"], a["accountName"], a["emailAddress"]) for a in accounts],
        [(a["account"]["id"], a["account"]["name"], a["account"]["email"]) for a in REACHED],
        "accounts",
    )
    for account in REACHED[:3]:
        wanted = account["account"]
        pages = sso.get_paginator("list_account_roles").paginate(
            accessToken=token, accountId=wanted["id"], PaginationConfig={"PageSize": 1}
        )
        equal([r["roleName"] for page in pages for r in page["roleList"]], wanted["roles"], "roles")
    first = REACHED[0]["account"]
    made = sso.get_role_credentials(accessToken=token, accountId=first["id"], roleName=first["roles"][0])
    credentials = made["roleCredentials"]
    left = credentials["expiration"] / 1000 - datetime.datetime.now().timestamp()
    check(3000 < left < 3700, f"role credentials live {left} s")
    check(re.fullmatch("ASIA[A-Z2-7]{16}", credentials["accessKeyId"]), "access key ID")
    equal(len(credentials["secretAccessKey"]), 40, "length of the secret access key")
    nobody = lambda **more: sso.get_role_credentials(  # noqa: E731
        **{"accessToken": token, "accountId": first["id"], "roleName": "NoSuchRole"} | more
    )
    refused(nobody, "ForbiddenException", 403, "No access")
    refused(lambda: nobody(accessToken="other"), "UnauthorizedException", 401, "Session token not found or invalid")
    refused(lambda: nobody(accountId="123"), "InvalidRequestException", 400)
    refused(lambda: sso.list_accounts(accessToken=token, maxResults=101), "InvalidRequestException", 400)
    refused(lambda: sso.list_accounts(accessToken=token, nextToken="x"), "InvalidRequestException", 400)
    return credentials


def inventory(session, account):
    """Counts what one account has, through a session whose credentials come from its profile."""
    wanted = account["account"]["id"]
    sts = session.client("sts", config=CONFIG)
    me = sts.get_caller_identity()
    equal(me["Account"], wanted, "account of the caller")
    check(f":sts::{wanted}:assumed-role/AWSReservedSSO_" in me["Arn"], f"ARN {me['Arn']}")
    s3 = watch(session.client("s3", config=CONFIG))
    pages = list(s3.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 2}))
    buckets = [bucket for page in pages for bucket in page.get("Buckets", [])]
    equal(len(buckets), account["buckets"], f"buckets of {wanted}")
    check(all(len(page.get("Buckets", [])) <= 2 for page in pages), "a page that is too large")
    check(all(b["BucketRegion"] and b["BucketArn"] and b["CreationDate"] for b in buckets), "a bucket lacks something")
    plain = s3.list_buckets()
    equal([b["Name"] for b in plain.get("Buckets", [])], [b["Name"] for b in buckets], "buckets without paging")
    check(all("BucketRegion" not in b for b in plain.get("Buckets", [])), "BucketRegion without max-buckets")
    check(re.fullmatch("[0-9a-f]{64}", plain["Owner"]["ID"]), "owner")
    if buckets:
        region = buckets[0]["BucketRegion"]
        some = s3.list_buckets(BucketRegion=region, Prefix=buckets[0]["Name"][:4], MaxBuckets=1000)
        check(all(b["BucketRegion"] == region for b in some["Buckets"]), "bucket-region isn't a filter")
        equal(some["Prefix"], buckets[0]["Name"][:4], "prefix")
    for region in REGIONS:
        ec2 = watch(session.client("ec2", region_name=region, config=CONFIG))
        functions = watch(session.client("lambda", region_name=region, config=CONFIG))
        if region in account["disabled_regions"]:
            refused(ec2.describe_instances, "AuthFailure", 401)
            refused(functions.list_functions, "UnrecognizedClientException", 403)
            continue
        pages = list(ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5}))
        instances = [i for page in pages for r in page["Reservations"] for i in r["Instances"]]
        equal(len(instances), account["instances"][region], f"instances of {wanted} in {region}")
        equal(len({i["InstanceId"] for i in instances}), len(instances), "instances twice")
        for instance in instances:
            SEEN["ec2"].update(instance)
            check(isinstance(instance["LaunchTime"], datetime.datetime), "launch time")
            check(instance["Placement"]["AvailabilityZone"].startswith(region), "zone")
        pages = list(functions.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2}))
        listed = [f for page in pages for f in page["Functions"]]
        equal(len(listed), account["functions"][region], f"functions of {wanted} in {region}")
        for function in listed:
            SEEN["lambda"].update(k for k, v in function.items() if v is not None)
            check(f":lambda:{region}:{wanted}:function:" in function["FunctionArn"], "function ARN")
        texts(wanted, region, instances, listed)


def texts(account, region, instances, functions):
    """Compares what boto3 read with what stands in the fixture, character by character."""
    for fixture in FIXTURE["accounts"]:
        if fixture["id"] != account:
            continue
        for wanted, got in zip(fixture.get("instances", {}).get(region, []), instances, strict=True):
            tags = dict(wanted.get("tags", {}))
            if "name" in wanted:
                tags["Name"] = wanted["name"]
            equal({tag["Key"]: tag["Value"] for tag in got.get("Tags", [])}, tags, "tags")
        for wanted, got in zip(fixture.get("functions", {}).get(region, []), functions, strict=True):
            equal(got["Description"], wanted.get("description", ""), "description")
            if "Error" not in got.get("Environment", {}):
                variables = got.get("Environment", {}).get("Variables", {})
                equal(variables, wanted.get("environment", {}), "environment variables")


def regions(credentials):
    ec2 = client("ec2", REGIONS[0], credentials)
    on = ec2.describe_regions(
        Filters=[{"Name": "opt-in-status", "Values": ["opt-in-not-required", "opted-in"]}]
    )["Regions"]
    names = {region["RegionName"] for region in on}
    equal(names, {region["RegionName"] for region in ec2.describe_regions()["Regions"]}, "enabled regions")
    everything = ec2.describe_regions(AllRegions=True)["Regions"]
    check(len(everything) > len(on), "AllRegions adds nothing")
    check(all(r["OptInStatus"] == "not-opted-in" for r in everything if r["RegionName"] not in names), "status")
    off = next(r["RegionName"] for r in everything if r["RegionName"] not in names)
    refused(client("ec2", off, credentials).describe_instances, "AuthFailure", 401)
    refused(client("lambda", off, credentials).list_functions, "UnrecognizedClientException", 403)
    check(client("s3", off, credentials).list_buckets()["Owner"], "S3 in a region that is off")


def wrong_signatures(credentials):
    region = REGIONS[0]
    calls = {
        "sts": "get_caller_identity",
        "s3": "list_buckets",
        "ec2": "describe_instances",
        "lambda": "list_functions",
    }

    def each(change, wanted, before=lambda: None, after=lambda: None):
        before()
        for service, (code, status) in wanted.items():
            refused(getattr(client(service, region, change), calls[service]), code, status)
        after()

    each(
        credentials | {"secretAccessKey": "x" * 40},
        {
            "sts": ("SignatureDoesNotMatch", 403),
            "s3": ("SignatureDoesNotMatch", 403),
            "ec2": ("AuthFailure", 401),
            "lambda": ("InvalidSignatureException", 403),
        },
    )
    each(
        credentials | {"accessKeyId": "ASIAAAAAAAAAAAAAAAAA"},
        {
            "sts": ("InvalidClientTokenId", 403),
            "s3": ("InvalidAccessKeyId", 403),
            "ec2": ("AuthFailure", 401),
            "lambda": ("UnrecognizedClientException", 403),
        },
    )
    each(
        credentials | {"sessionToken": "other"},
        {
            "sts": ("InvalidClientTokenId", 403),
            "s3": ("InvalidToken", 400),
            "ec2": ("AuthFailure", 401),
            "lambda": ("UnrecognizedClientException", 403),
        },
    )
    each(
        credentials,
        {
            "sts": ("ExpiredToken", 403),
            "s3": ("ExpiredToken", 400),
            "ec2": ("RequestExpired", 400),
            "lambda": ("ExpiredTokenException", 403),
        },
        before=lambda: tell("expire-role-credentials", after_calls=0, times=0),
    )


def skewed(credentials):
    region = REGIONS[0]
    tell("skew", seconds=-1200)
    refused(client("sts", region, credentials).get_caller_identity, "SignatureDoesNotMatch", 403, "not yet current")
    refused(client("ec2", region, credentials).describe_instances, "RequestExpired", 400)
    refused(client("lambda", region, credentials).list_functions, "InvalidSignatureException", 403)
    # botocore corrects its clock from the Date header upon this error, and would succeed the second time.
    refused(client("s3", region, credentials).list_buckets, "RequestTimeTooSkewed", 403)
    tell("skew", seconds=0)
    check(client("sts", region, credentials).get_caller_identity()["Account"], "after the skew")


def scopes(credentials):
    refused(client("sts", "eu-nowhere-1", credentials).get_caller_identity, "SignatureDoesNotMatch", 403, "valid region")
    refused(client("ec2", "eu-nowhere-1", credentials).describe_instances, "AuthFailure", 401)
    unsigned = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    bare = client("s3", REGIONS[0], config=unsigned)
    refused(bare.list_buckets, "AccessDenied", 403)
    bare = client("sts", REGIONS[0], config=unsigned)
    refused(bare.get_caller_identity, "MissingAuthenticationToken", 403)


def assumed(credentials):
    region, first = REGIONS[0], REACHED[0]["account"]["id"]
    other = REACHED[-1]["account"]["id"]
    sts = client("sts", region, credentials)
    refused(
        lambda: sts.assume_role(RoleArn=f"arn:aws:iam::{other}:role/no-such-role", RoleSessionName="test"),
        "AccessDenied",
        403,
        "sts:AssumeRole on resource",
    )
    refused(lambda: sts.assume_role(RoleArn="x" * 20, RoleSessionName="test"), "ValidationError", 400)
    made = sts.assume_role(
        RoleArn=f"arn:aws:iam::{other}:role/OrganizationAccountAccessRole", RoleSessionName="test", DurationSeconds=900
    )
    keys = made["Credentials"]
    left = (keys["Expiration"] - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
    check(800 < left <= 901, f"assumed credentials live {left} s")
    there = {
        "accessKeyId": keys["AccessKeyId"],
        "secretAccessKey": keys["SecretAccessKey"],
        "sessionToken": keys["SessionToken"],
    }
    me = client("sts", region, there).get_caller_identity()
    equal(me["Account"], other, f"account after AssumeRole from {first}")
    equal(me["Arn"], made["AssumedRoleUser"]["Arn"], "ARN after AssumeRole")


def faults(credentials):
    region = REGIONS[0]
    ec2, functions, s3 = (client(s, region, credentials) for s in ("ec2", "lambda", "s3"))
    fault = lambda effect, **more: tell("fault", effect=effect, times=1, **more)  # noqa: E731
    fault("denied_by_scp", operation="DescribeInstances")
    refused(ec2.describe_instances, "UnauthorizedOperation", 403, "explicit deny in a service control policy")
    fault("denied", operation="ListFunctions")
    refused(functions.list_functions, "AccessDeniedException", 403, "lambda:ListFunctions")
    fault("denied", operation="ListBuckets")
    refused(s3.list_buckets, "AccessDenied", 403, "s3:ListAllMyBuckets")
    for service, call, code, status in (
        ("ec2", ec2.describe_instances, "RequestLimitExceeded", 503),
        ("lambda", functions.list_functions, "TooManyRequestsException", 429),
        ("s3", s3.list_buckets, "SlowDown", 503),
    ):
        fault({"throttle": {"retry_after": 2}}, service=service)
        refused(call, code, status)
    fault({"server_error": 500}, service="ec2")
    refused(ec2.describe_instances, "InternalError", 500)
    fault("empty_page")
    first, second = ec2.describe_instances(MaxResults=1000), None
    equal(first["Reservations"], [], "an empty page")
    second = ec2.describe_instances(MaxResults=1000, NextToken=first["NextToken"])
    equal(second["Reservations"], ec2.describe_instances()["Reservations"], "what follows an empty page")
    fault("reset", service="lambda")
    try:
        functions.list_functions()
        FAILURES.append("no error after a reset")
    except botocore.exceptions.ConnectionClosedError:
        pass
    # botocore takes half a JSON document for an empty one and raises nothing.
    fault("truncate_body", service="lambda")
    check("Functions" not in functions.list_functions(), "a whole answer, expected half")
    fault("garbage", service="ec2")
    try:
        ec2.describe_instances()
        FAILURES.append("no error after garbage")
    except botocore.parsers.ResponseParserError:
        pass
    check(functions.list_functions()["Functions"] is not None, "after the faults")
    tell("clear-faults")


def legacy(token):
    """A profile in the legacy format, with a token in the place where botocore looks for it."""
    account = REACHED[0]["account"]
    ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    content = {
        "startUrl": SESSION["start_url"],
        "region": SESSION["region"],
        "accessToken": token,
        "expiresAt": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    cached = HOME / ".aws" / "sso" / "cache" / (hashlib.sha1(SESSION["start_url"].encode()).hexdigest() + ".json")
    cached.write_text(json.dumps(content))
    config = HOME / ".aws" / "config-legacy"
    config.write_text(
        "[profile old]\n"
        f"sso_start_url = {SESSION['start_url']}\nsso_region = {SESSION['region']}\n"
        f"sso_account_id = {account['id']}\nsso_role_name = {account['roles'][0]}\n"
        f"region = {REGIONS[0]}\nendpoint_url = {URL}\n"
    )
    usual = os.environ["AWS_CONFIG_FILE"]
    os.environ["AWS_CONFIG_FILE"] = str(config)
    try:
        me = new_session("old").client("sts", config=CONFIG).get_caller_identity()
        equal(me["Account"], account["id"], "account of the legacy profile")
    finally:
        os.environ["AWS_CONFIG_FILE"] = usual
        cached.unlink()
        config.unlink()


def main():
    token = oidc()
    authorization_code()
    credentials = portal(token)
    by_account = {}
    for name in new_session().available_profiles:
        session = new_session(name)
        scoped = session._session.get_scoped_config()
        by_account.setdefault(scoped["sso_account_id"], session)
    equal(len(by_account), len(REACHED), "accounts with a profile")
    for account in REACHED:
        inventory(by_account[account["account"]["id"]], account)
    check({"MetadataOptions", "NetworkInterfaces", "BlockDeviceMappings", "Tags", "CpuOptions"} <= SEEN["ec2"],
          f"instances lack fields: {sorted(SEEN['ec2'])}")
    check({"Environment", "VpcConfig", "TracingConfig", "LoggingConfig", "SnapStart"} <= SEEN["lambda"],
          f"functions lack fields: {sorted(SEEN['lambda'])}")
    regions(credentials)
    scopes(credentials)
    skewed(credentials)
    assumed(credentials)
    faults(credentials)
    legacy(token)
    counted = {(c["service"], c["operation"]): c["calls"] for c in ask("counts")}
    check(counted.get(("s3", "ListBuckets"), 0) > 0, "calls aren't counted")
    secrets = ask("secrets")
    check(credentials["secretAccessKey"] in secrets and token in secrets, "secrets aren't remembered")
    wrong_signatures(credentials)
    for failure in FAILURES:
        print(f"error: {failure}", file=sys.stderr)
    if FAILURES:
        sys.exit(1)
    print("ok")


main()
