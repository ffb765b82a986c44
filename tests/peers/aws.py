"""AWS's services as its users test them, each in a process of its own: moto, and ElasticMQ and kinesalite, which keep what they have on disk."""

import base64
import json
from pathlib import Path

from .gateway import request
from .process import Process, accepts, find, free_port, missing, wait_until

MOTO = Path(__file__).parent / "motoserver" / "venv"
ELASTICMQ = Path(__file__).parent / "elasticmq"
KINESALITE = Path(__file__).parent / "kinesalite" / "node_modules"
REGION = "eu-central-1"
KEYS = {"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "not so secret"}


class AwsPeer(Process):
    """``url`` is where its services are."""

    port: int
    host = "127.0.0.1"

    def ready(self):
        return accepts(self.port, self.host)

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    def install_tools(self, folder):
        """AWS's command line, as far as examples use it."""
        tool = folder / "aws"
        tool.write_text(f'#!/bin/sh\nexec {MOTO}/bin/python {Path(__file__).with_name("awscli.py")} "$@"\n')
        tool.chmod(0o755)

    def _call(self, service, target, version, body):
        scope = f"AKIDEXAMPLE/20260101/{REGION}/{service}/aws4_request"
        answer = request(
            "POST", self.url, body,
            {
                "Content-Type": f"application/x-amz-json-{version}", "X-Amz-Target": target,
                "X-Amz-Date": "20260101T000000Z",
                "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none",
            },
        )  # fmt: skip
        assert answer.status == 200, answer.body
        return json.loads(answer.body or b"{}")

    # --- SQS ---

    def sqs(self, action, **body):
        return self._call("sqs", f"AmazonSQS.{action}", "1.0", body)

    def queue(self, name, **attributes):
        """A new queue's URL."""
        if name.endswith(".fifo"):
            attributes["FifoQueue"] = "true"
        return self.sqs("CreateQueue", QueueName=name, Attributes=attributes)["QueueUrl"]

    def send(self, queue, *bodies, **more):
        for body in bodies:
            self.sqs("SendMessage", QueueUrl=queue, MessageBody=body, **more)

    def counted(self, queue):
        """How many messages there are to be received, and how many are hidden."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs("GetQueueAttributes", QueueUrl=queue, AttributeNames=names)["Attributes"]
        return tuple(int(found[name]) for name in names)

    def receive(self, queue, enough):
        """The messages of a queue, deleted, until ``enough(messages)``."""
        found = []
        while not enough(found):
            some = self.sqs(
                "ReceiveMessage", QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1,
                MessageAttributeNames=["All"], AttributeNames=["All"],
            ).get("Messages", [])  # fmt: skip
            found += some
            for each in some:
                self.sqs("DeleteMessage", QueueUrl=queue, ReceiptHandle=each["ReceiptHandle"])
        return found

    # --- Kinesis ---

    def kinesis(self, action, **body):
        return self._call("kinesis", f"Kinesis_20131202.{action}", "1.1", body)

    def put(self, stream, *records):
        """Records are ``(key, bytes)``."""
        entries = [{"PartitionKey": key, "Data": base64.b64encode(data).decode()} for key, data in records]
        for start in range(0, len(entries), 500):
            said = self.kinesis("PutRecords", StreamName=stream, Records=entries[start : start + 500])
            assert not said.get("FailedRecordCount"), said

    def shards(self, stream):
        return self.kinesis("ListShards", StreamName=stream)["Shards"]

    def records(self, stream):
        """All records of a stream: ``(key, bytes)``, by shard."""
        found = {}
        for shard in self.shards(stream):
            place = {"StreamName": stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            iterator = self.kinesis("GetShardIterator", **place)["ShardIterator"]
            some = None
            while iterator and some != []:
                said = self.kinesis("GetRecords", ShardIterator=iterator, Limit=10000)
                iterator, some = said.get("NextShardIterator"), said["Records"]
                found.setdefault(shard["ShardId"], []).extend(
                    (each["PartitionKey"], base64.b64decode(each["Data"])) for each in some
                )
        return found


class Moto(AwsPeer):
    """What it holds is in memory."""

    def __init__(self, folder, host="127.0.0.1"):
        self.host = host
        if not (MOTO / ".installed").exists():
            missing("moto isn't there; tests/install-peers large fetches it")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        command = [MOTO / "bin" / "python", "-m", "moto.server", "-H", host, "-p", self.port]
        super().__init__(command, folder / "moto.log")


class ElasticMq(AwsPeer):
    """Queues, on disk or in memory. It listens before it has found them again."""

    def __init__(self, folder, host="127.0.0.1", on_disk=True):
        self.host = host
        self._queues = set()
        libraries = ELASTICMQ / "target" / "lib"
        if not libraries.is_dir():
            missing("ElasticMQ isn't there; tests/install-peers large fetches it")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        place = {"host": host, "port": self.port, "folder": folder, "disk": str(on_disk).lower()}
        command = [
            find("java"), "-Xmx192m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
            f"-Dconfig.file={ELASTICMQ / 'src' / 'elasticmq.conf'}",
            *(f"-Dat.{name}={value}" for name, value in place.items()), "-cp", f"{libraries}/*",
        ]  # fmt: skip
        super().__init__([*command, "org.elasticmq.server.Main"], folder / "elasticmq.log")

    def ready(self):
        return super().ready() and self._queues <= set(self.sqs("ListQueues").get("QueueUrls", ()))

    def queue(self, name, **attributes):
        url = super().queue(name, **attributes)
        self._queues.add(url)
        return url


class Kinesalite(AwsPeer):
    """Streams on disk. A shard that is split or merged ends, as at AWS."""

    def __init__(self, folder, host="127.0.0.1"):
        self.host = host
        if not (KINESALITE / ".installed").exists():
            missing("kinesalite isn't there; tests/install-peers large fetches it")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        command = [
            find("node"),
            KINESALITE / "kinesalite" / "cli.js",
            "--port",
            self.port,
            "--path",
            folder / "db",
        ]
        times = [
            "--createStreamMs",
            "1",
            "--deleteStreamMs",
            "1",
            "--updateStreamMs",
            "1",
            "--shardLimit",
            "100",
        ]
        super().__init__([*command, *times], folder / "kinesalite.log")

    def stream(self, name, shards=2):
        """A new stream, when it can be written to."""
        self.kinesis("CreateStream", StreamName=name, ShardCount=shards)
        self.wait_until_active(name)
        return name

    def wait_until_active(self, name):
        def is_active():
            said = self.kinesis("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]
            return said["StreamStatus"] == "ACTIVE"

        wait_until(is_active, what="the stream")
