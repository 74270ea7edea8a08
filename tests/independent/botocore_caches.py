"""What botocore does with the files that it and the AWS CLI share with ssoinv.

`botocore_caches.py use HOME PROFILE...` calls STS through each profile, whose token is in HOME's cache, and prints the
accounts. `cached HOME PROFILE...` does the same with the cache of role credentials that the AWS CLI gives botocore.
`refresh HOME PROFILE...` has botocore refresh each profile's token and save it. `sign-in HOME PROFILE...` gets a token by
a device code, which must be approved at once, and saves it as botocore saves tokens. Each fails where botocore does.
"""

import datetime
import os
import pathlib
import sys

VERB, HOME, PROFILES = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
# botocore finds the cache by the home folder, when it is imported.
os.environ["HOME"] = str(HOME)
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"

import boto3  # noqa: E402
import botocore.session  # noqa: E402
from botocore.tokens import SSOTokenProvider, _sso_json_dumps  # noqa: E402
from botocore.utils import JSONFileCache, SSOTokenLoader  # noqa: E402

CACHE = HOME / ".aws" / "sso" / "cache"
CREDENTIALS = HOME / ".aws" / "cli" / "cache"


def use(profile):
    call(boto3.Session(profile_name=profile))


def cached(profile):
    session = botocore.session.Session(profile=profile)
    provider = session.get_component("credential_provider").get_provider("sso")
    provider.cache = JSONFileCache(str(CREDENTIALS))
    call(boto3.Session(botocore_session=session))


def call(session):
    print(session.client("sts").get_caller_identity()["Account"])


def refresh(profile):
    before = {file: file.read_bytes() for file in CACHE.iterdir()}
    session = botocore.session.Session(profile=profile)
    SSOTokenProvider(session, profile_name=profile).load_token().get_frozen_token()
    after = {file: file.read_bytes() for file in CACHE.iterdir()}
    # botocore goes on with the old token where it can't get another.
    if after == before:
        sys.exit(f"botocore has not refreshed the token of {profile}")


def sign_in(profile):
    session = boto3.Session(profile_name=profile)
    config = session._session.full_config
    settings = config["profiles"][profile]
    name = settings.get("sso_session")
    sso = config["sso_sessions"][name] if name else settings
    oidc = session.client("sso-oidc", region_name=sso["sso_region"])
    scopes = {"scopes": sso["sso_registration_scopes"].split(",")} if name else {}
    client = oidc.register_client(clientName="independent", clientType="public", **scopes)
    keys = {"clientId": client["clientId"], "clientSecret": client["clientSecret"]}
    code = oidc.start_device_authorization(startUrl=sso["sso_start_url"], **keys)
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    token = oidc.create_token(grantType=grant, deviceCode=code["deviceCode"], **keys)
    now = datetime.datetime.now(datetime.timezone.utc)
    ends = datetime.datetime.fromtimestamp(client["clientSecretExpiresAt"], datetime.timezone.utc)
    saved = {
        "startUrl": sso["sso_start_url"],
        "region": sso["sso_region"],
        "accessToken": token["accessToken"],
        "expiresAt": now + datetime.timedelta(seconds=token["expiresIn"]),
        "registrationExpiresAt": ends,
    } | keys
    if "refreshToken" in token:
        saved["refreshToken"] = token["refreshToken"]
    loader = SSOTokenLoader(cache=JSONFileCache(str(CACHE), dumps_func=_sso_json_dumps))
    loader.save_token(sso["sso_start_url"], saved, session_name=name)


for each in PROFILES:
    {"use": use, "cached": cached, "refresh": refresh, "sign-in": sign_in}[VERB](each)
