"""LwM2M's data without I/O: paths, values, object models, the formats in which values travel, and the links of a
registration (OMA LwM2M 1.0.2, 1.1.1 and 1.2.1, Core).

From below, each importing only what stands before it: `paths`, `values`; `models` and `model_xml`; `cbor`; `tlv`, `oma_json`,
`senml`, `plain`; `formats`, which chooses among these by Content-Format; `links`.
"""
