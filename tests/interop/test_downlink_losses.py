"""What is lost on the way, or with the gateway: no item is forgotten, none is taken for another."""

import http.client as http_client
import random
import select
import socket
import threading

import pytest

from tests.interop.test_downlinks import coap, http, state, text
from tests.peers.coap import con_post
from tests.peers.patience import HANGS
from tests.peers.process import free_udp_port, wait_until

pytestmark = pytest.mark.interop


UPLINK = b'{"deviceName": "d", "t": 1}'
LOSS = 0.15


class Lossy:
    """A UDP relay that drops so much of what it is given, either way; the dice are the test's."""

    def __init__(self, port, loss, seed):
        self._target = ("127.0.0.1", port)
        self._dice = random.Random(seed)
        self.loss = loss
        self.dropped = 0
        self.port = free_udp_port()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind(("127.0.0.1", self.port))
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        self._thread.join()
        self._front.close()

    def _run(self):
        backs = {}
        while not self._stop.is_set():
            ready, _, _ = select.select([self._front, *backs.values()], [], [], 0.1)
            for line in ready:
                try:
                    data, address = line.recvfrom(4096)
                except OSError:
                    continue
                if self._dice.random() < self.loss:
                    self.dropped += 1
                elif line is self._front:
                    if address not in backs:
                        backs[address] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                        backs[address].connect(self._target)
                    backs[address].send(data)
                else:
                    client = next(client for client, back in backs.items() if back is line)
                    self._front.sendto(data, client)
        for back in backs.values():
            back.close()


def line_to(port):
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.settimeout(HANGS)
    line.connect(("127.0.0.1", port))
    return line


def test_a_retransmitted_uplink_gets_the_same_answer_and_not_the_next_item(gateway):
    coap(gateway, configuration={"confirmDownlinks": False})
    first, second = text(gateway, "d", "first"), text(gateway, "d", "second")
    with line_to(gateway.coap_port) as line:
        uplink = con_post(0x1111, b"tk", "/i/key", UPLINK)
        line.send(uplink)
        answer = line.recv(2048)
        assert answer[:1] == b"\x62" and answer.endswith(b"\xfffirst")
        for _ in range(3):
            line.send(uplink)
            assert line.recv(2048) == answer
        assert (state(gateway, first), state(gateway, second)) == ("SENT", "QUEUED")
        line.send(con_post(0x1112, b"tk", "/i/key", UPLINK))
        assert line.recv(2048).endswith(b"\xffsecond")
    wait_until(lambda: state(gateway, first) == "DELIVERED")
    assert len(gateway.messages()) == 2


def test_a_retransmission_repeats_the_separate_answer_until_it_is_acknowledged(gateway):
    coap(gateway)
    item = text(gateway, "d", "go")
    text(gateway, "d", "next")
    with line_to(gateway.coap_port) as line:
        uplink = con_post(0x2222, b"tk", "/i/key", UPLINK)
        line.send(uplink)
        assert line.recv(2048) == b"\x60\x00\x22\x22"
        response = line.recv(2048)
        assert response[0] & 0x30 == 0 and response.endswith(b"\xffgo")
        line.send(uplink)
        # the empty acknowledgement again, or the response again: never the next item
        again = line.recv(2048)
        assert again in (b"\x60\x00\x22\x22", response)
        line.send(b"\x60\x00" + response[2:4])
        wait_until(lambda: state(gateway, item) == "DELIVERED")


class Device:
    """A device that follows RFC 7252: it repeats its uplink until it is answered, acknowledges what it is
    sent, and takes a message that it knows by its Message ID only once."""

    path, document = "/i/key", staticmethod(lambda number: UPLINK)

    def __init__(self, port, line=None):
        self._line = line or line_to(port)
        self._number = 0
        self._known = set()
        self.got = []

    def uplink(self):
        """One message, answered in the end."""
        self._number += 1
        token = self._number.to_bytes(2, "big")
        request = con_post(self._number, token, self.path, self.document(self._number))
        for _ in range(100):
            self._line.send(request)
            if self.listen(token):
                return
        raise AssertionError("a hundred times no answer")

    def listen(self, token=None):
        """Take what comes until it is quiet for a while; whether the answer to this token was there."""
        while select.select([self._line], [], [], 0.2)[0]:
            data = self._line.recv(2048)
            number, is_con = data[2:4], data[0] & 0x30 == 0
            if is_con:
                self._line.send(b"\x60\x00" + number)
            if data[1] and number not in self._known:
                self._known.add(number)
                payload = data[4 + (data[0] & 15) :].partition(b"\xff")[2]
                self.got += [payload.decode()] if payload else []
            if data[1] and data[4:6] == token:
                return True
        return False


def test_with_15_percent_loss_every_item_arrives_once(gateway):
    count = 25
    coap(
        gateway,
        downlinkWindow=0.001,
        configuration={"ackTimeout": 0.2, "ackRandomFactor": 1.0, "maxRetransmit": 8},
    )
    items = [text(gateway, "d", f"item {number}") for number in range(count)]
    with Lossy(gateway.coap_port, LOSS, seed=5) as relay:
        device = Device(relay.port)
        while len(device.got) < count:
            device.uplink()

        def delivered():
            device.listen()
            return all(state(gateway, item) == "DELIVERED" for item in items)

        wait_until(delivered, 60, "every item to be DELIVERED")
        assert relay.dropped > count / 4
    assert sorted(device.got) == sorted(f"item {number}" for number in range(count))


def test_kill_nine_while_items_leave_forgets_none_and_sends_at_most_one_copy_more(gateway):
    http(gateway)
    texts = [f"item {number}" for number in range(60)]
    for content in texts:
        text(gateway, "d", content)
    got = []
    for part in (15, 35, 1000):
        for _ in range(part):
            answer = gateway.post("key", UPLINK)
            if answer.status == 204:
                break
            got.append(answer.body.decode())
        else:
            gateway.kill()
            gateway.start()
    assert set(got) == set(texts)
    assert len(got) <= len(texts) + 2, "more than one copy of an item for each crash"
    states = {item["state"] for item in gateway.api("GET", "/devices/d/downlinks").json["items"]}
    assert states <= {"DELIVERED", "SENT"}


def test_after_kill_nine_between_sending_and_its_confirmation_the_item_is_queued_or_sent(gateway):
    coap(gateway)
    item = text(gateway, "d", "go")
    with line_to(gateway.coap_port) as line:
        line.send(con_post(0x3333, b"tk", "/i/key", UPLINK))
        assert line.recv(2048)[1] == 0
        assert line.recv(2048).endswith(b"\xffgo")
        gateway.kill()
    gateway.start()
    assert state(gateway, item) in ("QUEUED", "SENT")


def test_kill_nine_while_items_are_replaced_leaves_the_old_ones_or_the_new_ones(gateway):
    http(gateway)
    known = 0
    for delay in (0.03, 0.1):
        killer = threading.Timer(delay, gateway.kill)
        killer.start()
        generation = known
        try:
            while True:
                generation += 1
                items = [{"data": f"{generation}", "contentType": "TEXT", "policy": "last"}] * 3
                assert gateway.api("PUT", "/devices/d/downlinks?allowUnknown=true", items).status == 200
                known = generation
        except (OSError, http_client.HTTPException):
            killer.join()
        gateway.start()
        waiting = [
            item["data"]
            for item in gateway.api("GET", "/devices/d/downlinks").json["items"]
            if item["state"] == "QUEUED"
        ]
        assert waiting in ([f"{known}"] * 3, [f"{known + 1}"] * 3) or (known == 0 and not waiting)
        known = int(waiting[0]) if waiting else 0
