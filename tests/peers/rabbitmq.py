"""A RabbitMQ broker of Debian's package, without its service, and a client of the tests' own."""

import contextlib
import os
import signal
import threading
from pathlib import Path

import pika

from tests.certificates import Authority

from .patience import descendants
from .process import Process, accepts, find, free_port, missing

HOME = Path(__file__).parent / "rabbitmqserver" / "root"


class RabbitMq:
    """``port`` is plain, at ``host``; ``secure`` has TLS with a certificate of ``authority``. User and password are ``guest``."""

    def __init__(self, folder, host="127.0.0.1"):
        self.host = host
        servers = sorted((HOME / "usr/lib/rabbitmq/lib").glob("rabbitmq_server-*"))
        if not servers:
            missing("RabbitMQ isn't there; tests/install-peers large fetches it")
        folder.mkdir(parents=True, exist_ok=True)
        self.port, self.secure, self._mapper_port = free_port(), free_port(), free_port()
        self.authority = Authority()
        certificate, key = self.authority.issue("broker", hosts=["127.0.0.1"]).write(folder, "server")
        (folder / "ca.pem").write_bytes(self.authority.pem())
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.default = {host}:{self.port}\nlisteners.ssl.default = 127.0.0.1:{self.secure}\n"
            f"ssl_options.cacertfile = {folder}/ca.pem\nssl_options.certfile = {certificate}\n"
            f"ssl_options.keyfile = {key}\nssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = false\n"
            "loopback_users = none\nauth_mechanisms.1 = PLAIN\nauth_mechanisms.2 = EXTERNAL\nssl_cert_login_from = common_name\n"
        )
        (folder / "plugins").write_text("[rabbitmq_auth_mechanism_ssl].")
        # its own port mapper: one that the server starts by itself would stay
        self._mapper = Process(
            [find("epmd"), "-port", self._mapper_port, "-address", "127.0.0.1"], folder / "epmd.log"
        )
        env = {
            "RABBITMQ_HOME": str(servers[-1]), "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia", "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_NODENAME": f"t{self.port}@localhost", "HOME": str(folder), "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null", "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq",
            "RABBITMQ_DIST_PORT": str(free_port()), "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1", "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }  # fmt: skip
        self.server = Process(
            [servers[-1] / "sbin" / "rabbitmq-server"], folder / "rabbitmq.log", env, folder
        )
        self.server.ready = lambda: accepts(self.port, host) and accepts(self.secure)

    @property
    def ca(self):
        return self.authority.pem().decode()

    def certified(self, user):
        """TLS with a certificate of a user's name."""
        issued = self.authority.issue(user)
        return {"ca": self.ca, "certificate": issued.pem().decode(), "key": issued.key_pem().decode()}

    def start(self):
        if not self._mapper.alive:
            self._mapper.start()
        self.server.start()
        return self

    def kill(self):
        self.server.kill_all()

    def freeze(self):
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in self._pids():
            os.kill(pid, signal.SIGCONT)

    def _pids(self):
        return [self.server.pid, *descendants(self.server.pid)]

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        for process in (self.server, self._mapper):
            if process.alive:
                process.kill_all()

    @contextlib.contextmanager
    def channel(self):
        """A blocking channel of pika's."""
        parameters = pika.ConnectionParameters(self.host, self.port)
        connection = pika.BlockingConnection(parameters)
        try:
            yield connection.channel()
        finally:
            connection.close()

    def declare(self, *queues, **more):
        with self.channel() as channel:
            for queue in queues:
                channel.queue_declare(queue, durable=True, **more)

    def publish(self, queue, *bodies, exchange="", **properties):
        self.publish_with(
            pika.BasicProperties(delivery_mode=2, **properties), queue, *bodies, exchange=exchange
        )

    def publish_with(self, properties, queue, *bodies, exchange=""):
        with self.channel() as channel:
            channel.confirm_delivery()
            for body in bodies:
                channel.basic_publish(exchange, queue, body, properties, mandatory=True)

    def waiting(self, queue):
        """How many messages are ready."""
        with self.channel() as channel:
            return channel.queue_declare(queue, passive=True).method.message_count

    def take(self, queue, count):
        """The bodies and properties of at least so many messages, and of all that are there then."""
        found, is_more = [], True
        with self.channel() as channel:
            while is_more or len(found) < count:
                method, properties, body = channel.basic_get(queue, auto_ack=True)
                is_more = method is not None
                if is_more:
                    found.append((body, properties))
                else:
                    threading.Event().wait(0.02)
        return found
