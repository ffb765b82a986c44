import json

from tests.corpus.thingsboard import converters, summary

TBEL = (
    "var d = decodeToJson(payload); return {deviceName: d.id, telemetry: {t: parseHexToInt(d.hex) / 10.0}};"
)
JAVASCRIPT = "var d = JSON.parse(decodeToString(payload)); return {deviceName: d.id, telemetry: {t: 1}};"
ENCODER = "return {contentType: 'JSON', data: JSON.stringify(msg), metadata: {port: toInt(7.4)}};"


def publish(folder, language, script, cases, direction="UPLINK"):
    key = ("decoder" if direction == "UPLINK" else "encoder") if language == "JS" else "tbelDecoder"
    key = "tbelEncoder" if direction == "DOWNLINK" else key
    folder.mkdir(parents=True)
    settings = {"scriptLang": language, key: script}
    (folder / "converter.json").write_text(json.dumps({"type": direction, "configuration": settings}))
    (folder / "metadata.json").write_text('{"integrationName": "n"}')
    for number, (payload, result) in enumerate(cases):
        suffix = f"_{number}" if number else ""
        (folder / f"payload{suffix}.json").write_text(json.dumps(payload))
        (folder / f"result{suffix}.json").write_text(json.dumps(result))


def test_a_folder_of_published_converters_is_played_and_counted_by_cause(tmp_path):
    wanted = {"deviceName": "a", "telemetry": {"t": 1.6}}
    publish(tmp_path / "a/uplink", "TBEL", TBEL, [({"id": "a", "hex": "10"}, wanted)] * 2)
    publish(tmp_path / "b/uplink", "TBEL", "try { } catch (e) { }", [({}, {})])
    publish(tmp_path / "c/uplink", "JS", JAVASCRIPT, [({"id": "a"}, {"deviceName": "b"})])
    encoded = {"contentType": "JSON", "data": '{"a":1}', "metadata": {"port": "7"}}
    publish(tmp_path / "d/downlink", "TBEL", ENCODER, [({"a": 1}, encoded)], "DOWNLINK")
    text, is_whole = summary(tmp_path, 5, False)
    assert not is_whole
    assert "TBEL uplink: 1 of 2 scripts (50.0 %), 2 of 3 cases as published" in text
    assert "TBEL downlink: 1 of 1 scripts (100.0 %), 1 of 1 cases as published" in text
    assert "JS uplink: 0 of 1 scripts (0.0 %), 0 of 1 cases as published" in text
    assert 'another result: .deviceName: wanted "b", got "a"' in text
    assert "not saved" in text or "taken for" in text


def test_a_converter_without_a_script_is_left_out(tmp_path):
    publish(tmp_path / "a", "TBEL", "", [])
    assert list(converters(tmp_path)) == []
