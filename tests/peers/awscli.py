"""The part of AWS's command line that the documentation's examples use, over boto3: awscli.py SERVICE ACTION --OPTION VALUE…"""

import json
import os
import re
import sys

import boto3
import jmespath


def main(service, action, *options):
    given = {options[n][2:]: options[n + 1] for n in range(0, len(options), 2)}
    query, output = given.pop("query", ""), given.pop("output", "json")
    client = boto3.client(
        service, endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name=os.environ["AWS_REGION"]
    )
    shape = client.meta.service_model.operation_model(_pascal(action)).input_shape
    call = {
        _pascal(name): _value(value, shape.members[_pascal(name)].type_name) for name, value in given.items()
    }
    said = getattr(client, action.replace("-", "_"))(**call)
    said.pop("ResponseMetadata", None)
    if query:
        said = jmespath.search(query, said)
    if output == "text":
        print(*(said if isinstance(said, list) else [said]), sep="\t")
    else:
        print(
            json.dumps(said, default=lambda value: value.decode() if isinstance(value, bytes) else str(value))
        )


def _pascal(name):
    words = re.sub(r"-(\w)", lambda found: found[1].upper(), name)
    return words[0].upper() + words[1:]


def _value(text, kind):
    if kind in ("structure", "list", "map"):
        return json.loads(text)
    return int(text) if kind == "integer" else text.encode() if kind == "blob" else text


main(*sys.argv[1:])
