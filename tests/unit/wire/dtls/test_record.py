import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.errors import ProtocolError
from iotgw.wire.dtls import record


def make(length, kind=23, epoch=1, sequence=1):
    return record.HEADER.pack(kind, record.DTLS_1_2, epoch, 0, sequence, length) + bytes(length)


records = st.lists(st.builds(make, st.integers(0, 400), st.integers(20, 24), st.integers(0, 2)), max_size=8)


def test_the_first_record_tells_type_and_epoch():
    assert record.first_record(make(5, kind=22, epoch=0)) == (22, 0)


@pytest.mark.parametrize(
    ("datagram", "says"),
    [
        (b"", "13 bytes of header, got 0"),
        (make(0)[:12], "13 bytes of header, got 12"),
        (b"\x17\x03\x03" + make(4)[3:], "expected a DTLS version at offset 1, got 0x0303"),
        (make(10)[:-1], "a record of 10 bytes doesn't fit a datagram of 22"),
    ],
)
def test_what_is_not_dtls_is_refused(datagram, says):
    with pytest.raises(ProtocolError, match=says):
        record.first_record(datagram)


@given(records)
def test_a_stream_is_cut_at_record_borders(pieces):
    assert record.split(b"".join(pieces)) == pieces


@given(st.binary(max_size=100))
def test_splitting_anything_gives_all_of_it_or_an_error(stream):
    try:
        assert b"".join(record.split(stream)) == stream
    except ProtocolError as error:
        assert "offset" in str(error)


@given(records, st.integers(20, 600))
def test_datagrams_keep_the_order_and_the_mtu(pieces, mtu):
    datagrams = record.fill(pieces, mtu)
    assert b"".join(datagrams) == b"".join(pieces)
    for datagram in datagrams:
        assert len(datagram) <= mtu or len(record.split(datagram)) == 1


def test_as_many_records_as_fit_share_a_datagram():
    assert [len(d) for d in record.fill([make(87), make(87), make(87)], 200)] == [200, 100]


@given(records)
def test_the_epochs_of_a_datagram(pieces):
    assert list(record.epochs(b"".join(pieces))) == [(piece[3] << 8 | piece[4]) for piece in pieces]


def test_epochs_stop_where_a_record_is_cut_off():
    assert list(record.epochs(make(4, epoch=0) + make(9)[:-1])) == [0]


def test_one_record_or_more():
    assert record.is_one_record(make(300))
    assert not record.is_one_record(make(300) + make(1))


def test_an_alert_in_the_clear():
    # The bytes of RFC 5246 §7.2 in a DTLS 1.2 record: fatal, protocol_version.
    assert record.alert(70, 1).hex() == "15fefd000000000000000100020246"


def test_only_records_in_the_clear_are_numbered_anew():
    stream = make(3, epoch=0, sequence=1) + make(4, epoch=1, sequence=1) + make(5, epoch=0, sequence=2)
    wanted = make(3, epoch=0, sequence=6) + make(4, epoch=1, sequence=1) + make(5, epoch=0, sequence=7)
    assert record.renumber(stream, 5) == wanted


def test_numbers_of_48_bits_wrap():
    assert record.sequence_number(record.renumber(make(0, epoch=0, sequence=3), 2**48 - 1)) == 2
