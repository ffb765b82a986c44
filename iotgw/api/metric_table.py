"""Every metric of `/metrics`: its name, type, labels and meaning. The documentation's table and the exposition are made from it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Metric(Struct, frozen=True):
    """A metric. Beside the labels here, a histogram has ``le``. ``largest`` says that, of what is put together, the largest value counts
    and not the sum. ``gateway`` ones are shown to tokens of all tenants and of the default one only."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    about: str
    largest: bool = False
    gateway: bool = False


DATASOURCE = ("tenant", "datasource")
INTEGRATION = ("tenant", "integration")

_ALL = (
    # --- the gateway
    Metric("iotgw_info", "gauge", ("version", "epoch", "node"), "Which version runs, on which node; the epoch is another one after each start"),
    Metric("iotgw_journal_room", "gauge", (), "Whether uplinks are taken"),
    Metric("iotgw_no_room", "gauge", ("cause",), "Why uplinks are not taken: in which part of the gateway the reason lies"),
    Metric("iotgw_date_seconds", "gauge", (), "The machine's date (Unix)"),
    Metric("iotgw_clock_unsure", "gauge", (), "Whether the machine's date can't be right"),
    Metric("iotgw_certificate_end_seconds", "gauge", ("tenant", "file"), "When the first certificate of a file in the directory `certificates` ends (Unix)"),
    Metric("iotgw_converters_confined", "gauge", ("by",), "Whether it confines converters' scripts"),
    Metric("iotgw_node_state", "gauge", ("node", "state"), "Of the nodes on one database, whether each is in this state", gateway=True),
    Metric("iotgw_node_heard_seconds", "gauge", ("node",), "Seconds since a node was heard of", gateway=True),
    Metric("iotgw_partition_held", "gauge", ("node", "by"), "By which node a node's partition is worked on", gateway=True),
    # --- datasources
    Metric("iotgw_datasources", "gauge", ("tenant", "up"), "Datasources that are open, and that are not"),
    Metric("iotgw_datasource_up", "gauge", (*DATASOURCE, "type"), "Whether it is open"),
    Metric("iotgw_uplinks_received_total", "counter", DATASOURCE, "Uplinks that were stored, since the start"),
    Metric("iotgw_uplinks_refused_total", "counter", DATASOURCE, "Uplinks that were told to come back later, since the start"),
    Metric("iotgw_conversions_total", "counter", (*DATASOURCE, "outcome"), "Uplinks that were `converted`, `filtered` or `failed` since the start; again when they are converted again"),
    Metric("iotgw_uplinks", "gauge", (*DATASOURCE, "state"), "The accounts: received = converted + filtered + failed + what waits. They are those of all time, and a failure that is mended moves"),
    Metric("iotgw_conversions_pending", "gauge", DATASOURCE, "Uplinks in memory that are not converted yet"),
    Metric("iotgw_repeats_total", "counter", DATASOURCE, "Uplinks that had been sent before and were only answered, since the start"),
    Metric("iotgw_protocol_total", "counter", (*DATASOURCE, "protocol", "figure"), "What a datasource's protocol counts by itself, since it was opened"),
    Metric("iotgw_protocol", "gauge", (*DATASOURCE, "protocol", "figure"), "What a datasource's protocol has at the moment, such as connections"),
    Metric("iotgw_refusals_total", "counter", ("tenant", "datasource", "listener", "reason"), "Senders that were turned away, since the start; by a datasource, or by a listener before it was known to whom they spoke"),
    Metric("iotgw_listener_total", "counter", ("listener", "figure"), "What a CoAP port counts, since it was opened, whichever datasources share it", gateway=True),
    Metric("iotgw_listener", "gauge", ("listener", "figure"), "What a CoAP port has at the moment, such as DTLS sessions", gateway=True),
    Metric("iotgw_durable_seconds", "histogram", ("tenant",), "From the receipt of an uplink until it was durable and its device could be told so"),
    # --- integrations
    Metric("iotgw_integrations", "gauge", ("tenant", "up"), "Integrations that work, and that don't"),
    Metric("iotgw_integration_up", "gauge", (*INTEGRATION, "type"), "Whether it delivers"),
    Metric("iotgw_integration_here", "gauge", INTEGRATION, "Whether this node delivers to an integration that is single"),
    Metric("iotgw_deliveries_ended_total", "counter", (*INTEGRATION, "outcome"), "Deliveries that ended since the start: `delivered`, `dead`, `expired` or `dropped`. A dead letter that is sent again ends twice"),
    Metric("iotgw_deliveries", "gauge", (*INTEGRATION, "state"), "The accounts: queued = delivered + expired + dead + dropped + inflight + waiting. They are those of all time, and a dead letter that is sent again moves"),
    Metric("iotgw_deliveries_dropped", "gauge", (*INTEGRATION, "reason"), "Deliveries that were given up by rule, of all time"),
    Metric("iotgw_deliveries_retrying", "gauge", INTEGRATION, "Deliveries among those waiting that failed for a reason of their own, or wait behind one that did"),
    Metric("iotgw_deliveries_oldest_seconds", "gauge", INTEGRATION, "Age of the oldest delivery that waits", largest=True),
    Metric("iotgw_delivered_seconds", "histogram", INTEGRATION, "From when an uplink was durable until the target had what came of it"),
    # --- devices
    Metric("iotgw_devices", "gauge", ("tenant",), "Devices that are known"),
    Metric("iotgw_devices_troubled", "gauge", ("tenant", "trouble"), "Devices that are silent, or have a low battery or a weak signal"),
    Metric("iotgw_devices_quarantined", "gauge", ("tenant",), "Devices that wait for somebody to release them"),
    # --- what is of all tenants together
    Metric("iotgw_credentials_unusable", "gauge", (), "Credentials of devices whose secrets can't be decrypted", gateway=True),
    Metric("iotgw_journal_bytes", "gauge", (), "Data in the journal", gateway=True),
    Metric("iotgw_journal_file_bytes", "gauge", (), "The journal's file", gateway=True),
    Metric("iotgw_journal_wal_bytes", "gauge", (), "The journal's write-ahead log", gateway=True),
    Metric("iotgw_journal_pending", "gauge", (), "Records that wait for the disk", gateway=True),
    Metric("iotgw_spilled", "gauge", (), "Messages that this node has acknowledged and that are not in the database yet", gateway=True),
    Metric("iotgw_spilled_bytes", "gauge", (), "About what they take in its file", gateway=True),
    Metric("iotgw_spilled_total", "counter", (), "Messages that went to that file", gateway=True),
    Metric("iotgw_journal_unreadable", "gauge", ("table",), "Rows found unreadable since the start", gateway=True),
    Metric("iotgw_disk_bytes", "gauge", (), "The size of the disk that the data directory is on", gateway=True),
    Metric("iotgw_disk_free_bytes", "gauge", (), "What the gateway may still write to it", gateway=True),
    Metric("iotgw_uplinks_waiting", "gauge", (), "Stored uplinks that wait for their conversion", gateway=True),
    Metric("iotgw_deliveries_parked", "gauge", (), "Deliveries that have a row of their own in the journal: they failed, or wait behind one that did, or are dead letters", gateway=True),
    Metric("iotgw_conversions_waiting", "gauge", (), "Uplinks that wait for a worker", gateway=True),
    Metric("iotgw_worker_deaths_total", "counter", ("worker",), "Workers that a script took down", gateway=True),
    Metric("iotgw_converters_suspended", "gauge", (), "Converters whose script keeps dying", gateway=True),
    Metric("iotgw_downlinks_open", "gauge", (), "Downlinks that wait or are on their way", gateway=True),
    Metric("iotgw_backup_last_success_seconds", "gauge", ("plan",), "When a plan's last whole backup was made, since 1970", gateway=True),
    Metric("iotgw_backup_due_seconds", "gauge", ("plan",), "The first time of a plan's schedule since its last whole backup, since 1970: once it is past, one is missing", gateway=True),
    Metric("iotgw_backup_bytes", "gauge", ("plan",), "Size of a plan's last whole backup", gateway=True),
    Metric("iotgw_backup_failures_total", "counter", ("plan",), "Backups of a plan that failed", gateway=True),
    Metric("iotgw_events_dropped_total", "counter", (), "Events that could not be kept", gateway=True),
    Metric("process_cpu_seconds_total", "counter", (), "CPU time of the gateway's own process, without its workers", gateway=True),
    Metric("process_start_time_seconds", "gauge", (), "When it started (Unix)", gateway=True),
    Metric("process_resident_memory_bytes", "gauge", (), "Memory in use", gateway=True),
    Metric("process_open_fds", "gauge", (), "Open files and sockets", gateway=True),
    Metric("process_max_fds", "gauge", (), "Files and sockets that may be open", gateway=True),
)  # fmt: skip

METRICS = {metric.name: metric for metric in _ALL}


def table() -> str:
    """The documentation's table (Markdown)."""
    rows = ["| metric | type | labels | |", "|---|---|---|---|"]
    for metric in _ALL:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        seen = "" if not metric.gateway else " Of all tenants together."
        rows.append(f"| `{metric.name}` | {metric.type} | {labels} | {metric.about}.{seen} |")
    return "\n".join(rows)
