"""AWS Signature Version 4, against published vectors and against botocore."""

from __future__ import annotations

import datetime

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from iotgw.wire.sigv4 import AwsScope, signature_headers

# The test suite of AWS: key, region, service and time are the same for all of its cases.
SUITE = AwsScope("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "", "us-east-1", "service")
AT = datetime.datetime(2015, 8, 30, 12, 36, tzinfo=datetime.UTC)


def signature(method, target, headers, body=b"", scope=SUITE):
    added = dict(signature_headers(method, target, headers, body, scope, AT.timestamp()))
    return added["Authorization"].rpartition("Signature=")[2]


HOST = ("Host", "example.amazonaws.com")


@pytest.mark.parametrize(
    ("method", "target", "more", "expected"),
    [
        ("GET", "/", [], "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),  # get-vanilla
        ("POST", "/", [], "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),  # post-vanilla
        # get-vanilla-query-order-key-case
        ("GET", "/?Param2=value2&Param1=value1", [], "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
        # get-relative and get-slashes come out as get-vanilla
        ("GET", "/example/..", [], "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("GET", "//", [], "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ],
)  # fmt: skip
def test_the_vectors_of_aws_come_out(method, target, more, expected):
    assert signature(method, target, [HOST, *more]) == expected


def of_botocore(monkeypatch, method, target, headers, body, scope):
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: AT.replace(tzinfo=None))
    signer = botocore.auth.S3SigV4Auth if scope.service == "s3" else botocore.auth.SigV4Auth
    keys = Credentials(scope.access_key_id, scope.secret_access_key, scope.session_token or None)
    request = AWSRequest(method, f"https://{dict(headers)['Host']}{target}", dict(headers), body)
    request.context["payload_signing_enabled"] = True
    signer(keys, scope.service, scope.region).add_auth(request)
    return request.headers


def scope(service="execute-api", token=""):
    return AwsScope("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token, "eu-central-1", service)


JSON = ("Content-Type", "application/json")


@pytest.mark.parametrize(
    ("method", "target", "more", "body", "who"),
    [
        ("POST", "/prod/readings", [JSON], b'{"a":1}', scope()),
        ("POST", "/prod/readings", [JSON], b'{"a":1}', scope(token="FwoGZXIvYXdzEBYa")),
        ("PUT", "/bucket/a%20b/c~d", [JSON], b"x", scope("s3")),
        ("PUT", "/a//b/../c", [], b"", scope("s3")),
        ("POST", "/a%20b/%C3%A4/c:d", [], b"", scope("lambda")),
        ("POST", "/a//b/./c/", [], b"", scope()),
        ("GET", "/x?b=2&a=1&a=0&c", [], b"", scope("aps")),
        ("GET", "/x?q=a%20b%2Fc&Z=%C3%A4", [], b"", scope()),
        ("POST", "/", [("X-Amz-Target", "  Kinesis_20131202.PutRecord "), JSON], b"{}", scope("kinesis")),
    ],
)
def test_botocore_signs_alike(monkeypatch, method, target, more, body, who):
    headers = [("Host", "abc.execute-api.eu-central-1.amazonaws.com"), *more]
    theirs = of_botocore(monkeypatch, method, target, headers, body, who)
    ours = dict(signature_headers(method, target, headers, body, who, AT.timestamp()))
    assert ours["X-Amz-Date"] == theirs["X-Amz-Date"] == "20150830T123600Z"
    assert ours["Authorization"] == theirs["Authorization"]
    assert all(theirs[name] == value for name, value in ours.items())


def test_what_a_target_leaves_unencoded_is_signed_as_the_service_reads_it():
    assert signature("GET", "/?t=a:b", [HOST]) == signature("GET", "/?t=a%3Ab", [HOST])
